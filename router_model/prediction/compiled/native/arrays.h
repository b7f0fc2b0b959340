/* Take arrays from Python: check their types and shapes by a table, and keep their buffers. */
#ifndef ROUTER_MODEL_ARRAYS_H
#define ROUTER_MODEL_ARRAYS_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define MOST_ARRAYS 40

/* type: h, i, q for integers of 16, 32, 64 bits, I for unsigned 32, f and d for floats of 32 and 64 bits.
 * axes: a letter names a size, which all arrays with the letter share; a digit is the size itself. */
typedef struct {
    const char *name, *type, *axes;
    size_t place; /* of the pointer in the struct */
} Field;

typedef struct {
    Py_buffer views[MOST_ARRAYS];
    int n;
    int64_t size[128]; /* by letter; -1 where no array had it */
} Arrays;

void no_arrays(Arrays *arrays);
/* Fill the struct's pointers from a dict of arrays. Returns -1 with an exception set if one is missing or misfits. */
int take_arrays(Arrays *arrays, PyObject *given, const Field *fields, void *into);
/* One array that is not kept by a struct; same checks. */
int take_array(Arrays *arrays, PyObject *given, const Field *field, int writable, void **data);
void release_arrays(Arrays *arrays);

#endif
