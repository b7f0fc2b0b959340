/* The loops that take the time, compiled for several kinds of processors; the best one is chosen at run time. */
#ifndef ROUTER_MODEL_LOOPS_H
#define ROUTER_MODEL_LOOPS_H

#include <stdint.h>

struct forest;

typedef struct loops {
    const char *processor;
    /* found[row] = query . rows[row]; for vectors up to unit length in steps of the grid at most 2**28 */
    void (*products)(const int16_t *query, const int16_t *rows, int64_t n_rows, int64_t size, int32_t *found);
    /* found[row] = |query - rows[row]|**2; for forms up to length 3 at most 36 of their steps squared */
    void (*squared_distances)(const int16_t *query, const int16_t *rows, int64_t n_rows, int64_t size, int32_t *found);
    /* found += first_weight * first + second_weight * second */
    void (*add_two)(int32_t first_weight, const int16_t *first, int32_t second_weight, const int16_t *second,
                    int64_t size, int32_t *found);
    int32_t (*largest)(const int32_t *numbers, int64_t n); /* n > 0 */
    /* steps of kernel exponents, see router_model.prediction.kernel.Kernel.of */
    void (*exponents)(const int32_t *products, const int32_t *bags, const int32_t *distances, const double *sharpness,
                      double largest, int64_t n, int32_t *steps);
    /* total += values @ rows, exact in float64 */
    void (*add_rows)(const double *values, const int16_t *rows, int64_t n_rows, int64_t n_columns, double *total);
    void (*add_float_row)(double value, const float *row, int64_t n_columns, double *total);
    /* total[lane] += the score of every tree for the inputs (n_inputs, LANES); `shared` has what other tests left */
    void (*add_trees)(const struct forest *forest, const float *inputs, const uint32_t *shared, double *total);
} Loops;

/* The kinds of processors that this one can stand in for, the fastest first. */
int n_supported(void);
const Loops *supported(int place);

#endif
