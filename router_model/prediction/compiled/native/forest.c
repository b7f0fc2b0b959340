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

/* columns: (n_columns, n_rows) */
int mean_score(const Forest *forest, const struct loops *loops, const float *columns, int64_t n_rows, double *scores)
{
    float *inputs = calloc((size_t)forest->n_inputs * LANES + 1, sizeof *inputs);
    if (inputs == NULL)
        return -1;
    for (int64_t first = 0; first < n_rows; first += LANES) {
        const int64_t n = n_rows - first < LANES ? n_rows - first : LANES;
        double total[LANES] = {0};
        for (int64_t each = 0; each < forest->n_inputs; each++)
            for (int64_t lane = 0; lane < n; lane++)
                inputs[each * LANES + lane] =
                    read_as(columns[forest->column[each] * n_rows + first + lane], forest->missing[each]);
        loops->add_trees(inputs, forest->first_test, forest->input, forest->threshold, forest->allowed, forest->leaf,
                         forest->n_trees, total);
        for (int64_t lane = 0; lane < n; lane++)
            scores[first + lane] = total[lane] / (double)*forest->n_boosters;
    }
    free(inputs);
    return 0;
}

/* Lay out the columns of one prompt, (n_columns, n_models * n_targets), as router_model.prediction.predictor.pair_rows
 * does, and return their scores. */
int boosted_scores(const Predictor *predictor, const Forest *forest, int64_t first_target, int64_t n_targets,
                   const float *values, const float *familiarity, const float *surface, double *scores)
{
    const int64_t n_models = predictor->n_models, n_kinds = predictor->n_kinds, n_bars = predictor->n_bars;
    const int64_t n_pairs = n_models * n_targets, length_kind = *predictor->length_kind;
    const int64_t n_all_kinds = n_kinds + (length_kind >= 0), n_before = 1 + N_FAMILIARITY + (n_bars > 1);
    const int64_t n_columns = n_before + 3 * n_all_kinds + predictor->n_surface;
    float *columns = malloc((size_t)(n_columns * n_pairs + 1) * sizeof *columns);
    if (columns == NULL)
        return -1;
    for (int64_t pair = 0; pair < n_pairs; pair++) {
        const int64_t model = pair / n_targets, target = first_target + pair % n_targets;
        columns[pair] = predictor->record[model * predictor->n_targets + target];
        for (int64_t each = 0; each < N_FAMILIARITY; each++)
            columns[(1 + each) * n_pairs + pair] = familiarity[each];
        if (n_bars > 1)
            columns[(1 + N_FAMILIARITY) * n_pairs + pair] = target < n_bars ? predictor->bars[target] : 0.0f;
    }
    for (int64_t each = 0; each < predictor->n_surface; each++)
        for (int64_t pair = 0; pair < n_pairs; pair++)
            columns[(n_before + 3 * n_all_kinds + each) * n_pairs + pair] = surface[each];
    for (int64_t position = 0; position < n_targets; position++)
        for (int64_t kind = 0; kind < n_all_kinds; kind++) {
            const int64_t about = kind < n_kinds ? first_target + position : n_bars;
            const float *read = values + about * n_kinds + (kind < n_kinds ? kind : length_kind);
            const int64_t stride = predictor->n_targets * n_kinds;
            double total = 0.0; /* exact, because float64 holds all sums of evidence in steps */
            for (int64_t model = 0; model < n_models; model++)
                total += read[model * stride];
            const float difficulty = (float)(total / (double)n_models);
            float *own = columns + (n_before + 3 * kind) * n_pairs + position;
            for (int64_t model = 0; model < n_models; model++, own += n_targets) {
                own[0] = read[model * stride];
                own[n_pairs] = difficulty;
                own[2 * n_pairs] = own[0] - difficulty;
            }
        }
    const int failed = mean_score(forest, predictor->loops, columns, n_pairs, scores);
    free(columns);
    return failed;
}
