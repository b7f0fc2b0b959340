/* The Python module: the types Forest and Predictor. Each is made once, from arrays. Predicting releases the
 * interpreter's lock. */
#include "loops.h"
#include "objects.h"

#include <stdlib.h>
#include <string.h>

static const Loops *loops_named(const char *processor)
{
    for (int place = 0; place < n_supported(); place++)
        if (strcmp(supported(place)->processor, processor) == 0)
            return supported(place);
    PyErr_Format(PyExc_ValueError, "this processor does not have what '%s' has", processor);
    return NULL;
}

static PyObject *forest_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *given;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!:Forest", &PyDict_Type, &given))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    ForestObject *self = (ForestObject *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    no_arrays(&self->arrays);
    if (take_arrays(&self->arrays, given, forest_fields, &self->forest) < 0 || check_forest(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void forest_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    release_arrays(&((ForestObject *)object)->arrays);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* mean_score(columns, scores, processor): columns (n_columns, n_rows) of float32, scores (n_rows) of float64 */
static PyObject *forest_mean_score(PyObject *object, PyObject *args)
{
    ForestObject *self = (ForestObject *)object;
    static const Field fields[] = {{"columns", "f", "cr", 0}, {"scores", "d", "r", 0}};
    PyObject *columns, *scores;
    const char *processor;
    if (!PyArg_ParseTuple(args, "OOs:mean_score", &columns, &scores, &processor))
        return NULL;
    const Loops *loops = loops_named(processor);
    Arrays arrays;
    no_arrays(&arrays);
    void *read, *written;
    int failed = loops == NULL || take_array(&arrays, columns, &fields[0], 0, &read) < 0
        || take_array(&arrays, scores, &fields[1], 1, &written) < 0;
    if (!failed && self->last_column >= arrays.size['c'])
        failed = refuse("a test reads a column that is not there");
    if (!failed && mean_scores(&self->forest, loops, read, 1, arrays.size['c'], arrays.size['r'], written) < 0)
        failed = (PyErr_NoMemory(), 1);
    release_arrays(&arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef forest_methods[] = {{"mean_score", forest_mean_score, METH_VARARGS, NULL}, {0}};
static PyType_Slot forest_slots[] = {
    {Py_tp_new, forest_new}, {Py_tp_dealloc, forest_dealloc}, {Py_tp_methods, forest_methods}, {0, NULL}};
static PyType_Spec forest_spec = {"router_model.prediction.compiled._native.Forest", sizeof(ForestObject), 0,
                                  Py_TPFLAGS_DEFAULT, forest_slots};

/* Predictor(arrays, forests, processor) */
static PyObject *predictor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *given, *forests;
    const char *processor;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!O!s:Predictor", &PyDict_Type, &given, &PyTuple_Type, &forests, &processor))
        return NULL;
    PyObject *module = PyType_GetModule(type);
    PyTypeObject **forest_type = module == NULL ? NULL : PyModule_GetState(module);
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PredictorObject *self = forest_type == NULL ? NULL : (PredictorObject *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    no_arrays(&self->arrays);
    Py_INCREF(forests);
    self->forests = forests;
    self->predictor.loops = loops_named(processor);
    if (self->predictor.loops == NULL
        || take_arrays(&self->arrays, given, predictor_fields, &self->predictor) < 0
        || check_predictor(self, *forest_type) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (fill_slots(&self->predictor) < 0) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void predictor_dealloc(PyObject *object)
{
    PredictorObject *self = (PredictorObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    release_arrays(&self->arrays);
    free(self->predictor.forests);
    free(self->predictor.slots);
    Py_XDECREF(self->forests);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* Take the prompts and the array that is written to, (n, width). */
static int take_prompts(const Predictor *own, Arrays *arrays, PyObject *const *given, int64_t width, Prompts *prompts,
                        void **out)
{
    static const Field fields[] = {{"pieces", "q", "e", 0}, {"starts", "q", "T", 0}, {"embedding", "f", "nd", 0},
                                   {"surface", "f", "ns", 0}, {"out", "f", "nw", 0}};
    void *data[5];
    for (int each = 0; each < 5; each++)
        if (take_array(arrays, given[each], &fields[each], each == 4, &data[each]) < 0)
            return -1;
    const int64_t *size = arrays->size;
    *prompts = (Prompts){.n = size['n'], .pieces = data[0], .starts = data[1], .embedding = data[2],
                         .surface = data[3], .embedding_size = size['d'], .surface_stride = size['s']};
    *out = data[4];
    if (size['T'] != prompts->n + 1 || !is_list_of(prompts->starts, 1, prompts->n, size['e']))
        return refuse("starts is not where the pieces of each prompt begin");
    if (size['d'] > own->dimension || size['s'] < own->n_surface || size['w'] != width)
        return refuse("the prompts' features, or the width of out");
    return 0;
}

static int collect_all(const Predictor *own, const Prompts *prompts, float *values, float *familiarity)
{
    int failed = 0;
    for (int64_t first = 0; first < prompts->n && !failed; first += TOGETHER)
        failed = collect_evidence(own, prompts, first, prompts->n - first < TOGETHER ? prompts->n - first : TOGETHER,
                                  values + first * own->n_columns * own->n_kinds, familiarity + first * N_FAMILIARITY);
    return failed;
}

/* Take the prompts, and write their predictions at a bar to `out`; without a bar, their values and then familiarity. */
static PyObject *written(const Predictor *own, PyObject *const *given, const Bar *bar)
{
    const int64_t n_values = own->n_columns * own->n_kinds;
    Arrays arrays;
    no_arrays(&arrays);
    Prompts prompts;
    void *out;
    int failed = take_prompts(own, &arrays, given, bar ? row_width(own) : n_values + N_FAMILIARITY, &prompts, &out) < 0;
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        failed = bar ? predict(own, &prompts, *bar, out)
                     : collect_all(own, &prompts, out, (float *)out + prompts.n * n_values);
        Py_END_ALLOW_THREADS
        if (failed)
            PyErr_NoMemory();
    }
    release_arrays(&arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* predict(pieces, starts, embedding, surface, out, below, above, share) */
static PyObject *predictor_predict(PyObject *object, PyObject *args)
{
    const Predictor *own = &((PredictorObject *)object)->predictor;
    PyObject *given[5];
    long long below, above;
    Bar bar;
    if (!PyArg_ParseTuple(args, "OOOOOLLf:predict", &given[0], &given[1], &given[2], &given[3], &given[4], &below,
                          &above, &bar.share))
        return NULL;
    if (below < -1 || below >= own->n_bars || above < 0 || above > own->n_bars)
        return refuse("the bars to interpolate between"), NULL;
    bar.below = below, bar.above = above;
    return written(own, given, &bar);
}

/* evidence(pieces, starts, embedding, surface, out): out has the values of all prompts, then their familiarity */
static PyObject *predictor_evidence(PyObject *object, PyObject *args)
{
    PyObject *given[5];
    if (!PyArg_ParseTuple(args, "OOOOO:evidence", &given[0], &given[1], &given[2], &given[3], &given[4]))
        return NULL;
    return written(&((PredictorObject *)object)->predictor, given, NULL);
}

static PyMethodDef predictor_methods[] = {{"predict", predictor_predict, METH_VARARGS, NULL},
                                          {"evidence", predictor_evidence, METH_VARARGS, NULL},
                                          {0}};
static PyType_Slot predictor_slots[] = {
    {Py_tp_new, predictor_new}, {Py_tp_dealloc, predictor_dealloc}, {Py_tp_methods, predictor_methods}, {0, NULL}};
static PyType_Spec predictor_spec = {"router_model.prediction.compiled._native.Predictor", sizeof(PredictorObject), 0,
                                     Py_TPFLAGS_DEFAULT, predictor_slots};

static int add_processors(PyObject *module)
{
    PyObject *names = PyTuple_New(n_supported());
    if (names == NULL)
        return -1;
    for (int place = 0; place < n_supported(); place++)
        PyTuple_SetItem(names, place, PyUnicode_FromString(supported(place)->processor));
    const int failed = PyModule_AddObjectRef(module, "PROCESSORS", names);
    Py_DECREF(names);
    return failed;
}

static int execute(PyObject *module)
{
    PyTypeObject **forest_type = PyModule_GetState(module);
    *forest_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &forest_spec, NULL);
    if (*forest_type == NULL || PyModule_AddObjectRef(module, "Forest", (PyObject *)*forest_type) < 0)
        return -1;
    PyObject *predictor_type = PyType_FromModuleAndSpec(module, &predictor_spec, NULL);
    const int failed = predictor_type == NULL || PyModule_AddObjectRef(module, "Predictor", predictor_type) < 0;
    Py_XDECREF(predictor_type);
    return failed || add_processors(module) < 0 ? -1 : 0;
}

static void module_free(void *module)
{
    PyTypeObject **forest_type = PyModule_GetState(module);
    if (forest_type != NULL)
        Py_CLEAR(*forest_type);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = sizeof(PyTypeObject *),
    .m_slots = module_slots, .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module_def); }
