/* The static encoder: sums of its vectors, scaled to unit length. */
#include "texts.h"

#include <math.h>

#define AHEAD 8 /* rows lie far apart in a table larger than the caches, so they are asked for early */

static void add_scaled_rows(const int8_t *table, const double *scale, const int64_t *ids, int64_t n_ids, int64_t size,
                     double *total)
{
    for (int64_t each = 0; each < n_ids; each++) {
        if (each + AHEAD < n_ids) {
            const int8_t *later = table + ids[each + AHEAD] * size;
            for (int64_t at = 0; at < size; at += 64)
                __builtin_prefetch(later + at);
        }
        const int8_t *row = table + ids[each] * size;
        const double by = scale[ids[each]];
        for (int64_t at = 0; at < size; at++)
            total[at] += by * row[at];
    }
}

#define NORM_BITS 20

/* As router_model.features.encoder.unit_rows: the entries are read as integers of NORM_BITS, times a power of two. */
static void to_unit_length(const double *total, int64_t size, float *out)
{
    double most = 0.0, squares = 0.0;
    for (int64_t at = 0; at < size; at++)
        most = fabs(total[at]) > most ? fabs(total[at]) : most;
    int exponent;
    frexp(most, &exponent);
    const double by = ldexp(1.0, NORM_BITS - exponent); /* a product with a power of two is exact */
    for (int64_t at = 0; at < size; at++) {
        const double steps = nearbyint(total[at] * by);
        squares += steps * steps;
    }
    const double length = squares > 0.0 ? sqrt(squares) : 1.0;
    for (int64_t at = 0; at < size; at++)
        out[at] = (float)(nearbyint(total[at] * by) / length);
}

int encode_pieces(const int8_t *table, const double *scale, const int64_t *ids, int64_t n_ids, int64_t size, float *out)
{
    double *total = calloc((size_t)size + 1, sizeof *total);
    if (total == NULL)
        return -1;
    add_scaled_rows(table, scale, ids, n_ids, size, total);
    to_unit_length(total, size, out);
    free(total);
    return 0;
}
