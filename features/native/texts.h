#ifndef ROUTER_MODEL_TEXTS_H
#define ROUTER_MODEL_TEXTS_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CHARS (1 << 24)
#define N_CLASSES 17
#define N_SHAPES 5
#define N_PATTERNS 21
#define N_DESCRIBED (N_SHAPES + N_CLASSES + N_PATTERNS)

/* See to it that the kinds of all characters are known. `page_of(start)` returns those of 256 characters. */
int know_pages(const uint32_t *text, Py_ssize_t size, PyObject *page_of);

/* Write the features of a text whose pages are known. Returns 1 with an exception set without memory. */
int describe_text(const uint32_t *text, int64_t size, int64_t n_chars, float *out);

/* Write the sum of scale[id] * table[id], scaled to unit length. Returns -1 without memory. */
int encode_pieces(const int8_t *table, const double *scale, const int64_t *ids, int64_t n_ids, int64_t size,
                  float *out);

#endif
