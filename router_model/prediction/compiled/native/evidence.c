/* The evidence for some prompts, as router_model.prediction.evidence collects it.
 *
 * The bank is read some rows at a time, and every prompt of a group compares itself with these rows while they are in
 * the processor's cache.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loops.h"

#define ROWS (4 * BLOCK) /* of the bank at once: 128 KB of embeddings of 256 numbers */
#define SOON 8           /* lists are read ahead of time by so many */

/* One prompt's bag of words. */
typedef struct {
    int64_t *terms;
    int16_t *weights;
    int64_t n;
    int32_t *common; /* rows of common terms, and their weights */
    int32_t *common_weights;
    int64_t n_common;
    double coverage;
} Bag;

/* What a group of prompts is compared by, and what it finds. */
typedef struct {
    int64_t n;
    int16_t *embeddings, *forms; /* (n, dimension), (n, n_form) */
    Bag bags[TOGETHER];
    int32_t form_squares[TOGETHER], nearest[TOGETHER], nearest_bag[TOGETHER];
    int32_t *products; /* (n, n_rows): with the logged bags */
    int32_t *sums;     /* (n, 2, n_panels * PANEL): both parts of the sums over a block */
    double *total;     /* (n, n_panels * PANEL): sums over the kernel */
} Group;

static float on_grid(double value, double steps) { return (float)(rint(value * steps) / steps); }

static int16_t in_steps(float value, float steps)
{
    float rounded = rintf(value * steps);
    return (int16_t)(rounded < INT16_MIN ? INT16_MIN : rounded > INT16_MAX ? INT16_MAX : rounded);
}

/* Standardise surface features; see router_model.prediction.kernel.SurfaceScale.form. Returns the squared length. */
static int32_t lay_form(const Predictor *predictor, const float *surface, int16_t *form)
{
    const float root = sqrtf((float)predictor->n_surface);
    int32_t square = 0;
    for (int64_t each = 0; each < predictor->n_surface; each++) {
        float standard = (surface[each] - predictor->centre[each]) / predictor->deviation[each];
        standard = standard < -MAX_DEVIATIONS ? -MAX_DEVIATIONS : standard > MAX_DEVIATIONS ? MAX_DEVIATIONS : standard;
        form[each] = in_steps(standard / root, FORM_STEPS);
        square += form[each] * form[each];
    }
    return square;
}

static int weigh(const Predictor *predictor, const int64_t *pieces, int64_t n_pieces, Bag *bag)
{
    const size_t most = (size_t)(2 * n_pieces + 1);
    bag->terms = malloc(most * sizeof *bag->terms);
    bag->weights = malloc(most * sizeof *bag->weights);
    bag->common = malloc(most * sizeof *bag->common);
    bag->common_weights = malloc(2 * most * sizeof *bag->common_weights);
    if (bag->terms == NULL || bag->weights == NULL || bag->common == NULL || bag->common_weights == NULL)
        return -1;
    bag->n = weigh_bag(predictor, pieces, n_pieces, bag->terms, bag->weights, &bag->coverage);
    for (int64_t each = 0; each < bag->n; each++) {
        const int32_t row = predictor->common_row[bag->terms[each]];
        if (row < 0)
            continue;
        bag->common[bag->n_common] = row;
        const int16_t pairs[2][2] = {{bag->weights[each], 0}, {0, bag->weights[each]}};
        memcpy(bag->common_weights + 2 * bag->n_common++, pairs, sizeof pairs);
    }
    return bag->n < 0 ? -1 : 0;
}

/* Add the products with logged bags of the terms that are not common, which have lists. */
static void add_lists(const Predictor *predictor, const Bag *bag, int32_t *products)
{
    for (int64_t each = 0; each < bag->n; each++) {
        const int64_t term = bag->terms[each], soon = bag->terms[each + SOON < bag->n ? each + SOON : each];
        const int32_t own = bag->weights[each];
        __builtin_prefetch(predictor->prompt + predictor->start[soon]);
        __builtin_prefetch(predictor->weight + predictor->start[soon]);
        for (int64_t entry = predictor->start[term]; entry < predictor->start[term + 1]; entry++)
            products[predictor->prompt[entry]] += own * predictor->weight[entry];
    }
}

