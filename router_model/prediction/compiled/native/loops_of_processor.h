/* Included by loops.c once for each kind of processor, with NAME(function) and TARGET defined.
 *
 * These are plain loops that compilers turn into vector instructions. All sums are exact, so vectors of any length give
 * the same bits (docs/decisions/0013-exact-evidence.md).
 */

TARGET static void NAME(products)(const int16_t *restrict query, const int16_t *restrict rows, int64_t n_rows,
                                  int64_t size, int32_t *restrict found)
{
    for (int64_t row = 0; row < n_rows; row++) {
        const int16_t *own = rows + row * size;
        int32_t total = 0;
        for (int64_t each = 0; each < size; each++)
            total += (int32_t)query[each] * (int32_t)own[each];
        found[row] = total;
    }
}

TARGET static void NAME(squared_distances)(const int16_t *restrict query, const int16_t *restrict rows,
                                           int64_t n_rows, int64_t size, int32_t *restrict found)
{
    for (int64_t row = 0; row < n_rows; row++) {
        const int16_t *own = rows + row * size;
        int32_t total = 0;
        for (int64_t each = 0; each < size; each++) {
            int16_t apart = (int16_t)(query[each] - own[each]);
            total += (int32_t)apart * (int32_t)apart;
        }
        found[row] = total;
    }
}

TARGET static void NAME(add_two)(int32_t first_weight, const int16_t *restrict first, int32_t second_weight,
                                 const int16_t *restrict second, int64_t size, int32_t *restrict found)
{
    for (int64_t each = 0; each < size; each++)
        found[each] += first_weight * first[each] + second_weight * second[each];
}

TARGET static int32_t NAME(largest)(const int32_t *numbers, int64_t n)
{
    int32_t most = numbers[0];
    for (int64_t each = 1; each < n; each++)
        most = numbers[each] > most ? numbers[each] : most;
    return most;
}

TARGET static void NAME(exponents)(const int32_t *restrict products, const int32_t *restrict bags,
                                   const int32_t *restrict distances, const double *sharpness, double largest,
                                   int64_t n, int32_t *restrict steps)
{
    const double cosine_step = 1.0 / ((double)GRID_STEPS * GRID_STEPS), form_step = 0.5 / (FORM_STEPS * FORM_STEPS);
    const double of_embedding = sharpness[0], of_bag = sharpness[1], of_surface = sharpness[2];
    for (int64_t row = 0; row < n; row++) {
        double exponent = of_embedding * (products[row] * cosine_step) + of_bag * (bags[row] * cosine_step);
        exponent = exponent + of_surface * (-form_step * distances[row]);
        exponent = (exponent - (of_embedding + of_bag)) * -(double)EXPONENT_STEPS;
        exponent = exponent > 0.0 ? exponent : 0.0;
        exponent = exponent < largest ? exponent : largest;
        steps[row] = (int32_t)(exponent + 0.5);
    }
}

TARGET static void NAME(add_rows)(const double *restrict values, const int16_t *restrict rows, int64_t n_rows,
                                  int64_t n_columns, double *restrict total)
{
    int64_t row = 0;
    for (; row + 4 <= n_rows; row += 4) { /* four at a time, because each pass reads and writes the whole sum */
        const double a = values[row], b = values[row + 1], c = values[row + 2], d = values[row + 3];
        const int16_t *first = rows + row * n_columns, *second = first + n_columns;
        const int16_t *third = second + n_columns, *fourth = third + n_columns;
        for (int64_t column = 0; column < n_columns; column++)
            total[column] += (a * first[column] + b * second[column]) + (c * third[column] + d * fourth[column]);
    }
    for (; row < n_rows; row++)
        for (int64_t column = 0; column < n_columns; column++)
            total[column] += values[row] * rows[row * n_columns + column];
}

TARGET static void NAME(add_float_row)(double value, const float *restrict row, int64_t n_columns,
                                       double *restrict total)
{
    for (int64_t column = 0; column < n_columns; column++)
        total[column] += value * row[column];
}

TARGET static void NAME(add_trees)(const Forest *forest, const float *restrict inputs,
                                   const uint32_t *restrict shared, double *restrict total)
{
    for (int64_t tree = 0; tree < forest->n_trees; tree++) {
        uint32_t possible[LANES];
        for (int lane = 0; lane < LANES; lane++)
            possible[lane] = shared[tree];
        for (int32_t test = forest->first_own[tree]; test < forest->first_test[tree + 1]; test++) {
            const float *read = inputs + (int64_t)forest->input[test] * LANES;
            const float most = forest->threshold[test];
            const uint32_t left = forest->allowed[test];
            for (int lane = 0; lane < LANES; lane++) /* a passed test sets all bits; NaN passes none */
                possible[lane] &= left | -(uint32_t)(read[lane] <= most);
        }
        const double *own = forest->leaf + tree * MOST_LEAVES;
        for (int lane = 0; lane < LANES; lane++) /* the lowest leaf left; the highest if a forged tree leaves none */
            total[lane] += own[__builtin_ctz(possible[lane] | 1u << (MOST_LEAVES - 1))];
    }
}

static const Loops NAME(loops) = {
    PROCESSOR,       NAME(products), NAME(squared_distances), NAME(add_two),   NAME(largest),
    NAME(exponents), NAME(add_rows), NAME(add_float_row),     NAME(add_trees),
};
