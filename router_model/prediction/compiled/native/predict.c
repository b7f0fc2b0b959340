/* The predictions for some prompts: their evidence, the boosters' scores of it, and what these make probable. */
#include <stdlib.h>
#include <string.h>

#include "predictor.h"

/* The numbers of a prompt: p, quality and interval, the amounts, familiarity and trust. */
int64_t row_width(const Predictor *predictor)
{
    return predictor->n_models * (4 + predictor->n_amounts * (1 + N_QUANTILES)) + N_FAMILIARITY + 1;
}

/* What is needed to predict a group of prompts besides its evidence. */
typedef struct {
    float *values;  /* (n, n_models, n_targets, n_kinds) */
    float *columns; /* (n, n_columns, n_models), see lay_columns */
    double *scores; /* (1 + n_amounts, ...): (n_bars, n, n_models) of success, (n, n_models) of an amount */
    double *change; /* (n_models) */
    float *p;       /* (n_models, n_bars) */
    float familiarity[TOGETHER * N_FAMILIARITY];
} Space;

int64_t columns_of(const Predictor *predictor)
{
    return 1 + N_FAMILIARITY + (predictor->n_bars > 1) + 3 * (predictor->n_kinds + (*predictor->length_kind >= 0))
        + predictor->n_surface;
}

/* Lay out the columns of one prompt and target, (n_columns, n_models), as router_model.prediction.predictor.pair_rows
 * does. Columns that models share (`shared_columns` in layout.py names them) are written in the first row. */
static void lay_columns(const Predictor *predictor, int64_t target, const float *values, const float *familiarity,
                        const float *surface, float *columns)
{
    const int64_t n_models = predictor->n_models, n_kinds = predictor->n_kinds, n_bars = predictor->n_bars;
    const int64_t n_values = predictor->n_targets * n_kinds, length_kind = *predictor->length_kind;
    const int64_t n_all_kinds = n_kinds + (length_kind >= 0), n_before = 1 + N_FAMILIARITY + (n_bars > 1);
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
}

/* The scores of one target, (n, n_models). */
static int boosted_scores(const Predictor *predictor, const Forest *forest, int64_t target, const Prompts *prompts,
                          int64_t first, int64_t n, Space *space, double *scores)
{
    const int64_t n_columns = columns_of(predictor), n_models = predictor->n_models;
    for (int64_t each = 0; each < n; each++)
        lay_columns(predictor, target, space->values + each * predictor->n_columns * predictor->n_kinds,
                    space->familiarity + each * N_FAMILIARITY,
                    prompts->surface + (first + each) * prompts->surface_stride,
                    space->columns + each * n_columns * n_models);
    return mean_scores(forest, predictor->loops, space->columns, n, n_columns, n_models, scores);
}

/* Of n prompts from `first` on, at most TOGETHER. */
static int predict_group(const Predictor *predictor, const Prompts *prompts, int64_t first, int64_t n, Bar bar,
                         Space *space, float *out)
{
    const int64_t n_models = predictor->n_models, n_bars = predictor->n_bars, n_scores = n * n_models;
    if (collect_evidence(predictor, prompts, first, n, space->values, space->familiarity) < 0)
        return -1;
    for (int64_t target = 0; target < n_bars + predictor->n_amounts; target++) {
        const Forest *forest = predictor->forests[target < n_bars ? 0 : 1 + target - n_bars];
        double *scores = space->scores + target * n_scores;
        memset(scores, 0, (size_t)n_scores * sizeof *scores);
        if (forest != NULL && boosted_scores(predictor, forest, target, prompts, first, n, space, scores) < 0)
            return -1;
    }
    for (int64_t each = 0; each < n; each++) {
        const float *familiarity = space->familiarity + each * N_FAMILIARITY;
        const float *surface = prompts->surface + (first + each) * prompts->surface_stride;
        const double *scores = space->scores + each * n_models;
        const float trust = calibrate(predictor, space->values + each * predictor->n_columns * predictor->n_kinds,
                                      familiarity, surface[LOG_CHARS], scores, n_scores, space->change, space->p);
        at_bar(predictor, space->p, trust, bar, out, out + n_models, out + 2 * n_models);
        out += 4 * n_models;
        for (int64_t amount = 0; amount < predictor->n_amounts; amount++, out += (1 + N_QUANTILES) * n_models)
            amounts(predictor, amount, scores + (n_bars + amount) * n_scores, out, out + n_models);
        memcpy(out, familiarity, N_FAMILIARITY * sizeof *out);
        out[N_FAMILIARITY] = trust;
        out += N_FAMILIARITY + 1;
    }
    return 0;
}

int predict(const Predictor *predictor, const Prompts *prompts, Bar bar, float *out)
{
    const size_t n = (size_t)(prompts->n < TOGETHER ? prompts->n : TOGETHER), n_models = (size_t)predictor->n_models;
    Space space = {
        .values = malloc((n * (size_t)(predictor->n_columns * predictor->n_kinds) + 1) * sizeof(float)),
        .columns = malloc((n * (size_t)columns_of(predictor) * n_models + 1) * sizeof(float)),
        .scores = malloc((n * (size_t)(predictor->n_bars + predictor->n_amounts) * n_models + 1) * sizeof(double)),
        .change = malloc((n_models + 1) * sizeof(double)),
        .p = malloc((n_models * (size_t)predictor->n_bars + 1) * sizeof(float)),
    };
    int failed = space.values == NULL || space.columns == NULL || space.scores == NULL || space.change == NULL
        || space.p == NULL;
    for (int64_t first = 0; first < prompts->n && !failed; first += TOGETHER)
        failed = predict_group(predictor, prompts, first, prompts->n - first < TOGETHER ? prompts->n - first : TOGETHER,
                               bar, &space, out + first * row_width(predictor)) < 0;
    free(space.values);
    free(space.columns);
    free(space.scores);
    free(space.change);
    free(space.p);
    return failed ? -1 : 0;
}
