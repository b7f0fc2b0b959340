/* The Python module: two types, Forest and Predictor, made of arrays once, and their calls. */
#include "arrays.h"
#include "loops.h"
#include "predictor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    Arrays arrays;
    Forest forest;
    int64_t last_column; /* the largest that a test reads */
} ForestObject;

typedef struct {
    PyObject_HEAD
    Arrays arrays;
    Predictor predictor;
    PyObject *forests; /* a tuple that keeps them */
} PredictorObject;

#define OF(name, type, axes) {#name, type, axes, offsetof(Forest, name)}
static const Field forest_fields[] = {
    OF(column, "i", "i"), OF(missing, "i", "i"), OF(first_test, "i", "T"), OF(first_own, "i", "t"),
    OF(input, "i", "x"), OF(n_shared, "q", "1"),
    OF(threshold, "f", "x"), OF(allowed, "I", "x"), OF(leaf, "d", "tl"), OF(n_boosters, "q", "1"), {NULL},
};
#undef OF
#define OF(name, type, axes) {#name, type, axes, offsetof(Predictor, name)}
static const Field predictor_fields[] = {
    OF(embeddings, "h", "bd"), OF(forms, "h", "bp"), OF(centre, "f", "s"), OF(deviation, "f", "s"),
    OF(common_row, "i", "t"), OF(common, "h", "cb"), OF(start, "q", "T"), OF(prompt, "i", "e"), OF(weight, "h", "e"),
    OF(sharpness, "d", "3"), OF(exp_low, "d", "l"), OF(exp_high, "d", "h"), OF(codes, "q", "t"), OF(idf, "f", "t"),
    OF(frequency, "d", "f"), OF(embedding_weights, "f", "dn"), OF(bag_weights, "f", "tn"),
    OF(kernel_weights, "h", "bw"), OF(kernel_step, "d", "y"), OF(bias, "f", "mgk"), OF(record, "f", "mg"),
    OF(bars, "f", "r"), OF(length_kind, "q", "1"), OF(blend, "d", "z"), OF(slopes, "d", "4r"),
    OF(intercept, "d", "mr"), OF(trust_weights, "d", "4"), OF(trust_floor, "d", "1"), OF(uncertainty, "d", "5"),
    OF(mean_constant, "f", "1"), OF(mean_weights, "f", "r"), OF(mean_log, "d", "am"), OF(smearing, "d", "am"),
    OF(residual_quantiles, "d", "am3"), {NULL},
};
#undef OF

static int refuse(const char *what)
{
    PyErr_Format(PyExc_ValueError, "the arrays do not fit together: %s", what);
    return -1;
}

/* A list begins at 0, never goes back, and ends at the number of entries. */
static int is_list_of(const void *start, int is_wide, int64_t n, int64_t n_entries)
{
    int64_t before = 0;
    for (int64_t each = 0; each <= n; each++) {
        const int64_t own = is_wide ? ((const int64_t *)start)[each] : ((const int32_t *)start)[each];
        if (own < before || (each == 0 && own != 0))
            return 0;
        before = own;
    }
    return before == n_entries;
}

static int all_within(const int32_t *numbers, int64_t n, int64_t least, int64_t end)
{
    for (int64_t each = 0; each < n; each++)
        if (numbers[each] < least || numbers[each] >= end)
            return 0;
    return 1;
}

static int check_forest(ForestObject *self)
{
    const int64_t *size = self->arrays.size;
    Forest *forest = &self->forest;
    forest->n_inputs = size['i'], forest->n_tests = size['x'], forest->n_trees = size['t'];
    if (size['T'] != forest->n_trees + 1 || !is_list_of(forest->first_test, 0, forest->n_trees, forest->n_tests))
        return refuse("first_test is not where the tests of each tree begin");
    if (*forest->n_shared < 0 || *forest->n_shared > forest->n_inputs)
        return refuse("n_shared is not a number of inputs");
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        const int32_t first = forest->first_test[tree], own = forest->first_own[tree], end = forest->first_test[tree + 1];
        if (own < first || own > end || !all_within(forest->input + first, own - first, 0, *forest->n_shared)
            || !all_within(forest->input + own, end - own, *forest->n_shared, forest->n_inputs))
            return refuse("the tests of shared inputs do not come first in a tree");
    }
    if (size['l'] != MOST_LEAVES || *forest->n_boosters < 1)
        return refuse("leaf must have 32 columns, and n_boosters be 1 or more");
    if (!all_within(forest->column, forest->n_inputs, 0, INT32_MAX))
        return refuse("a column does not exist");
    self->last_column = -1;
    for (int64_t each = 0; each < forest->n_inputs; each++)
        if (forest->column[each] > self->last_column)
            self->last_column = forest->column[each];
    return 0;
}

