#include "arrays.h"

#include <string.h>

void no_arrays(Arrays *arrays)
{
    arrays->n = 0;
    for (int each = 0; each < 128; each++)
        arrays->size[each] = -1;
}

void release_arrays(Arrays *arrays)
{
    while (arrays->n > 0)
        PyBuffer_Release(&arrays->views[--arrays->n]);
}

/* Numpy calls integers of 64 bits l or q, by platform. */
static int is_of_type(const Py_buffer *view, char type)
{
    const char *format = view->format == NULL ? "B" : view->format;
    if (strlen(format) != 1)
        return 0;
    switch (type) {
    case 'h': return *format == 'h';
    case 'i': return strchr("il", *format) != NULL && view->itemsize == 4;
    case 'q': return strchr("lq", *format) != NULL && view->itemsize == 8;
    case 'I': return strchr("IL", *format) != NULL && view->itemsize == 4;
    default: return *format == type;
    }
}

static int misfits(Arrays *arrays, const Py_buffer *view, const Field *field)
{
    if (!is_of_type(view, *field->type) || view->ndim != (int)strlen(field->axes)) {
        PyErr_Format(PyExc_ValueError, "%s: got type '%s' and %d axes, expected type '%s' and axes '%s'", field->name,
                     view->format, view->ndim, field->type, field->axes);
        return 1;
    }
    for (int axis = 0; axis < view->ndim; axis++) {
        const unsigned char letter = (unsigned char)field->axes[axis];
        int64_t *size = &arrays->size[letter & 127];
        const int64_t expected = letter >= '0' && letter <= '9' ? letter - '0' : *size < 0 ? view->shape[axis] : *size;
        if (view->shape[axis] != expected) {
            PyErr_Format(PyExc_ValueError, "%s: axis %d has size %zd, expected %zd as '%c' in '%s'", field->name, axis,
                         view->shape[axis], (Py_ssize_t)expected, letter, field->axes);
            return 1;
        }
        *size = expected;
    }
    return 0;
}

int take_array(Arrays *arrays, PyObject *given, const Field *field, int writable, void **data)
{
    if (arrays->n == MOST_ARRAYS) {
        PyErr_SetString(PyExc_SystemError, "too many arrays");
        return -1;
    }
    Py_buffer *view = &arrays->views[arrays->n];
    if (PyObject_GetBuffer(given, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return -1;
    arrays->n++;
    if (misfits(arrays, view, field))
        return -1;
    if ((uintptr_t)view->buf % (uintptr_t)view->itemsize != 0) {
        PyErr_Format(PyExc_ValueError, "%s: the array is not aligned", field->name);
        return -1;
    }
    *data = view->buf;
    return 0;
}

int take_arrays(Arrays *arrays, PyObject *given, const Field *fields, void *into)
{
    for (const Field *field = fields; field->name != NULL; field++) {
        PyObject *array = PyDict_GetItemString(given, field->name); /* borrowed */
        if (array == NULL) {
            PyErr_Format(PyExc_ValueError, "the array %s is missing", field->name);
            return -1;
        }
        void *data;
        if (take_array(arrays, array, field, 0, &data) < 0)
            return -1;
        memcpy((char *)into + field->place, &data, sizeof data);
    }
    return 0;
}
