/* The predictor in C, for batches of prompts, with the formulas and names of the numpy code in router_model/prediction.
 * Evidence has numpy's bits; probabilities differ by at most one bit of float32.
 *
 * Arrays belong to Python and are read only. Their shapes and indices are checked once, when they are handed over
 * (arrays.c, checks.c), so the code that computes does not check again. Nothing is global: what a call needs besides is
 * allocated for the call, and any number of threads may predict at once.
 */
#ifndef ROUTER_MODEL_PREDICTOR_H
#define ROUTER_MODEL_PREDICTOR_H

#include <stdint.h>

/* Constants of the numpy code; tests/router_model/compiled/test_native.py compares them. */
#define N_WORD_PIECES 30522
#define GRID_STEPS 16384
#define WEIGHT_STEPS 4096
#define FORM_STEPS 1024
#define MAX_DEVIATIONS 3
#define EXPONENT_STEPS 65536
#define LOW_BITS 11
#define KERNEL_STEPS 1048576
#define FAMILIARITY_STEPS 1024
#define VALUE_STEPS 1048576
#define P_FLOOR 0.005
#define Z 1.6448536
#define LENGTH_EXPONENT 0.30102999566398120
#define LOG_CHARS 0 /* column of the surface features */
#define LONGEST_LOG 15.0

#define N_FAMILIARITY 3
#define N_QUANTILES 3
#define MOST_LEAVES 32 /* their bits are one uint32 */
#define LANES 16       /* rows of a forest that share each test */
#define MOST_GROUPS 4  /* of LANES rows, read a tree at once */
#define TOGETHER 8     /* prompts that share the reading of the bank and of the trees */
#define PANEL 16       /* columns of a matrix that are laid out together, see layout.py */
#define BLOCK 64       /* logged prompts whose outcomes are summed in 32 bits: 64 * 2**10 * (2**15 - 1) < 2**31 */
#define PART 1024      /* a kernel value is PART times a number plus another, both of which have 16 bits */

struct loops;

/* Trees as bit masks; see router_model.prediction.compiled.forest. */
typedef struct forest {
    int64_t n_inputs, n_tests, n_trees, n_leaves;
    const int32_t *column, *missing; /* (n_inputs) */
    const int32_t *first_test;       /* (n_trees + 1); the tests of shared inputs come first in a tree */
    const int32_t *first_own;        /* (n_trees): where the tests of other inputs begin */
    const int32_t *input;            /* (n_tests) */
    const float *threshold;          /* (n_tests) */
    const uint32_t *allowed;         /* (n_tests) */
    const double *leaf;              /* (n_trees, n_leaves), which is 16 or 32 */
    const int64_t *n_boosters;       /* (1) */
    const int64_t *n_shared;         /* (1): the first so many inputs are the same in all rows */
} Forest;