static int check_predictor(PredictorObject *self, PyTypeObject *forest_type)
{
    const int64_t *size = self->arrays.size;
    Predictor *own = &self->predictor;
    own->n_bank = size['b'], own->dimension = size['d'], own->n_surface = size['s'], own->n_form = size['p'];
    own->n_terms = size['t'], own->n_common = size['c'], own->n_low = size['l'], own->n_high = size['h'];
    own->n_frequency = size['f'], own->n_models = size['m'], own->n_targets = size['g'], own->n_kinds = size['k'];
    own->n_columns = size['n'], own->n_padded = size['w'], own->n_bars = size['r'], own->n_amounts = size['a'];
    const int64_t n_kernel = own->n_columns * (own->n_kinds - 2), length_kind = *own->length_kind;
    if (own->n_columns != own->n_models * own->n_targets || own->n_kinds < 2 || size['y'] != n_kernel
        || own->n_padded < n_kernel || size['z'] != own->n_kinds + 2 || own->n_form < own->n_surface)
        return refuse("models, targets and kinds of evidence");
    if (own->n_models < 1 || own->n_bars < 1 || own->n_bars > own->n_targets || length_kind >= own->n_kinds
        || (length_kind >= 0 && own->n_bars >= own->n_targets))
        return refuse("bars and targets");
    if (own->n_low != 1 << LOW_BITS || own->n_high < 1 || own->n_frequency < 2)
        return refuse("tables of exponentials or logarithms");
    if (size['T'] != own->n_terms + 1 || !is_list_of(own->start, 1, own->n_terms, size['e'])
        || !all_within(own->prompt, size['e'], 0, own->n_bank)
        || !all_within(own->common_row, own->n_terms, -1, own->n_common))
        return refuse("the lists of terms");
    if (PyTuple_Size(self->forests) != 1 + own->n_amounts)
        return refuse("forests: expected one for success, and one for each amount");
    own->forests = calloc((size_t)own->n_amounts + 1, sizeof *own->forests);
    if (own->forests == NULL)
        return PyErr_NoMemory(), -1;
    const int64_t n_columns = 1 + N_FAMILIARITY + (own->n_bars > 1) + 3 * (own->n_kinds + (length_kind >= 0))
        + own->n_surface;
    for (int64_t each = 0; each <= own->n_amounts; each++) {
        PyObject *forest = PyTuple_GetItem(self->forests, (Py_ssize_t)each);
        if (forest == Py_None && each > 0)
            continue;
        if (Py_TYPE(forest) != forest_type || ((ForestObject *)forest)->last_column >= n_columns
            || own->n_bars + each > own->n_targets)
            return refuse("forests");
        own->forests[each] = &((ForestObject *)forest)->forest;
    }
    return 0;
}

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
    if (!failed && mean_score(&self->forest, loops, read, arrays.size['r'], written, 1) < 0)
        failed = (PyErr_NoMemory(), 1);
    release_arrays(&arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef forest_methods[] = {{"mean_score", forest_mean_score, METH_VARARGS, NULL}, {NULL}};
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
    Arrays arrays;
    no_arrays(&arrays);
    Prompts prompts;
    void *out;
    int failed = take_prompts(own, &arrays, given, row_width(own), &prompts, &out) < 0;
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        failed = predict(own, &prompts, bar, out);
        Py_END_ALLOW_THREADS
        if (failed)
            PyErr_NoMemory();
    }
    release_arrays(&arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* evidence(pieces, starts, embedding, surface, out): out has the values of all prompts, then their familiarity */
static PyObject *predictor_evidence(PyObject *object, PyObject *args)
{
    const Predictor *own = &((PredictorObject *)object)->predictor;
    const int64_t n_values = own->n_columns * own->n_kinds;
    PyObject *given[5];
    if (!PyArg_ParseTuple(args, "OOOOO:evidence", &given[0], &given[1], &given[2], &given[3], &given[4]))
        return NULL;
    Arrays arrays;
    no_arrays(&arrays);
    Prompts prompts;
    void *out;
    int failed = take_prompts(own, &arrays, given, n_values + N_FAMILIARITY, &prompts, &out) < 0;
    if (!failed) {
        float *values = out;
        Py_BEGIN_ALLOW_THREADS
        failed = collect_evidence(own, &prompts, values, values + prompts.n * n_values);
        Py_END_ALLOW_THREADS
        if (failed)
            PyErr_NoMemory();
    }
    release_arrays(&arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef predictor_methods[] = {{"predict", predictor_predict, METH_VARARGS, NULL},
                                          {"evidence", predictor_evidence, METH_VARARGS, NULL},
                                          {NULL}};
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
