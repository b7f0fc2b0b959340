/* Probabilities, intervals and amounts of one prompt from its scores. The formulas and their sources are in
 * router_model.prediction.calibration, .uncertainty and .amounts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predictor.h"

static double between(double x, double low, double high) { return x < low ? low : x > high ? high : x; }
static double floored(double p, double floor) { return between(p, floor, 1 - floor); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double logit(double p)
{
    const double inside = floored(p, 1e-6);
    return log(inside) - log1p(-inside);
}

/* Blend the members and correct the result. Writes p, (n_models, n_bars), and returns the trust in edges.
 * `change` has room for n_models; scores: (n_models, n_bars) */
float calibrate(const Predictor *predictor, const float *values, const float *familiarity, const double *scores,
                double *change, float *p)
{
    const int64_t n_models = predictor->n_models, n_bars = predictor->n_bars, n_kinds = predictor->n_kinds;
    const double *blend = predictor->blend, *slopes = predictor->slopes;
    double log_odds = predictor->trust_weights[0];
    for (int64_t each = 0; each < N_FAMILIARITY; each++)
        log_odds += predictor->trust_weights[1 + each] * familiarity[each];
    float trust = (float)sigmoid(log_odds); /* the bits of `Calibration.trust`: the same side of the floor */
    if (trust < *predictor->trust_floor)
        trust = 0.0f;
    for (int64_t bar = 0; bar < n_bars; bar++) {
        const double of_record = slopes[n_bars + bar], of_difficulty = slopes[2 * n_bars + bar];
        const double of_edge = slopes[3 * n_bars + bar];
        double difficulty = 0.0;
        for (int64_t model = 0; model < n_models; model++) {
            const float record = predictor->record[model * predictor->n_targets + bar];
            const float *own = values + (model * predictor->n_targets + bar) * n_kinds;
            double blended = blend[0] * floored(record, P_FLOOR);
            for (int64_t kind = 0; kind < n_kinds; kind++)
                blended += blend[1 + kind] * floored(own[kind], P_FLOOR);
            blended += blend[1 + n_kinds] * floored(sigmoid(scores[model * n_bars + bar]), P_FLOOR);
            change[model] = logit(floored(blended, P_FLOOR / 2)) - logit(record);
            difficulty += change[model] / (double)n_models;
        }
        for (int64_t model = 0; model < n_models; model++) {
            const float record = predictor->record[model * predictor->n_targets + bar];
            const double level = slopes[bar] + predictor->intercept[model * n_bars + bar] + of_record * logit(record);
            const double edge = of_edge * trust * (change[model] - difficulty);
            const float corrected = (float)sigmoid(level + of_difficulty * difficulty + edge);
            float *own = p + model * n_bars + bar;
            *own = bar > 0 && own[-1] < corrected ? own[-1] : corrected;
        }
    }
    return trust;
}

/* Answer one quality bar, with intervals (n_models, 2), and the expected quality. */
void at_bar(const Predictor *predictor, const float *p, float trust, Bar bar, float *p_at_bar, float *quality,
            float *interval)
{
    const double alike = predictor->uncertainty[0], unlike = predictor->uncertainty[1];
    const double sampling = predictor->uncertainty[2], trust_alike = predictor->uncertainty[3];
    const double gap = fmax(trust_alike - predictor->uncertainty[4], 1e-6);
    const double spread = alike + between((trust_alike - trust) / gap, 0, 1) * (unlike - alike);
    for (int64_t model = 0; model < predictor->n_models; model++) {
        const float *own = p + model * predictor->n_bars;
        const float below = bar.below < 0 ? 1.0f : own[bar.below];
        const float above = bar.above < predictor->n_bars ? own[bar.above] : 0.0f;
        p_at_bar[model] = below + bar.share * (above - below);
        quality[model] = *predictor->mean_constant;
        for (int64_t each = 0; each < predictor->n_bars; each++)
            quality[model] += own[each] * predictor->mean_weights[each];
        const double odds = p_at_bar[model], middle = logit(odds);
        const double half = Z * sqrt(spread * spread + sampling / fmax(odds * (1 - odds), 1e-3));
        interval[2 * model] = (float)sigmoid(middle - half);
        interval[2 * model + 1] = (float)sigmoid(middle + half);
    }
}

