/* The evidence for some prompts, as router_model.prediction.evidence collects it.
 *
 * The bank is read some rows at a time, and every prompt of a group compares itself with these rows while they are in
 * the processor's cache.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loops.h"
#include "predictor.h"

#define ROWS 256 /* of the bank at once: 128 KB of embeddings of 256 numbers */

typedef struct {
    int16_t *embedding, *form;
    int64_t *terms;
    int16_t *weights;
    int64_t n_known;
    double coverage;
    int32_t *bags; /* (n_bank): products with the bags of the logged prompts */
    int32_t nearest, nearest_bag;
    double *total; /* (n_padded): sums over the kernel */
} Query;

static float on_grid(double value, double steps) { return (float)(rint(value * steps) / steps); }

static int16_t in_steps(float value, float steps)
{
    float rounded = rintf(value * steps);
    return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded > INT16_MAX ? INT16_MAX : rounded);
}

/* Standardise surface features; see router_model.prediction.kernel.SurfaceScale.form. */
static void lay_form(const Predictor *predictor, const float *surface, int16_t *form)
{
    const float root = sqrtf((float)predictor->n_surface);
    for (int64_t each = 0; each < predictor->n_surface; each++) {
        float standard = (surface[each] - predictor->centre[each]) / predictor->deviation[each];
        standard = standard < -MAX_DEVIATIONS ? -MAX_DEVIATIONS : standard > MAX_DEVIATIONS ? MAX_DEVIATIONS : standard;
        form[each] = in_steps(standard / root, FORM_STEPS);
    }
}

/* Add the products with logged bags: common terms are dense rows, the others are lists. */
static void compare_bags(const Predictor *predictor, Query *query)
{
    const int16_t *waiting = NULL; /* common terms are added two at a time */
    int32_t waiting_weight = 0;
    for (int64_t each = 0; each < query->n_known; each++) {
        const int64_t term = query->terms[each];
        const int32_t own = query->weights[each], row = predictor->common_row[term];
        if (row < 0) {
            for (int64_t entry = predictor->start[term]; entry < predictor->start[term + 1]; entry++)
                query->bags[predictor->prompt[entry]] += own * predictor->weight[entry];
            continue;
        }
        const int16_t *weights = predictor->common + row * predictor->n_bank;
        if (waiting != NULL)
            predictor->loops->add_two(waiting_weight, waiting, own, weights, predictor->n_bank, query->bags);
        waiting = waiting == NULL ? weights : NULL;
        waiting_weight = own;
    }
    if (waiting != NULL)
        predictor->loops->add_two(waiting_weight, waiting, 0, waiting, predictor->n_bank, query->bags);
}

static int prepare(const Predictor *predictor, const Prompts *prompts, int64_t row, Query *query)
{
    const int64_t *pieces = prompts->pieces + prompts->starts[row];
    const int64_t n_pieces = prompts->starts[row + 1] - prompts->starts[row];
    query->embedding = calloc((size_t)predictor->dimension + 1, sizeof *query->embedding);
    query->form = calloc((size_t)predictor->n_form + 1, sizeof *query->form);
    query->terms = malloc((size_t)(2 * n_pieces + 1) * sizeof *query->terms);
    query->weights = malloc((size_t)(2 * n_pieces + 1) * sizeof *query->weights);
    query->bags = calloc((size_t)predictor->n_bank + 1, sizeof *query->bags);
    query->total = calloc((size_t)predictor->n_padded + 1, sizeof *query->total);
    if (query->embedding == NULL || query->form == NULL || query->terms == NULL || query->weights == NULL
        || query->bags == NULL || query->total == NULL)
        return -1;
    const float *embedding = prompts->embedding + row * prompts->embedding_size;
    for (int64_t each = 0; each < prompts->embedding_size; each++)
        query->embedding[each] = in_steps(embedding[each], GRID_STEPS);
    lay_form(predictor, prompts->surface + row * prompts->surface_stride, query->form);
    query->n_known = weigh_bag(predictor, pieces, n_pieces, query->terms, query->weights, &query->coverage);
    if (query->n_known < 0)
        return -1;
    compare_bags(predictor, query);
    query->nearest = query->nearest_bag = INT32_MIN;
    return 0;
}

static void release(Query *query)
{
    free(query->embedding);
    free(query->form);
    free(query->terms);
    free(query->weights);
    free(query->bags);
    free(query->total);
}

