/* Included by loops.c once for each kind of processor, with NAME(function), TARGET and the vector's operations defined.
 *
 * Compilers turn the plain loops into vector instructions. All sums of integers are exact, so vectors of any length
 * give the same bits (docs/decisions/0013-exact-evidence.md).
 */

#define N_LANES ((int)(sizeof(VECTOR) / sizeof(int32_t)))

/* For two vectors of columns and some queries, whose sums stay in registers. */
TARGET ALWAYS_INLINE static void NAME(two_vectors)(const int n_queries, const int16_t *queries, const int16_t *first,
                                                   const int16_t *second, int64_t n_pairs, int32_t *found,
                                                   int32_t *found_second, int64_t n_columns)
{
    VECTOR total[4][2];
    for (int query = 0; query < n_queries; query++)
        total[query][0] = total[query][1] = SPREAD(0);
    for (int64_t pair = 0; pair < n_pairs; pair++) {
        const VECTOR a = LOAD(first + pair * 2 * PANEL), b = LOAD(second + pair * 2 * PANEL);
        __builtin_prefetch(first + pair * 2 * PANEL + AHEAD);
        __builtin_prefetch(second + pair * 2 * PANEL + AHEAD);
        for (int query = 0; query < n_queries; query++) {
            int32_t both;
            memcpy(&both, queries + (query * n_pairs + pair) * 2, sizeof both);
            const VECTOR own = SPREAD(both);
            total[query][0] = ADD_PRODUCTS(total[query][0], own, a);
            total[query][1] = ADD_PRODUCTS(total[query][1], own, b);
        }
    }
    for (int query = 0; query < n_queries; query++) {
        STORE(found + query * n_columns, total[query][0]);
        STORE(found_second + query * n_columns, total[query][1]);
    }
}

TARGET static void NAME(products)(const int16_t *queries, int64_t n_queries, const int16_t *panels, int64_t n_panels,
                                  int64_t n_pairs, int32_t *found)
{
    const int64_t n_columns = n_panels * PANEL;
    for (int64_t column = 0; column < n_columns; column += 2 * N_LANES) {
        const int64_t next = column + N_LANES < n_columns ? column + N_LANES : column; /* the last may be alone */
        const int16_t *first = panels + (column / PANEL * n_pairs * PANEL + column % PANEL) * 2;
        const int16_t *second = panels + (next / PANEL * n_pairs * PANEL + next % PANEL) * 2;
        int64_t query = 0;
#define SOME(n) \
    NAME(two_vectors) \
    (n, queries + query * n_pairs * 2, first, second, n_pairs, found + query * n_columns + column, \
     found + query * n_columns + next, n_columns)
        for (; query + 4 <= n_queries; query += 4)
            SOME(4);
        for (; query + 2 <= n_queries; query += 2)
            SOME(2);
        if (query < n_queries)
            SOME(1);
#undef SOME
    }
}

TARGET static void NAME(add_common)(const int32_t *terms, const int32_t *weights, int64_t n_terms, const int16_t *rows,
                                    int64_t next, int32_t *found)
{
    for (int64_t row = 0; row < BLOCK / 2; row += 2 * N_LANES) { /* the first half of the block, and the second */
        int32_t *halves[2] = {found + row, found + row + BLOCK / 2};
        VECTOR total[2][2];
        for (int half = 0; half < 2; half++)
            for (int place = 0; place < 2; place++)
                total[half][place] = LOAD(halves[half] + place * N_LANES);
        for (int64_t each = 0; each < n_terms; each++) {
            const int16_t *own = rows + terms[each] * BLOCK + 2 * row;
            const VECTOR weight[2] = {SPREAD(weights[2 * each]), SPREAD(weights[2 * each + 1])};
            for (int place = 0; place < 2; place++) {
                const VECTOR both = LOAD(own + 2 * place * N_LANES);
                __builtin_prefetch(own + 2 * place * N_LANES + next);
                for (int half = 0; half < 2; half++) /* the other of both is multiplied by 0 */
                    total[half][place] = ADD_PRODUCTS(total[half][place], weight[half], both);
            }
        }
        for (int half = 0; half < 2; half++)
            for (int place = 0; place < 2; place++)
                STORE(halves[half] + place * N_LANES, total[half][place]);
    }
}

TARGET static int32_t NAME(largest)(const int32_t *numbers, int64_t n)
{
    int32_t most = numbers[0];
    for (int64_t each = 1; each < n; each++)
        most = numbers[each] > most ? numbers[each] : most;
    return most;
}