static int prepare(const Predictor *predictor, const Prompts *prompts, int64_t first, Group *group)
{
    const size_t n = (size_t)group->n, n_sums = (size_t)(predictor->n_panels * PANEL);
    group->embeddings = calloc(n * (size_t)predictor->dimension + 1, sizeof *group->embeddings);
    group->forms = calloc(n * (size_t)predictor->n_form + 1, sizeof *group->forms);
    group->products = calloc(n * (size_t)predictor->n_rows + 1, sizeof *group->products);
    group->sums = malloc((n * 2 * n_sums + 1) * sizeof *group->sums);
    group->total = calloc(n * n_sums + 1, sizeof *group->total);
    if (group->embeddings == NULL || group->forms == NULL || group->products == NULL || group->sums == NULL
        || group->total == NULL)
        return -1;
    for (int64_t each = 0; each < group->n; each++) {
        const int64_t row = first + each, start = prompts->starts[row];
        const float *embedding = prompts->embedding + row * prompts->embedding_size;
        for (int64_t place = 0; place < prompts->embedding_size; place++)
            group->embeddings[each * predictor->dimension + place] = in_steps(embedding[place], GRID_STEPS);
        group->form_squares[each] = lay_form(predictor, prompts->surface + row * prompts->surface_stride,
                                             group->forms + each * predictor->n_form);
        if (weigh(predictor, prompts->pieces + start, prompts->starts[row + 1] - start, &group->bags[each]) < 0)
            return -1;
        add_lists(predictor, &group->bags[each], group->products + each * predictor->n_rows);
        group->nearest[each] = group->nearest_bag[each] = INT32_MIN;
    }
    return 0;
}

static void release(Group *group)
{
    for (int64_t each = 0; each < group->n; each++) {
        free(group->bags[each].terms);
        free(group->bags[each].weights);
        free(group->bags[each].common);
        free(group->bags[each].common_weights);
    }
    free(group->embeddings);
    free(group->forms);
    free(group->products);
    free(group->sums);
    free(group->total);
}

static void keep_larger(const Predictor *predictor, const int32_t *numbers, int64_t n, int32_t *largest)
{
    const int32_t found = predictor->loops->largest(numbers, n);
    *largest = found > *largest ? found : *largest;
}

/* Compare the prompts with some rows of the bank, whole blocks, and add their outcomes. */
static void compare(const Predictor *predictor, Group *group, int64_t start, int64_t n_rows)
{
    const Loops *loops = predictor->loops;
    int32_t products[TOGETHER * ROWS], forms[TOGETHER * ROWS];
    int16_t parts[TOGETHER][2 * BLOCK];
    const int64_t n_blocks = n_rows / BLOCK, n_columns = predictor->n_panels * PANEL;
    const int64_t n_left = predictor->n_bank - start, n_real = n_left < n_rows ? n_left : n_rows;
    loops->products(group->embeddings, group->n, predictor->embeddings + start * predictor->dimension, n_rows / PANEL,
                    predictor->dimension / 2, products);
    loops->products(group->forms, group->n, predictor->forms + start * predictor->n_form, n_rows / PANEL,
                    predictor->n_form / 2, forms);
    for (int64_t block = 0; block < n_blocks; block++) {
        const int64_t first = block * BLOCK;
        for (int64_t each = 0; each < group->n; each++) {
            const Bag *bag = &group->bags[each];
            int32_t *bags = group->products + each * predictor->n_rows + start + first;
            int32_t *distances = forms + each * n_rows + first;
            loops->add_common(bag->common, bag->common_weights, bag->n_common,
                              predictor->common + (start + first) * predictor->n_common,
                              predictor->n_common * BLOCK, bags);
            for (int64_t row = 0; row < BLOCK; row++) /* |a - b|^2 */
                distances[row] =
                    group->form_squares[each] + predictor->form_squares[start + first + row] - 2 * distances[row];
            loops->kernel(predictor, products + each * n_rows + first, bags, distances, parts[each]);
        }
        loops->products(parts[0], 2 * group->n, predictor->kernel_weights + (start + first) * n_columns,
                        predictor->n_panels, BLOCK / 2, group->sums);
        for (int64_t each = 0; each < group->n; each++)
            loops->add_parts(group->sums + each * 2 * n_columns, n_columns, group->total + each * n_columns);
    }
    for (int64_t each = 0; each < group->n; each++) {
        keep_larger(predictor, products + each * n_rows, n_real, &group->nearest[each]);
        keep_larger(predictor, group->products + each * predictor->n_rows + start, n_real, &group->nearest_bag[each]);
    }
}