/* Compare a prompt with some rows of the bank, and add their outcomes. */
static void compare(const Predictor *predictor, Query *query, int64_t start, int64_t n)
{
    const Loops *loops = predictor->loops;
    int32_t products[ROWS], distances[ROWS], steps[ROWS];
    double kernel[ROWS];
    const int32_t *bags = query->bags + start;
    loops->products(query->embedding, predictor->embeddings + start * predictor->dimension, n, predictor->dimension,
                    products);
    loops->squared_distances(query->form, predictor->forms + start * predictor->n_form, n, predictor->n_form,
                             distances);
    loops->exponents(products, bags, distances, predictor->sharpness,
                     (double)(predictor->n_low * predictor->n_high - 1), n, steps);
    for (int64_t row = 0; row < n; row++) {
        const double high = predictor->exp_high[steps[row] >> LOW_BITS];
        const double product = high * predictor->exp_low[steps[row] & (predictor->n_low - 1)];
        kernel[row] = (double)(int32_t)(product + 0.5);
    }
    loops->add_rows(kernel, predictor->kernel_weights + start * predictor->n_padded, n, predictor->n_padded,
                    query->total);
    const int32_t nearest = loops->largest(products, n), nearest_bag = loops->largest(bags, n);
    query->nearest = nearest > query->nearest ? nearest : query->nearest;
    query->nearest_bag = nearest_bag > query->nearest_bag ? nearest_bag : query->nearest_bag;
}

/* Put the scores of heads and kernel machines together, and round them; `by_head` has room for 2 n_columns. */
static void write(const Predictor *predictor, const Query *query, double *by_head, float *values, float *familiarity)
{
    const int64_t n_columns = predictor->n_columns, n_kinds = predictor->n_kinds, n_penalties = n_kinds - 2;
    double *by_bag = by_head + n_columns;
    memset(by_head, 0, 2 * (size_t)n_columns * sizeof *by_head);
    for (int64_t each = 0; each < predictor->dimension; each++)
        predictor->loops->add_float_row(query->embedding[each], predictor->embedding_weights + each * n_columns,
                                        n_columns, by_head);
    for (int64_t each = 0; each < query->n_known; each++)
        predictor->loops->add_float_row(query->weights[each],
                                        predictor->bag_weights + query->terms[each] * n_columns, n_columns, by_bag);
    for (int64_t column = 0; column < n_columns; column++) {
        const float *bias = predictor->bias + column * n_kinds;
        float *own = values + column * n_kinds;
        own[0] = on_grid(bias[0] + by_head[column] * (1.0 / GRID_STEPS), VALUE_STEPS);
        own[1] = on_grid(bias[1] + by_bag[column] * (1.0 / GRID_STEPS), VALUE_STEPS);
        for (int64_t penalty = 0; penalty < n_penalties; penalty++) {
            const int64_t place = column * n_penalties + penalty;
            own[2 + penalty] =
                on_grid(bias[2 + penalty] + query->total[place] * predictor->kernel_step[place], VALUE_STEPS);
        }
    }
    const double cosine_step = 1.0 / ((double)GRID_STEPS * GRID_STEPS);
    const int empty = predictor->n_bank == 0;
    familiarity[0] = empty ? -1.0f : on_grid(query->nearest * cosine_step, FAMILIARITY_STEPS);
    familiarity[1] = empty ? -1.0f : on_grid(query->nearest_bag * cosine_step, FAMILIARITY_STEPS);
    familiarity[2] = (float)query->coverage;
}

/* Of up to TOGETHER prompts from `first` on. */
static int collect_group(const Predictor *predictor, const Prompts *prompts, int64_t first, int64_t n, float *values,
                         float *familiarity)
{
    Query queries[TOGETHER];
    memset(queries, 0, sizeof queries);
    int failed = 0;
    double *by_head = malloc((size_t)(2 * predictor->n_columns + 1) * sizeof *by_head);
    failed = by_head == NULL;
    for (int64_t each = 0; each < n && !failed; each++)
        failed = prepare(predictor, prompts, first + each, &queries[each]) < 0;
    for (int64_t start = 0; start < predictor->n_bank && !failed; start += ROWS)
        for (int64_t each = 0; each < n; each++)
            compare(predictor, &queries[each], start,
                    predictor->n_bank - start < ROWS ? predictor->n_bank - start : ROWS);
    for (int64_t each = 0; each < n && !failed; each++)
        write(predictor, &queries[each], by_head, values + each * predictor->n_columns * predictor->n_kinds,
              familiarity + each * N_FAMILIARITY);
    for (int64_t each = 0; each < n; each++)
        release(&queries[each]);
    free(by_head);
    return failed ? -1 : 0;
}

int collect_evidence(const Predictor *predictor, const Prompts *prompts, float *values, float *familiarity)
{
    for (int64_t first = 0; first < prompts->n; first += TOGETHER) {
        const int64_t n = prompts->n - first < TOGETHER ? prompts->n - first : TOGETHER;
        if (collect_group(predictor, prompts, first, n, values + first * predictor->n_columns * predictor->n_kinds,
                          familiarity + first * N_FAMILIARITY) < 0)
            return -1;
    }
    return 0;
}
