/* The loops that take the time, compiled for several kinds of processors; the best one is chosen at run time. */
#ifndef ROUTER_MODEL_LOOPS_H
#define ROUTER_MODEL_LOOPS_H

#include "predictor.h"

typedef struct loops {
    const char *processor;
    /* found[query * n_panels * PANEL + column] = the sum of products of a query and a column, modulo 2**32.
     * queries: (n_queries, n_pairs, 2); panels: (n_panels, n_pairs, PANEL, 2), a column in each lane */
    void (*products)(const int16_t *queries, int64_t n_queries, const int16_t *panels, int64_t n_panels,
                     int64_t n_pairs, int32_t *found);
    /* found[row] += the sum of weights of terms, for a block; rows: (n_common, BLOCK / 2, 2), where the second half of
     * the block is beside the first; weights: (n_terms, 2): a pair of the query's weight and 0, and the reverse. The
     * next block, so many numbers further on, is fetched */
    void (*add_common)(const int32_t *terms, const int32_t *weights, int64_t n_terms, const int16_t *rows, int64_t next,
                       int32_t *found);
    int32_t (*largest)(const int32_t *numbers, int64_t n); /* n > 0 */
    /* the kernel's steps of a block, from products with embeddings, bags and forms; see
     * router_model.prediction.kernel.Kernel.of. parts: (2, BLOCK): multiples of PART, and the rest */
    void (*kernel)(const Predictor *predictor, const int32_t *embeddings, const int32_t *bags, const int32_t *distances,
                   int16_t *parts);
    /* total += PART * parts[0] + parts[1]; parts: (2, n). Exact in float64 */
    void (*add_parts)(const int32_t *parts, int64_t n, double *total);
    void (*add_float_row)(double value, const float *row, int64_t n_columns, double *total);
    /* left[tree] = the leaves that the tests of shared inputs leave.
     * inputs: (n_shared, LANES), left: (n_trees, LANES) */
    void (*test_shared)(const Forest *forest, const float *inputs, uint32_t *left);
    /* total[lane] += the score of every tree for the other inputs, (n_inputs - n_shared, n_groups * LANES); `left` has
     * what the shared ones leave, of every LANES-th number. n_groups is at most MOST_GROUPS */
    void (*add_trees)(const Forest *forest, const float *inputs, const uint32_t *left, int64_t n_groups, double *total);
} Loops;

/* The kinds of processors that this one can stand in for, the fastest first. */
int n_supported(void);
const Loops *supported(int place);

#endif
