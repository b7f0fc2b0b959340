"""What a saved router says of itself: what it learned from, how it was measured, and what it promises.

An artifact need not hold all of it: older ones, starters and routers that were trained without a held-out part lack
some. What is not there is listed (`RouterFacts.missing`), with what would bring it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from router_model.candidates import graded_models
from router_model.catalog import OLD_PRICE_DAYS
from router_model.charts import Bin
from router_model.router import Router
from router_model.serving.console.plan_views import short_hash
from router_model.wording import usd

_MEASURES: Final = {
    "auc": ("AUC", "how well the predictions tell good answers from bad ones; 0.5 is chance"),
    "calibration_error": ("Calibration error", "how far predicted probabilities are from what happened"),
    "brier": ("Brier score", "mean squared error of the probabilities; lower is better"),
    "log_loss": ("Log loss", "lower is better"),
}
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Point:
    """A way to choose models, on the held-out prompts: what a request cost in USD, and the mean quality."""

    label: str
    cost_usd: float
    quality: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on prompts that were held out.

    Attributes
    ----------
    n_prompts : int
    verdict : whether routing pays, in words
    point : the router at its operating point
    frontier : the router over all values of quality, the cheapest first
    singles : one model alone each
    figures : name, value and meaning of measures of the probabilities
    reliability : answers with about the same predicted probability, and how many of them succeeded
    shares : model and share of prompts that it got, the largest first
    """

    n_prompts: int
    verdict: str
    point: Point
    frontier: tuple[Point, ...]
    singles: tuple[Point, ...]
    figures: tuple[tuple[str, float, str], ...]
    reliability: tuple[Bin, ...]
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """A certificate: whether it promises something, and what, in words."""

    certified: bool
    words: str


@dataclass(frozen=True, slots=True)
class PriceAges:
    """How old the candidates' prices are.

    Attributes
    ----------
    n_models, n_unknown, n_old : int
        Of the candidates; those without a date; those of `OLD_PRICE_DAYS` or more.
    oldest_days : int or None
    """

    n_models: int
    n_unknown: int
    n_old: int
    oldest_days: int | None


@dataclass(frozen=True, slots=True)
class RouterFacts:
    """A router, as its page shows it.

    Attributes
    ----------
    name : first digits of its content hash
    content_hash : str
    is_starter : bool
    n_models, n_graded, n_announced : int
    trained_on : in words
    rule : the default rule, in words
    safe_model : str or None
    measured : Measured or None
    promises : Sequence of Promise
    prices : PriceAges
    shifts : model and shift of its log odds that feedback has brought, the largest first
    missing : what the artifact does not hold: what, and what would bring it
    """

    name: str
    content_hash: str
    is_starter: bool
    n_models: int
    n_graded: int
    n_announced: int
    trained_on: str
    rule: str
    safe_model: str | None
    measured: Measured | None
    promises: Sequence[Promise]
    prices: PriceAges
    shifts: Sequence[tuple[str, float]]
    missing: Sequence[tuple[str, str]]


def router_facts(router: Router, today: date) -> RouterFacts:
    """Return what is known of a router."""
    artifact, graded = router.artifact, graded_models(router.artifact)
    measured = _measured(artifact.metrics)
    promises = [Promise(one.certified, one.in_words()) for one in router.certificates]
    shifts = {} if router.levels is None else {one: by.log_odds for one, by in router.levels.shifts.items()}
    return RouterFacts(
        name=short_hash(router),
        content_hash=artifact.content_hash,
        is_starter=artifact.is_starter,
        n_models=len(router.models),
        n_graded=len(graded),
        n_announced=len(router.models) - len(graded),
        trained_on=_trained_on(router),
        rule=_rule(router),
        safe_model=artifact.safe_model,
        measured=measured,
        promises=promises,
        prices=price_ages(router, today),
        shifts=sorted(shifts.items(), key=lambda shift: -abs(shift[1]))[:_SHOWN],
        missing=_missing(router, measured, promises),
    )


def price_ages(router: Router, today: date) -> PriceAges:
    """Return how old the prices of a router's candidates are."""
    known = [card.price_date for card in router.catalog.cards.values() if card.price_date is not None]
    days = [max((today - one).days, 0) for one in known]
    n_models = len(router.catalog)
    n_old = sum(one >= OLD_PRICE_DAYS for one in days)
    return PriceAges(n_models, n_models - len(days), n_old, max(days, default=None))


def _trained_on(router: Router) -> str:
    if router.artifact.is_starter:
        return "public tables, without these models: nobody has graded them here"
    provenance = router.artifact.provenance
    n_prompts = provenance.get("split", {}).get("train")
    n_outcomes = provenance.get("table", {}).get("n_outcomes")
    said = "an unknown number of prompts" if n_prompts is None else f"{n_prompts:,} prompts"
    return said if n_outcomes is None else f"{said}, of a table of {n_outcomes:,} outcomes"


def _rule(router: Router) -> str:
    starter = router.artifact.provenance.get("starter")
    if starter:
        return str(starter["why"])
    point = router.artifact.operating_point
    if point.always_model is not None:
        return f"always {point.always_model}; no other rule was shown to be as good"
    value, bar = point.quality_value_usd, point.quality_bar
    return f"expected quality x {usd(value)} - expected cost; an answer succeeds at quality {bar:g}"


def _measured(metrics: Mapping[str, Any]) -> Measured | None:
    """Read what training measured; None where no part of the table was held out."""
    if "router" not in metrics or "frontier" not in metrics:
        return None
    curve, figures = metrics["frontier"], metrics.get("metrics", {})
    points = {(cost, quality) for cost, quality in zip(curve["cost_usd"], curve["quality"], strict=True)}
    return Measured(
        n_prompts=metrics["n_prompts"],
        verdict=(metrics.get("verdict") or {}).get("sentence", ""),
        point=_point(metrics["router"]),
        frontier=tuple(Point("router", *one) for one in sorted(points)),
        singles=tuple(_point(one) for one in metrics["singles"]),
        figures=tuple(
            (name, figures[key], why) for key, (name, why) in _MEASURES.items() if figures.get(key) is not None
        ),
        reliability=tuple(
            Bin(one["predicted"], one["observed"], one["n"])
            for one in metrics.get("reliability", ())  # older routers have none
        ),
        shares=tuple(sorted(metrics["shares"].items(), key=lambda share: -share[1])[:_SHOWN]),
    )


def _point(said: Mapping[str, Any]) -> Point:
    return Point(said["label"], said["cost_usd"], said["quality"])


def _missing(router: Router, measured: Measured | None, promises: Sequence[Promise]) -> list[tuple[str, str]]:
    found = []
    if router.artifact.is_starter:
        found.append(
            ("measurements", "collect and grade outcomes, and train on them (router-model collect, grade, train)")
        )
    elif measured is None:
        found.append(("measurements", "train with a held-out part (the default), or run 'router-model evaluate'"))
    if not promises:
        found.append(("certificate", "train with --target-success to certify a success rate"))
    if router.artifact.spend_curve is None:
        found.append(("spend curve", "budget pacing cannot start from it; train again"))
    if router.artifact.reference is None:
        found.append(("reference for announced models", "models that nobody graded cannot be predicted; train again"))
    if router.artifact.bank_prompts is None or router.artifact.bank_prompts.texts is None:
        found.append(("texts of logged prompts", "explanations name neighbours by id alone; train with --keep-prompts"))
    return found