TARGET static void NAME(kernel)(const Predictor *predictor, const int32_t *restrict embeddings,
                                const int32_t *restrict bags, const int32_t *restrict distances,
                                int16_t *restrict parts)
{
    const double cosine_step = 1.0 / ((double)GRID_STEPS * GRID_STEPS), form_step = 0.5 / (FORM_STEPS * FORM_STEPS);
    const double of_embedding = predictor->sharpness[0], of_bag = predictor->sharpness[1];
    const double of_surface = predictor->sharpness[2];
    const double largest = (double)(predictor->n_low * predictor->n_high - 1);
    const double *restrict high = predictor->exp_high, *restrict low = predictor->exp_low;
    int32_t steps[BLOCK];
    for (int64_t row = 0; row < BLOCK; row++) {
        double exponent = of_embedding * (embeddings[row] * cosine_step) + of_bag * (bags[row] * cosine_step);
        exponent = exponent + of_surface * (-form_step * distances[row]);
        exponent = (exponent - (of_embedding + of_bag)) * -(double)EXPONENT_STEPS;
        exponent = exponent > 0.0 ? exponent : 0.0;
        exponent = exponent < largest ? exponent : largest;
        steps[row] = (int32_t)(exponent + 0.5);
    }
    for (int64_t row = 0; row < BLOCK; row++) {
        const int32_t value = (int32_t)(high[steps[row] >> LOW_BITS] * low[steps[row] & ((1 << LOW_BITS) - 1)] + 0.5);
        parts[row] = (int16_t)(value / PART);
        parts[BLOCK + row] = (int16_t)(value % PART);
    }
}

TARGET static void NAME(add_parts)(const int32_t *restrict parts, int64_t n, double *restrict total)
{
    for (int64_t each = 0; each < n; each++)
        total[each] += (double)PART * parts[each] + parts[n + each];
}

TARGET static void NAME(add_float_row)(double value, const float *restrict row, int64_t n_columns,
                                       double *restrict total)
{
    for (int64_t column = 0; column < n_columns; column++)
        total[column] += value * row[column];
}

/* Make some tests for some rows; a passed test sets all bits, and NaN passes none. */
TARGET ALWAYS_INLINE static void NAME(make_tests)(const Forest *forest, int32_t test, int32_t end, const float *inputs,
                                                  int64_t first_input, int64_t n_rows, VECTOR *possible)
{
    for (; test < end; test++) {
        const float *read = inputs + (forest->input[test] - first_input) * n_rows;
        const float most = forest->threshold[test];
        const uint32_t left = forest->allowed[test];
        for (int64_t row = 0; row < n_rows; row += N_LANES)
            KEEP(possible[row / N_LANES], read + row, most, left);
    }
}

TARGET static void NAME(test_shared)(const Forest *forest, const float *restrict inputs, uint32_t *restrict left)
{
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        VECTOR possible[LANES / N_LANES];
        for (int64_t place = 0; place < LANES / N_LANES; place++)
            possible[place] = SPREAD(-1);
        NAME(make_tests)(forest, forest->first_test[tree], forest->first_own[tree], inputs, 0, LANES, possible);
        for (int64_t place = 0; place < LANES / N_LANES; place++)
            STORE(left + tree * LANES + place * N_LANES, possible[place]);
    }
}

TARGET ALWAYS_INLINE static void NAME(some_groups)(const Forest *forest, const float *restrict inputs,
                                                   const uint32_t *restrict left, const int n_groups,
                                                   double *restrict total)
{
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        VECTOR possible[MOST_GROUPS * LANES / N_LANES];
        for (int64_t place = 0; place < n_groups * LANES / N_LANES; place++)
            possible[place] = SPREAD((int32_t)left[tree * LANES]);
        NAME(make_tests)(forest, forest->first_own[tree], forest->first_test[tree + 1], inputs, *forest->n_shared,
                         n_groups * LANES, possible);
        for (int group = 0; group < n_groups; group++)
            ADD_LEAVES(possible + group * LANES / N_LANES, forest->leaf + tree * forest->n_leaves, forest->n_leaves,
                       total + group * LANES);
    }
}

TARGET static void NAME(add_trees)(const Forest *forest, const float *inputs, const uint32_t *left, int64_t n_groups,
                                   double *total)
{
    if (n_groups == 1)
        NAME(some_groups)(forest, inputs, left, 1, total);
    else
        NAME(some_groups)(forest, inputs, left, MOST_GROUPS, total);
}

static const Loops NAME(loops) = {
    PROCESSOR,       NAME(products),      NAME(add_common),  NAME(largest),   NAME(kernel),
    NAME(add_parts), NAME(add_float_row), NAME(test_shared), NAME(add_trees),
};

#undef N_LANES
#undef TARGET
#undef PROCESSOR
#undef NAME
#undef VECTOR
#undef LOAD
#undef STORE
#undef SPREAD
#undef ADD_PRODUCTS
#undef KEEP
#undef ADD_LEAVES
