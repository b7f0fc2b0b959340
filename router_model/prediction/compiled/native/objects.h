/* The objects that Python holds, and the checks of what they are made of. */
#ifndef ROUTER_MODEL_OBJECTS_H
#define ROUTER_MODEL_OBJECTS_H

#include "arrays.h"
#include "predictor.h"

typedef struct {
    PyObject_HEAD
    Arrays arrays;
    Forest forest;
    int64_t last_column; /* the largest that a test reads */
} ForestObject;

typedef struct {
    PyObject_HEAD
    Arrays arrays;
    Predictor predictor;
    PyObject *forests; /* a tuple that keeps them */
} PredictorObject;

extern const Field forest_fields[], predictor_fields[];

/* These return 0, or -1 with an exception set. They are what keeps the computing code within its arrays. */
int refuse(const char *what);
int check_forest(ForestObject *self);
int check_predictor(PredictorObject *self, PyTypeObject *forest_type);

/* Whether a list begins at 0, never goes back, and ends at the number of entries. */
int is_list_of(const void *start, int is_wide, int64_t n, int64_t n_entries);

#endif
