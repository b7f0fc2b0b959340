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

/* A prompt in each lane: the inputs that its rows share. */
static void read_shared(const Forest *forest, const float *columns, int64_t n_prompts, int64_t n_columns,
                        int64_t n_rows, float *inputs)
{
    for (int64_t each = 0; each < *forest->n_shared; each++)
        for (int64_t prompt = 0; prompt < n_prompts; prompt++)
            inputs[each * LANES + prompt] =
                read_as(columns[(prompt * n_columns + forest->column[each]) * n_rows], forest->missing[each]);
}

/* The scores of one prompt's rows, some groups of lanes at a time. */
static void score(const Forest *forest, const struct loops *loops, const float *columns, int64_t n_rows,
                  const uint32_t *left, float *inputs, double *scores)
{
    for (int64_t first = 0; first < n_rows; first += MOST_GROUPS * LANES) {
        const int64_t n = n_rows - first < MOST_GROUPS * LANES ? n_rows - first : MOST_GROUPS * LANES;
        const int64_t n_groups = n <= LANES ? 1 : MOST_GROUPS;
        double total[MOST_GROUPS * LANES] = {0};
        for (int64_t each = *forest->n_shared; each < forest->n_inputs; each++) {
            float *own = inputs + (each - *forest->n_shared) * n_groups * LANES;
            for (int64_t lane = 0; lane < n; lane++)
                own[lane] = read_as(columns[forest->column[each] * n_rows + first + lane], forest->missing[each]);
        }
        loops->add_trees(forest, inputs, left, n_groups, total);
        for (int64_t lane = 0; lane < n; lane++)
            scores[first + lane] = total[lane] / (double)*forest->n_boosters;
    }
}

int mean_scores(const Forest *forest, const struct loops *loops, const float *columns, int64_t n_prompts,
                int64_t n_columns, int64_t n_rows, double *scores)
{
    float *inputs = calloc((size_t)forest->n_inputs * MOST_GROUPS * LANES + 1, sizeof *inputs);
    uint32_t *left = malloc(((size_t)forest->n_trees * LANES + 1) * sizeof *left);
    const int failed = inputs == NULL || left == NULL;
    if (!failed && n_rows > 0) {
        read_shared(forest, columns, n_prompts, n_columns, n_rows, inputs);
        loops->test_shared(forest, inputs, left);
        for (int64_t prompt = 0; prompt < n_prompts; prompt++)
            score(forest, loops, columns + prompt * n_columns * n_rows, n_rows, left + prompt, inputs,
                  scores + prompt * n_rows);
    }
    free(inputs);
    free(left);
    return failed ? -1 : 0;
}
