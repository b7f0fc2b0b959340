"""The settings of a router in its report: a frontier with the one as trained, and a table of cheaper ones."""

from router_model.charts import CostPoint, frontier
from router_model.charts.names import short_model, usd
from router_model.charts.scatter import PointKind
from router_model.pages.blocks import Block, Bullets, Figure, Folded, Table
from router_model.training.measuring.evaluation import Evaluation
from router_model.training.offpolicy.evaluate_on_log import PolicyValue
from router_model.training.offpolicy.savings import Ledger
from router_model.training.reporting.figures import router_frontier
from router_model.training.reporting.report import Report
from router_model.training.reporting.wording import percent, percent_between, points, points_between

_PER_1000 = 1000


def settings_blocks(report: Report) -> tuple[Block, ...]:
    """Return what the router's settings cost and bring."""
    if report.evaluation is not None:
        return _of_table(report, report.evaluation)
    return () if report.ledger is None else _of_log(report, report.ledger)


def _of_table(report: Report, evaluation: Evaluation) -> tuple[Block, ...]:
    settings = {"as trained": report.against_best}
    settings |= {f"position {position} of 10": difference for position, difference in evaluation.cheaper.items()}
    rows = []
    for name, difference in settings.items():
        saved = 0.0 if difference.saved_usd is None else difference.saved_usd.value
        cost = usd((report.best_cost_usd - saved) * _PER_1000)
        saving = percent(difference.saving.value), percent_between(difference.saving).removeprefix("95 %: ")
        quality = points(difference.quality), points_between(difference.quality).removeprefix("95 %: ")
        rows.append((name, cost, *saving, *quality))
    return (
        Figure(
            lambda width: router_frontier(evaluation, width=width),
            "The line is what the router brings as an answer is worth little to much, found in hindsight. "
            "The filled diamond is its setting as trained; hollow ones are cheaper settings, which a request can ask "
            "for. Bars are 95 % intervals of the difference to the best single model. Circles are models that answer "
            "everything; the dashed line mixes them by lot. The cost axis is logarithmic.",
        ),
        Table.of(
            ("setting", "$ per 1,000", "saves", "95 %", "quality", "95 %"),
            rows,
            f"Settings against {report.best}. A request asks for one with `cost_quality_tradeoff`.",
        ),
        Folded("What could have been kept for how much, in hindsight", (_hindsight(evaluation),)),
    )


def _hindsight(evaluation: Evaluation) -> Block:
    rows = [
        (
            f"{tradeoff.share:.0%} of the best model's quality",
            "not at any setting" if tradeoff.saving is None else percent(tradeoff.saving),
            "-" if tradeoff.quality_value_usd is None else f"{tradeoff.quality_value_usd:g}",
        )
        for tradeoff in evaluation.tradeoffs
    ]
    return Table.of(("kept", "saved", "--quality-value-usd"), rows)


def _of_log(report: Report, ledger: Ledger) -> tuple[Block, ...]:
    found = [_point(short_model(model), value, "single") for model, value in ledger.singles.items()]
    found.append(_point("the router", ledger.routed, "router"))
    if report.on_log is not None:
        found.append(_point("today", report.on_log.as_logged, "option"))
    unknown = tuple(f"Nothing can be said of `{model}`: {why}." for model, why in ledger.unknown.items())
    figure = Figure(
        lambda width: frontier(found, width=width, height=380),
        "What the router would have brought, what the service did, and what each model alone would have brought, "
        "estimated from explored choices (doubly robust), with 95 % intervals. The cost axis is logarithmic.",
    )
    return (figure, Bullets(unknown)) if unknown else (figure,)


def _point(label: str, value: PolicyValue, kind: PointKind) -> CostPoint:
    quality, cost = value.quality, max(value.cost_usd.value, 0.0)
    return CostPoint(label, cost, quality.value, quality.low, quality.high, kind=kind, needed=kind != "single")
