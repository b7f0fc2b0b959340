"""Metrics of predictions and of routers, computed from arrays, each with its formula and source.

`frontier` measures a router's configurations, `two_models` a choice between two models, and `prediction` the predicted
probabilities and amounts. `bootstrap` gives confidence intervals for all of them.
"""

from router_model.training.metrics.bootstrap import bootstrap_metrics, bootstrap_realised, interval, resample_weights
from router_model.training.metrics.frontier import (
    Points,
    Singles,
    aiq,
    aiq_log,
    arena_score,
    cost_save,
    pareto_distance,
    perf_gain,
    undominated,
)
from router_model.training.metrics.null import frontier_null, level_predictions, realised_means
from router_model.training.metrics.prediction import (
    Reliability,
    auc_by_model,
    brier,
    calibration_error,
    excess_calibration_error,
    log_loss,
    log_loss_by_task,
    mean_auc,
    median_percentage_error,
    reliability_curve,
)
from router_model.training.metrics.two_models import apgr, cpt

__all__ = [
    "Points",
    "Reliability",
    "Singles",
    "aiq",
    "aiq_log",
    "apgr",
    "arena_score",
    "auc_by_model",
    "bootstrap_metrics",
    "bootstrap_realised",
    "brier",
    "calibration_error",
    "cost_save",
    "cpt",
    "excess_calibration_error",
    "frontier_null",
    "interval",
    "level_predictions",
    "log_loss",
    "log_loss_by_task",
    "mean_auc",
    "median_percentage_error",
    "pareto_distance",
    "perf_gain",
    "realised_means",
    "reliability_curve",
    "resample_weights",
    "undominated",
]
