/* The scores of trees for some rows, from their columns; see router_model.prediction.compiled.forest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loops.h"
#include "predictor.h"

/* The value that a test compares instead of a missing value, as in LightGBM's NumericalDecision. */
enum { NAN_IS_ZERO, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT };

static const float zero = 1e-35f; /* LightGBM's kZeroThreshold: smaller magnitudes count as 0 */

static float read_as(float value, int32_t missing)
{
    const float instead = missing == NAN_LEFT || missing == ZERO_LEFT ? -INFINITY
        : missing == NAN_RIGHT || missing == ZERO_RIGHT               ? NAN
                                                                      : 0.0f;
    if (isnan(value))
        return instead;
    if (fabsf(value) <= zero)
        return missing >= ZERO_LEFT ? instead : 0.0f;
    return value;
}

/* Make the tests of shared inputs, once for all rows: write the leaves of each tree that they leave. */
static void test_shared(const Forest *forest, const float *columns, int64_t n_rows, float *inputs, uint32_t *left)
{
    for (int64_t each = 0; each < *forest->n_shared; each++)
        inputs[each] = read_as(columns[forest->column[each] * n_rows], forest->missing[each]);
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        uint32_t possible = UINT32_MAX;
        for (int32_t test = forest->first_test[tree]; test < forest->first_own[tree]; test++)
            possible &= forest->allowed[test] | -(uint32_t)(inputs[forest->input[test]] <= forest->threshold[test]);
        left[tree] = possible;
    }
}

int mean_score(const Forest *forest, const struct loops *loops, const float *columns, int64_t n_rows, double *scores,
               int64_t stride)
{
    float *inputs = calloc((size_t)forest->n_inputs * LANES + 1, sizeof *inputs);
    uint32_t *left = malloc(((size_t)forest->n_trees + 1) * sizeof *left);
    const int failed = inputs == NULL || left == NULL;
    if (!failed && n_rows > 0)
        test_shared(forest, columns, n_rows, inputs, left);
    for (int64_t first = 0; first < n_rows && !failed; first += LANES) {
        const int64_t n = n_rows - first < LANES ? n_rows - first : LANES;
        double total[LANES] = {0};
        for (int64_t each = *forest->n_shared; each < forest->n_inputs; each++)
            for (int64_t lane = 0; lane < n; lane++)
                inputs[each * LANES + lane] =
                    read_as(columns[forest->column[each] * n_rows + first + lane], forest->missing[each]);
        loops->add_trees(forest, inputs, left, total);
        for (int64_t lane = 0; lane < n; lane++)
            scores[(first + lane) * stride] = total[lane] / (double)*forest->n_boosters;
    }
    free(inputs);
    free(left);
    return failed ? -1 : 0;
}

/* Lay out the columns of one prompt and target, (n_columns, n_models), as router_model.prediction.predictor.pair_rows
 * does, and return their scores. Columns that models share (`shared_columns` in layout.py names them) are written in the first row. */
int boosted_scores(const Predictor *predictor, const Forest *forest, int64_t target, const float *values,
                   const float *familiarity, const float *surface, double *scores, int64_t stride)
{
    const int64_t n_models = predictor->n_models, n_kinds = predictor->n_kinds, n_bars = predictor->n_bars;
    const int64_t n_values = predictor->n_targets * n_kinds, length_kind = *predictor->length_kind;
    const int64_t n_all_kinds = n_kinds + (length_kind >= 0), n_before = 1 + N_FAMILIARITY + (n_bars > 1);
    const int64_t n_columns = n_before + 3 * n_all_kinds + predictor->n_surface;
    float *columns = malloc((size_t)(n_columns * n_models + 1) * sizeof *columns);
    if (columns == NULL)
        return -1;
    for (int64_t model = 0; model < n_models; model++)
        columns[model] = predictor->record[model * predictor->n_targets + target];
    for (int64_t each = 0; each < N_FAMILIARITY; each++)
        columns[(1 + each) * n_models] = familiarity[each];
    if (n_bars > 1)
        columns[(1 + N_FAMILIARITY) * n_models] = target < n_bars ? predictor->bars[target] : 0.0f;
    for (int64_t kind = 0; kind < n_all_kinds; kind++) {
        const float *read = values + (kind < n_kinds ? target * n_kinds + kind : n_bars * n_kinds + length_kind);
        float *own = columns + (n_before + 3 * kind) * n_models;
        double total = 0.0; /* exact, because float64 holds all sums of evidence in steps */
        for (int64_t model = 0; model < n_models; model++)
            total += own[model] = read[model * n_values];
        own[n_models] = (float)(total / (double)n_models);
        for (int64_t model = 0; model < n_models; model++)
            own[2 * n_models + model] = own[model] - own[n_models];
    }
    for (int64_t each = 0; each < predictor->n_surface; each++)
        columns[(n_before + 3 * n_all_kinds + each) * n_models] = surface[each];
    const int failed = mean_score(forest, predictor->loops, columns, n_models, scores, stride);
    free(columns);
    return failed;
}
