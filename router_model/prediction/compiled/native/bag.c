/* The bag of word pieces of one prompt, as router_model.features.bag.BagVocabulary weighs it. */
#include <math.h>
#include <stdlib.h>

#include "predictor.h"

#define FREE (-1)

/* Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4). */
static int64_t first_slot(int64_t code, int64_t n_slots)
{
    uint64_t mixed = (uint64_t)code * 0x9E3779B97F4A7C15u;
    return (int64_t)((mixed ^ (mixed >> 32)) & (uint64_t)(n_slots - 1));
}

/* Return the slot of a code, or the free slot for it. */
static int64_t slot_of(int64_t code, const int64_t *codes, const int32_t *slots, int64_t n_slots)
{
    int64_t slot = first_slot(code, n_slots);
    while (slots[slot] != FREE && codes[slots[slot]] != code)
        slot = (slot + 1) & (n_slots - 1);
    return slot;
}

/* A power of two that leaves at least half of the slots free. */
static int64_t slots_for(int64_t n_codes)
{
    int64_t n = 2;
    while (n < 2 * n_codes)
        n *= 2;
    return n;
}

static int32_t *free_slots(int64_t n_slots)
{
    int32_t *slots = malloc((size_t)n_slots * sizeof *slots);
    if (slots != NULL)
        for (int64_t slot = 0; slot < n_slots; slot++)
            slots[slot] = FREE;
    return slots;
}

int fill_slots(Predictor *predictor)
{
    predictor->n_slots = slots_for(predictor->n_terms);
    predictor->slots = free_slots(predictor->n_slots);
    if (predictor->slots == NULL)
        return -1;
    for (int64_t place = 0; place < predictor->n_terms; place++)
        predictor->slots[slot_of(predictor->codes[place], predictor->codes, predictor->slots, predictor->n_slots)] =
            (int32_t)place;
    return 0;
}

typedef struct {
    int64_t *codes;
    int32_t *counts, *slots;
    int64_t n, n_slots;
} Counted;

static void count(Counted *counted, int64_t code)
{
    int64_t slot = slot_of(code, counted->codes, counted->slots, counted->n_slots);
    if (counted->slots[slot] == FREE) {
        counted->codes[counted->n] = code;
        counted->counts[counted->n] = 0;
        counted->slots[slot] = (int32_t)counted->n++;
    }
    counted->counts[counted->slots[slot]]++;
}

/* Write the known terms (places in the vocabulary, in the order of the prompt) and their weights in steps of the grid.
 * There is room for 2 n of both. Returns how many there are. `coverage` is the share of the prompt's different terms
 * that are known. */
int64_t weigh_bag(const Predictor *predictor, const int64_t *pieces, int64_t n, int64_t *terms, int16_t *weights,
                  double *coverage)
{
    Counted counted = {.n_slots = slots_for(2 * n)};
    counted.codes = malloc((size_t)(2 * n + 1) * sizeof *counted.codes);
    counted.counts = malloc((size_t)(2 * n + 1) * sizeof *counted.counts);
    counted.slots = free_slots(counted.n_slots);
    double *steps = malloc((size_t)(2 * n + 1) * sizeof *steps);
    int64_t n_known = -1;
    if (counted.codes == NULL || counted.counts == NULL || counted.slots == NULL || steps == NULL)
        goto done;
    for (int64_t each = 0; each < n; each++)
        count(&counted, pieces[each]);
    for (int64_t each = 0; each + 1 < n; each++)
        count(&counted, (pieces[each] + 1) * N_WORD_PIECES + pieces[each + 1]);
    n_known = 0;
    double square = 0.0; /* of the length; exact, as weights are whole numbers */
    for (int64_t each = 0; each < counted.n; each++) {
        int64_t slot = slot_of(counted.codes[each], predictor->codes, predictor->slots, predictor->n_slots);
        int32_t place = predictor->slots[slot];
        if (place == FREE)
            continue;
        int64_t own = counted.counts[each] < predictor->n_frequency ? counted.counts[each] : predictor->n_frequency - 1;
        steps[n_known] = rint(predictor->frequency[own] * predictor->idf[place] * WEIGHT_STEPS);
        square += steps[n_known] * steps[n_known];
        terms[n_known++] = place;
    }
    double norm = square > 0 ? sqrt(square) : 1.0;
    for (int64_t each = 0; each < n_known; each++)
        weights[each] = (int16_t)rint(steps[each] / norm * GRID_STEPS);
    *coverage = (double)n_known / (double)(counted.n > 0 ? counted.n : 1);
done:
    free(counted.codes);
    free(counted.counts);
    free(counted.slots);
    free(steps);
    return n_known;
}
