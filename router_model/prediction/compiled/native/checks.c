/* The arrays of a forest and of a predictor, and the checks that they fit together, made once. Prompts are checked in
 * module.c, for each call. */
#include "objects.h"

#include <stddef.h>
#include <stdlib.h>

#define OF(name, type, axes) {#name, type, axes, offsetof(Forest, name)}
const Field forest_fields[] = {
    OF(column, "i", "i"), OF(missing, "i", "i"), OF(first_test, "i", "T"), OF(first_own, "i", "t"),
    OF(input, "i", "x"), OF(n_shared, "q", "1"),
    OF(threshold, "f", "x"), OF(allowed, "I", "x"), OF(leaf, "d", "tl"), OF(n_boosters, "q", "1"), {0},
};
#undef OF
#define OF(name, type, axes) {#name, type, axes, offsetof(Predictor, name)}
const Field predictor_fields[] = {
    OF(n_logged, "q", "1"), OF(embeddings, "h", "DEL"), OF(forms, "h", "DFL"), OF(form_squares, "i", "R"),
    OF(centre, "f", "s"), OF(deviation, "f", "s"), OF(common_row, "i", "t"), OF(common, "h", "BcC"),
    OF(start, "q", "T"), OF(prompt, "i", "e"), OF(weight, "h", "e"), OF(sharpness, "d", "3"), OF(exp_low, "d", "l"),
    OF(exp_high, "d", "h"), OF(codes, "q", "t"), OF(idf, "f", "t"), OF(frequency, "d", "f"),
    OF(embedding_weights, "f", "dn"), OF(bag_weights, "f", "tn"), OF(kernel_weights, "h", "BwHL"),
    OF(kernel_step, "d", "y"), OF(bias, "f", "mgk"), OF(record, "f", "mg"), OF(record_logit, "d", "mr"),
    OF(bars, "f", "r"), OF(length_kind, "q", "1"), OF(blend, "d", "z"), OF(slopes, "d", "4r"),
    OF(intercept, "d", "mr"), OF(trust_weights, "d", "4"), OF(trust_floor, "d", "1"),
    OF(longest_log_chars, "d", "1"), OF(uncertainty, "d", "5"), OF(mean_constant, "f", "1"),
    OF(mean_weights, "f", "r"), OF(mean_log, "d", "am"), OF(smearing, "d", "am"), OF(residual_quantiles, "d", "am3"),
    {0},
};
#undef OF

int refuse(const char *what)
{
    PyErr_Format(PyExc_ValueError, "the arrays do not fit together: %s", what);
    return -1;
}

int is_list_of(const void *start, int is_wide, int64_t n, int64_t n_entries)
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

int check_forest(ForestObject *self)
{
    const int64_t *size = self->arrays.size;
    Forest *forest = &self->forest;
    forest->n_inputs = size['i'], forest->n_tests = size['x'], forest->n_trees = size['t'];
    if (size['T'] != forest->n_trees + 1 || !is_list_of(forest->first_test, 0, forest->n_trees, forest->n_tests))
        return refuse("first_test is not where the tests of each tree begin");
    if (*forest->n_shared < 0 || *forest->n_shared > forest->n_inputs)
        return refuse("n_shared is not a number of inputs");
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        const int32_t first = forest->first_test[tree], own = forest->first_own[tree];
        const int32_t end = forest->first_test[tree + 1];
        if (own < first || own > end || !all_within(forest->input + first, own - first, 0, *forest->n_shared)
            || !all_within(forest->input + own, end - own, *forest->n_shared, forest->n_inputs))
            return refuse("the tests of shared inputs do not come first in a tree");
    }
    forest->n_leaves = size['l'];
    if ((forest->n_leaves != MOST_LEAVES / 2 && forest->n_leaves != MOST_LEAVES) || *forest->n_boosters < 1)
        return refuse("leaf must have 16 or 32 columns, and n_boosters be 1 or more");
    if (!all_within(forest->column, forest->n_inputs, 0, INT32_MAX))
        return refuse("a column does not exist");
    self->last_column = -1;
    for (int64_t each = 0; each < forest->n_inputs; each++)
        if (forest->column[each] > self->last_column)
            self->last_column = forest->column[each];
    return 0;
}

int check_predictor(PredictorObject *self, PyTypeObject *forest_type)
{
    const int64_t *size = self->arrays.size;
    Predictor *own = &self->predictor;
    own->n_bank = *own->n_logged, own->n_rows = size['R'], own->dimension = size['d'], own->n_surface = size['s'];
    own->n_form = 2 * size['F'], own->n_terms = size['t'], own->n_common = size['c'], own->n_low = size['l'];
    own->n_high = size['h'], own->n_frequency = size['f'], own->n_models = size['m'], own->n_targets = size['g'];
    own->n_kinds = size['k'], own->n_columns = size['n'], own->n_panels = size['w'];
    own->n_bars = size['r'], own->n_amounts = size['a'];
    const int64_t n_kernel = own->n_columns * (own->n_kinds - 2), length_kind = *own->length_kind;
    if (own->n_columns != own->n_models * own->n_targets || own->n_kinds < 2 || size['y'] != n_kernel
        || own->n_panels * PANEL < n_kernel || size['z'] != own->n_kinds + 2 || own->n_form < own->n_surface
        || own->n_surface <= LOG_CHARS)
        return refuse("models, targets and kinds of evidence");
    if (size['L'] != 2 * PANEL || size['C'] != BLOCK || 2 * size['H'] != BLOCK || 2 * size['E'] != own->dimension
        || size['D'] * PANEL != own->n_rows || size['B'] * BLOCK != own->n_rows || own->n_bank > own->n_rows
        || own->n_bank <= own->n_rows - BLOCK || own->n_bank < 0)
        return refuse("the logged prompts in panels and blocks");
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
    for (int64_t each = 0; each <= own->n_amounts; each++) {
        PyObject *forest = PyTuple_GetItem(self->forests, (Py_ssize_t)each);
        if (forest == Py_None)
            continue;
        if (Py_TYPE(forest) != forest_type || ((ForestObject *)forest)->last_column >= columns_of(own)
            || own->n_bars + each > own->n_targets)
            return refuse("forests");
        own->forests[each] = &((ForestObject *)forest)->forest;
    }
    return 0;
}