/* See router_model.prediction.compiled.layout for the arrays. */
typedef struct {
    int64_t n_bank, n_rows, dimension, n_surface, n_form, n_terms, n_common, n_low, n_high, n_frequency;
    int64_t n_models, n_targets, n_kinds, n_columns, n_panels, n_bars, n_amounts;
    const struct loops *loops;
    /* the logged prompts, and rows of zeros up to n_rows, which are whole blocks */
    const int64_t *n_logged;     /* (1): n_bank */
    const int16_t *embeddings;   /* (n_rows / PANEL, dimension / 2, PANEL * 2) */
    const int16_t *forms;        /* (n_rows / PANEL, n_form / 2, PANEL * 2); after n_surface numbers come zeros */
    const int32_t *form_squares; /* (n_rows): of the forms' lengths */
    const float *centre, *deviation; /* (n_surface) */
    const int32_t *common_row;   /* (n_terms): row of `common`, or -1 */
    const int16_t *common;       /* (n_rows / BLOCK, n_common, BLOCK): pairs of the halves of a block */
    const int64_t *start;        /* (n_terms + 1): where the list of a term begins; common terms have none */
    const int32_t *prompt;       /* (n_entries) */
    const int16_t *weight;       /* (n_entries) */
    const double *sharpness;     /* (3): embedding, bag, surface */
    const double *exp_low, *exp_high;
    /* the vocabulary */
    const int64_t *codes;        /* (n_terms) */
    const float *idf;            /* (n_terms) */
    const double *frequency;     /* (n_frequency) */
    int32_t *slots;              /* hash table of places in `codes`, our own; n_slots is a power of two */
    int64_t n_slots;
    /* the sums: a column for each (model, target), in the kernel for each (model, target, penalty) */
    const float *embedding_weights; /* (dimension, n_columns) */
    const float *bag_weights;       /* (n_terms, n_columns) */
    const int16_t *kernel_weights;  /* (n_rows / BLOCK, n_panels, BLOCK / 2, PANEL * 2) */
    const double *kernel_step;      /* (n_columns * n_penalties) */
    const float *bias;              /* (n_models, n_targets, n_kinds) */
    /* the boosters' other columns */
    const float *record, *bars;     /* (n_models, n_targets), (n_bars) */
    const double *record_logit;     /* (n_models, n_bars) */
    const int64_t *length_kind;     /* (1): a kind of evidence, or -1 */
    /* probabilities and amounts */
    const double *blend;            /* (n_kinds + 2) */
    const double *slopes;           /* (4, n_bars) */
    const double *intercept;        /* (n_models, n_bars) */
    const double *trust_weights;    /* (4) */
    const double *trust_floor, *longest_log_chars; /* (1), (1) */
    const double *uncertainty;      /* (5) */
    const float *mean_constant, *mean_weights; /* (1), (n_bars) */
    const double *mean_log, *smearing;         /* (n_amounts, n_models) */
    const double *residual_quantiles;          /* (n_amounts, n_models, N_QUANTILES) */
    const Forest **forests;         /* success, then each amount; NULL for an amount without boosters */
} Predictor;

/* Some prompts, one after the other. */
typedef struct {
    int64_t n;
    const int64_t *pieces, *starts; /* word-piece ids; where those of a prompt begin, (n + 1) */
    const float *embedding;         /* (n, embedding_size) */
    const float *surface;           /* (n, surface_stride) */
    int64_t embedding_size, surface_stride;
} Prompts;

/* A quality bar between two learned ones, see BarGrid.between; -1 and n_bars stand for probabilities of 1 and 0. */
typedef struct {
    int64_t below, above;
    float share;
} Bar;

/* All functions return 0, or -1 if there is no memory. */
int fill_slots(Predictor *predictor);
int64_t weigh_bag(const Predictor *predictor, const int64_t *pieces, int64_t n, int64_t *terms, int16_t *weights,
                  double *coverage);

/* Of n prompts from `first` on, at most TOGETHER.
 * values: (n, n_models, n_targets, n_kinds), familiarity: (n, N_FAMILIARITY) */
int collect_evidence(const Predictor *predictor, const Prompts *prompts, int64_t first, int64_t n, float *values,
                     float *familiarity);

/* The scores of some prompts' rows, (n_prompts, n_rows); n_prompts is at most TOGETHER.
 * columns: (n_prompts, n_columns, n_rows); of shared inputs only the first row is read. */
int mean_scores(const Forest *forest, const struct loops *loops, const float *columns, int64_t n_prompts,
                int64_t n_columns, int64_t n_rows, double *scores);
int64_t columns_of(const Predictor *predictor); /* that the boosters read */

float calibrate(const Predictor *predictor, const float *values, const float *familiarity, float log_chars,
                const double *scores, int64_t stride, double *change, float *p);
void at_bar(const Predictor *predictor, const float *p, float trust, Bar bar, float *p_at_bar, float *quality,
            float *interval);
void amounts(const Predictor *predictor, int64_t amount, const double *scores, float *expected, float *quantiles);

/* out: (n, row_width) */
int64_t row_width(const Predictor *predictor);
int predict(const Predictor *predictor, const Prompts *prompts, Bar bar, float *out);

#endif
