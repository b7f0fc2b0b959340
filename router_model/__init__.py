"""Choose, for each prompt, the language model to call: load a trained `Router` and ask it for decisions.

`train`, `evaluate`, `compare`, `evaluate_on_log` and `watch` make and measure routers. The commands call them, too.

The public names of the library are listed here. Each is imported when it is first used, so that the command line's
``--help`` does not wait for LightGBM to load.

>>> import router_model
>>> "Router" in dir(router_model)
True
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# LightGBM's threads would spin while they wait for each other, and training would take several times the processor's
# time (docs/decisions/0003). OpenMP reads this when LightGBM loads it, so it is set here, before any module that does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from router_model.catalog import Catalog, ModelCard
    from router_model.certificate import Certificate
    from router_model.commands.log_source import read_log
    from router_model.decision import Decision, Exclusion, Reason
    from router_model.errors import (
        ArtifactError,
        CatalogError,
        RequestError,
        RouterModelError,
        TableError,
        TrainingError,
        UsageError,
    )
    from router_model.explanation_records import Explanation
    from router_model.goal import QualityValue, SuccessValue, TargetSuccess, Tradeoff
    from router_model.pacing.budget import PacingBudget
    from router_model.pacing.pacing import BudgetPacer, Paced
    from router_model.plan import PlanStep
    from router_model.prediction_table import PredictionTable
    from router_model.router import Router
    from router_model.screening.constraints import Constraints
    from router_model.screening.screening import NoCandidateError
    from router_model.spend_curve import SpendCurve
    from router_model.training.drift.watch import DriftReport, watch
    from router_model.training.estimator import RouterEstimator
    from router_model.training.load_or_train import load_or_train
    from router_model.training.measuring.compare import Comparison, compare
    from router_model.training.measuring.evaluate import evaluate
    from router_model.training.measuring.evaluation import Evaluation
    from router_model.training.measuring.regrets import worst_regrets
    from router_model.training.offpolicy.evaluate_on_log import LogEvaluation, evaluate_on_log
    from router_model.training.reporting.from_python import report
    from router_model.training.table.outcomes import Outcomes, read_outcomes
    from router_model.training.train import TrainConfig, TrainingReport, train

__all__ = [
    "ArtifactError",
    "BudgetPacer",
    "Catalog",
    "CatalogError",
    "Certificate",
    "Comparison",
    "Constraints",
    "Decision",
    "DriftReport",
    "Evaluation",
    "Exclusion",
    "Explanation",
    "LogEvaluation",
    "ModelCard",
    "NoCandidateError",
    "Outcomes",
    "Paced",
    "PacingBudget",
    "PlanStep",
    "PredictionTable",
    "QualityValue",
    "Reason",
    "RequestError",
    "Router",
    "RouterEstimator",
    "RouterModelError",
    "SpendCurve",
    "SuccessValue",
    "TableError",
    "TargetSuccess",
    "Tradeoff",
    "TrainConfig",
    "TrainingError",
    "TrainingReport",
    "UsageError",
    "compare",
    "evaluate",
    "evaluate_on_log",
    "load_or_train",
    "read_log",
    "read_outcomes",
    "report",
    "train",
    "watch",
    "worst_regrets",
]

_HOMES = {
    "BudgetPacer": "pacing.pacing",
    "Catalog": "catalog",
    "Certificate": "certificate",
    "Comparison": "training.measuring.compare",
    "Constraints": "screening.constraints",
    "Decision": "decision",
    "DriftReport": "training.drift.watch",
    "Evaluation": "training.measuring.evaluation",
    "Exclusion": "decision",
    "Explanation": "explanation_records",
    "LogEvaluation": "training.offpolicy.evaluate_on_log",
    "ModelCard": "catalog",
    "NoCandidateError": "screening.screening",
    "Outcomes": "training.table.outcomes",
    "Paced": "pacing.pacing",
    "PacingBudget": "pacing.budget",
    "PlanStep": "plan",
    "PredictionTable": "prediction_table",
    "QualityValue": "goal",
    "Reason": "decision",
    "Router": "router",
    "RouterEstimator": "training.estimator",
    "SpendCurve": "spend_curve",
    "SuccessValue": "goal",
    "TargetSuccess": "goal",
    "Tradeoff": "goal",
    "TrainConfig": "training.train",
    "TrainingReport": "training.train",
    "compare": "training.measuring.compare",
    "evaluate": "training.measuring.evaluate",
    "evaluate_on_log": "training.offpolicy.evaluate_on_log",
    "load_or_train": "training.load_or_train",
    "read_log": "commands.log_source",
    "read_outcomes": "training.table.outcomes",
    "report": "training.reporting.from_python",
    "train": "training.train",
    "watch": "training.drift.watch",
    "worst_regrets": "training.measuring.regrets",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (--help stays fast)

        return version("router-model")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
