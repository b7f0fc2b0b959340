"""Why a router decided so: `Router.route` with ``explain=True``."""

from router_model.explanation.records import (
    Change,
    Changes,
    Contribution,
    CostGap,
    Explanation,
    LoggedOutcome,
    Neighbour,
    SuccessExplanation,
    SurfaceContribution,
)

__all__ = [
    "Change",
    "Changes",
    "Contribution",
    "CostGap",
    "Explanation",
    "LoggedOutcome",
    "Neighbour",
    "SuccessExplanation",
    "SurfaceContribution",
]