/* Put the scores of heads and kernel machines together, and round them; `by_head` has room for 2 n_columns. */
static void write(const Predictor *predictor, const Group *group, int64_t place, double *by_head, float *values,
                  float *familiarity)
{
    const int64_t n_columns = predictor->n_columns, n_kinds = predictor->n_kinds, n_penalties = n_kinds - 2;
    const Bag *bag = &group->bags[place];
    const int16_t *embedding = group->embeddings + place * predictor->dimension;
    const double *total = group->total + place * predictor->n_panels * PANEL;
    double *by_bag = by_head + n_columns;
    memset(by_head, 0, 2 * (size_t)n_columns * sizeof *by_head);
    for (int64_t each = 0; each < predictor->dimension; each++)
        predictor->loops->add_float_row(embedding[each], predictor->embedding_weights + each * n_columns, n_columns,
                                        by_head);
    for (int64_t each = 0; each < bag->n; each++)
        predictor->loops->add_float_row(bag->weights[each], predictor->bag_weights + bag->terms[each] * n_columns,
                                        n_columns, by_bag);
    for (int64_t column = 0; column < n_columns; column++) {
        const float *bias = predictor->bias + column * n_kinds;
        float *own = values + column * n_kinds;
        own[0] = on_grid(bias[0] + by_head[column] * (1.0 / GRID_STEPS), VALUE_STEPS);
        own[1] = on_grid(bias[1] + by_bag[column] * (1.0 / GRID_STEPS), VALUE_STEPS);
        for (int64_t penalty = 0; penalty < n_penalties; penalty++) {
            const int64_t sum = column * n_penalties + penalty;
            own[2 + penalty] = on_grid(bias[2 + penalty] + total[sum] * predictor->kernel_step[sum], VALUE_STEPS);
        }
    }
    const double cosine_step = 1.0 / ((double)GRID_STEPS * GRID_STEPS);
    const int empty = predictor->n_bank == 0;
    familiarity[0] = empty ? -1.0f : on_grid(group->nearest[place] * cosine_step, FAMILIARITY_STEPS);
    familiarity[1] = empty ? -1.0f : on_grid(group->nearest_bag[place] * cosine_step, FAMILIARITY_STEPS);
    familiarity[2] = (float)bag->coverage;
}

int collect_evidence(const Predictor *predictor, const Prompts *prompts, int64_t first, int64_t n, float *values,
                     float *familiarity)
{
    Group group = {.n = n};
    double *by_head = malloc((size_t)(2 * predictor->n_columns + 1) * sizeof *by_head);
    const int failed = by_head == NULL || prepare(predictor, prompts, first, &group) < 0;
    for (int64_t start = 0; start < predictor->n_rows && !failed; start += ROWS)
        compare(predictor, &group, start, predictor->n_rows - start < ROWS ? predictor->n_rows - start : ROWS);
    for (int64_t each = 0; each < n && !failed; each++)
        write(predictor, &group, each, by_head, values + each * predictor->n_columns * predictor->n_kinds,
              familiarity + each * N_FAMILIARITY);
    release(&group);
    free(by_head);
    return failed ? -1 : 0;
}