/* Expected amounts (n_models), and their quantiles (n_models, N_QUANTILES), from booster scores. */
void amounts(const Predictor *predictor, int64_t amount, const double *scores, float *expected, float *quantiles)
{
    for (int64_t model = 0; model < predictor->n_models; model++) {
        const int64_t place = amount * predictor->n_models + model;
        const double median = scores[model] + predictor->mean_log[place];
        expected[model] = (float)(expm1(between(median, 0.0, LONGEST_LOG)) * predictor->smearing[place]);
        for (int64_t each = 0; each < N_QUANTILES; each++) {
            const double log = median + predictor->residual_quantiles[place * N_QUANTILES + each];
            quantiles[model * N_QUANTILES + each] = (float)expm1(between(log, 0.0, LONGEST_LOG));
        }
    }
}

/* The numbers of a prompt: p, quality and interval, the amounts, familiarity and trust. */
int64_t row_width(const Predictor *predictor)
{
    return predictor->n_models * (4 + predictor->n_amounts * (1 + N_QUANTILES)) + N_FAMILIARITY + 1;
}

static int predict_one(const Predictor *predictor, const float *values, const float *familiarity,
                       const float *surface, Bar bar, double *scores, double *change, float *p, float *out)
{
    const int64_t n_models = predictor->n_models;
    for (int64_t target = 0; target < predictor->n_bars; target++)
        if (boosted_scores(predictor, predictor->forests[0], target, values, familiarity, surface,
                           scores + target, predictor->n_bars) < 0)
            return -1;
    const float trust = calibrate(predictor, values, familiarity, scores, change, p);
    at_bar(predictor, p, trust, bar, out, out + n_models, out + 2 * n_models);
    out += 4 * n_models;
    for (int64_t amount = 0; amount < predictor->n_amounts; amount++, out += (1 + N_QUANTILES) * n_models) {
        const Forest *forest = predictor->forests[1 + amount];
        memset(scores, 0, (size_t)n_models * sizeof *scores);
        const int64_t target = predictor->n_bars + amount;
        if (forest != NULL
            && boosted_scores(predictor, forest, target, values, familiarity, surface, scores, 1) < 0)
            return -1;
        amounts(predictor, amount, scores, out, out + n_models);
    }
    memcpy(out, familiarity, N_FAMILIARITY * sizeof *out);
    out[N_FAMILIARITY] = trust;
    return 0;
}

int predict(const Predictor *predictor, const Prompts *prompts, Bar bar, float *out)
{
    const int64_t n_values = predictor->n_columns * predictor->n_kinds;
    const int64_t n_pairs = predictor->n_models * predictor->n_bars;
    float *values = malloc((size_t)(prompts->n * (n_values + N_FAMILIARITY) + 1) * sizeof *values);
    double *scores = malloc((size_t)(n_pairs + 1) * sizeof *scores);
    double *change = malloc((size_t)(predictor->n_models + 1) * sizeof *change);
    float *p = malloc((size_t)(n_pairs + 1) * sizeof *p);
    float *familiarity = values == NULL ? NULL : values + prompts->n * n_values;
    int failed = values == NULL || scores == NULL || change == NULL || p == NULL
        || collect_evidence(predictor, prompts, values, familiarity) < 0;
    for (int64_t row = 0; row < prompts->n && !failed; row++)
        failed = predict_one(predictor, values + row * n_values, familiarity + row * N_FAMILIARITY,
                             prompts->surface + row * prompts->surface_stride, bar, scores, change, p,
                             out + row * row_width(predictor)) < 0;
    free(values);
    free(scores);
    free(change);
    free(p);
    return failed ? -1 : 0;
}
