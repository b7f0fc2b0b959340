/* The Python module: what takes longest of a prompt's features. Each function has a reference in Python beside it. */
#include "texts.h"

/* describe(text, n_chars, page_of, out): the surface features that a text alone decides, see
 * router_model.features.surface. `out` is one row, or the beginning of one, of float32. */
static PyObject *describe(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *text, *page_of, *given;
    long long n_chars;
    if (!PyArg_ParseTuple(args, "ULOO:describe", &text, &n_chars, &page_of, &given))
        return NULL;
    const Py_ssize_t size = PyUnicode_GetLength(text);
    if (size < 0 || size > MOST_CHARS || n_chars < 0)
        return PyErr_Format(PyExc_ValueError, "the text has %zd characters; expected up to %d", size, MOST_CHARS);
    Py_buffer out;
    if (PyObject_GetBuffer(given, &out, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    int failed = 1;
    uint32_t *characters = NULL;
    if (out.format == NULL || out.format[0] != 'f' || out.format[1] != '\0' || out.ndim != 1
        || out.shape[0] < N_DESCRIBED)
        PyErr_Format(PyExc_ValueError, "out is not a row of at least %d float32 numbers", N_DESCRIBED);
    else if ((characters = malloc(((size_t)size + 1) * sizeof *characters)) == NULL)
        PyErr_NoMemory();
    else if (PyUnicode_AsUCS4(text, characters, size + 1, 1) != NULL && know_pages(characters, size, page_of) == 0)
        failed = describe_text(characters, size, n_chars, out.buf);
    free(characters);
    PyBuffer_Release(&out);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static int is_list_of(const Py_buffer *view, const char *formats, Py_ssize_t itemsize, int ndim)
{
    return view->format != NULL && strlen(view->format) == 1 && strchr(formats, *view->format) != NULL
        && view->itemsize == itemsize && view->ndim == ndim;
}

/* encode(table, scale, ids, out): the sum of scale[id] * table[id], exact in float64 in any order, scaled to unit
 * length; see router_model.features.static_encoder */
static PyObject *encode(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *given[4];
    if (!PyArg_ParseTuple(args, "OOOO:encode", &given[0], &given[1], &given[2], &given[3]))
        return NULL;
    Py_buffer views[4];
    int n = 0;
    PyObject *answer = NULL;
    for (; n < 4; n++)
        if (PyObject_GetBuffer(given[n], &views[n], PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (n == 3 ? PyBUF_WRITABLE : 0)))
            goto done;
    if (!is_list_of(&views[0], "b", 1, 2) || !is_list_of(&views[1], "d", 8, 1) || !is_list_of(&views[2], "lq", 8, 1)
        || !is_list_of(&views[3], "f", 4, 1) || views[1].shape[0] != views[0].shape[0]
        || views[3].shape[0] != views[0].shape[1]) {
        PyErr_SetString(PyExc_ValueError, "expected int8 (n, d), float64 (n), int64 (k) and float32 (d)");
        goto done;
    }
    const int64_t *ids = views[2].buf, n_ids = views[2].shape[0], n_rows = views[0].shape[0], size = views[0].shape[1];
    for (int64_t each = 0; each < n_ids; each++)
        if (ids[each] < 0 || ids[each] >= n_rows) {
            PyErr_Format(PyExc_IndexError, "the id %lld is not a row", (long long)ids[each]);
            goto done;
        }
    if (encode_pieces(views[0].buf, views[1].buf, ids, n_ids, size, views[3].buf) < 0)
        PyErr_NoMemory();
    else
        answer = Py_NewRef(Py_None);
done:
    while (n > 0)
        PyBuffer_Release(&views[--n]);
    return answer;
}

static PyMethodDef methods[] = {
    {"describe", describe, METH_VARARGS, NULL}, {"encode", encode, METH_VARARGS, NULL}, {0}};
static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = 0, .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
