"""Choose, for each prompt, the language model to call: load a trained `Router` and ask it for decisions.

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
    from router_model.decision import Decision, Exclusion, PlanStep, PredictionTable, Reason
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
    from router_model.pacing.budget import PacingBudget
    from router_model.pacing.pacing import BudgetPacer, Paced
    from router_model.router import Router
    from router_model.screening.constraints import Constraints
    from router_model.screening.screening import NoCandidateError
    from router_model.spend_curve import SpendCurve

__all__ = [
    "ArtifactError",
    "BudgetPacer",
    "Catalog",
    "CatalogError",
    "Certificate",
    "Constraints",
    "Decision",
    "Exclusion",
    "Explanation",
    "ModelCard",
    "NoCandidateError",
    "Paced",
    "PacingBudget",
    "PlanStep",
    "PredictionTable",
    "Reason",
    "RequestError",
    "Router",
    "RouterModelError",
    "SpendCurve",
    "TableError",
    "TrainingError",
    "UsageError",
]

_HOMES = {
    "BudgetPacer": "pacing.pacing",
    "Catalog": "catalog",
    "ModelCard": "catalog",
    "Certificate": "certificate",
    "Constraints": "screening.constraints",
    "Decision": "decision",
    "Exclusion": "decision",
    "Explanation": "explanation_records",
    "NoCandidateError": "screening.screening",
    "Paced": "pacing.pacing",
    "PacingBudget": "pacing.budget",
    "PlanStep": "decision",
    "PredictionTable": "decision",
    "Reason": "decision",
    "Router": "router",
    "SpendCurve": "spend_curve",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
