"""Draw figures for the report, the notebooks and MLflow (matplotlib, extra ``benchmark``).

Each function draws one figure from results and returns it as a matplotlib `Figure`, without pyplot's global state. The
caller saves it.
"""

from router_model.training.benchmark.plots.differences import paired_differences, shift_by_task
from router_model.training.benchmark.plots.frontiers import cost_and_quality, frontiers
from router_model.training.benchmark.plots.reliability import reliability_curves
from router_model.training.benchmark.plots.savings import TaskSaving, savings_by_task
from router_model.training.benchmark.plots.shares import decision_shares

__all__ = [
    "TaskSaving",
    "cost_and_quality",
    "decision_shares",
    "frontiers",
    "paired_differences",
    "reliability_curves",
    "savings_by_task",
    "shift_by_task",
]
