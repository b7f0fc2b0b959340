/* Probabilities, intervals and amounts of one prompt from its scores. The formulas and their sources are in
 * router_model.prediction.calibration, .uncertainty and .amounts. */
#include <math.h>

#include "predictor.h"

static double between(double x, double low, double high) { return x < low ? low : x > high ? high : x; }
static double floored(double p, double floor) { return between(p, floor, 1 - floor); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double logit(double p)
{
    const double inside = floored(p, 1e-6);
    return log(inside) - log1p(-inside);
}

/* Blend the members and correct the result. Writes p, (n_models, n_bars), and returns the trust in edges. */
float calibrate(const Predictor *predictor, const float *values, const float *familiarity, float log_chars,
                const double *scores, int64_t stride, double *change, float *p)
{
    const int64_t n_models = predictor->n_models, n_bars = predictor->n_bars, n_kinds = predictor->n_kinds;
    const double *blend = predictor->blend, *slopes = predictor->slopes;
    double log_odds = predictor->trust_weights[0];
    for (int64_t each = 0; each < N_FAMILIARITY; each++)
        log_odds += predictor->trust_weights[1 + each] * familiarity[each];
    const double beyond = fmax(log_chars - *predictor->longest_log_chars, 0.0);
    /* the bits of `Calibration.trust`: the same side of the floor */
    float trust = (float)(sigmoid(log_odds) * exp(-LENGTH_EXPONENT * beyond));
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
            blended += blend[1 + n_kinds] * floored(sigmoid(scores[bar * stride + model]), P_FLOOR);
            change[model] = logit(floored(blended, P_FLOOR / 2)) - predictor->record_logit[model * n_bars + bar];
            difficulty += change[model] / (double)n_models;
        }
        for (int64_t model = 0; model < n_models; model++) {
            const int64_t place = model * n_bars + bar;
            const double level =
                slopes[bar] + predictor->intercept[place] + of_record * predictor->record_logit[place];
            const double edge = of_edge * trust * (change[model] - difficulty);
            const float corrected = (float)sigmoid(level + of_difficulty * difficulty + edge);
            float *own = p + place;
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
