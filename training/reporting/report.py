"""Measure what a router is worth, on a table of outcomes or on a log, as far as a report says it.

On a table, the outcomes of all models are known, and the router is compared with each of them on the same prompts
(`training.measuring.evaluate`). On a log, only one model answered each request. What the router would have brought is
estimated from explored choices (`training.offpolicy`). Definitions are those of these modules; this one puts their
results together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import hash_of
from router_model.training.drift.checks import Thresholds, check_price_ages
from router_model.training.drift.finding import Finding as DriftFinding
from router_model.training.drift.watch import NEEDED, DriftReport, read_calls, watch
from router_model.training.measuring.by_task import Tasks, difference_by_task
from router_model.training.measuring.evaluate import evaluate, read_mix
from router_model.training.measuring.evaluation import Decided, Evaluation
from router_model.training.measuring.failures import Failing, failing_kinds
from router_model.training.measuring.paired import independent_groups
from router_model.training.measuring.verdict import MARGIN, Difference, Verdict
from router_model.training.metrics import Reliability, reliability_curve
from router_model.training.offpolicy.evaluate_on_log import LogEvaluation, evaluate_on_log
from router_model.training.offpolicy.logged import LoggedDecisions, read_logged
from router_model.training.offpolicy.savings import Ledger, savings
from router_model.training.reporting.volume import UNKNOWN, Volume, of_log, stated
from router_model.training.table.outcomes import Outcomes
from router_model.wording import percent


@dataclass(frozen=True, slots=True)
class Today:
    """What is compared with as today's way to choose models.

    Attributes
    ----------
    name : in words
    difference : the router minus it
    cost_usd : its mean cost of a request
    """

    name: str
    difference: Difference
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a router is worth.

    Attributes
    ----------
    router : Router
    source : what it was measured on, in words
    volume : over which money is counted
    margin : loss of quality that does not matter
    best : the best single model
    best_cost_usd : its mean cost of a request
    router_cost_usd : the router's
    against_best : Difference
    today : Today or None
        None if nobody said what today's mix is.
    verdict : of routing against single models
    evaluation : Evaluation or None
        On a table.
    ledger, on_log, drift : None on a table; no `drift` of a log that lacks its columns
    tasks : None on a log, whose tasks are in `on_log`
    failing : kinds of prompts on which answers fail most
    n_judged, n_failed : answers that the search for failures had, and those that failed
    n_seen : counted prompts that the router was trained on, or on near duplicates of
    reliability : None if no outcome has a probability
    prices : findings about the ages of prices
    """

    router: Router
    source: str
    volume: Volume
    margin: float
    best: str
    best_cost_usd: float
    router_cost_usd: float
    against_best: Difference
    today: Today | None
    verdict: Verdict
    failing: tuple[Failing, ...]
    n_judged: int
    n_failed: int
    reliability: Reliability | None
    prices: tuple[DriftFinding, ...]
    n_seen: int = 0
    evaluation: Evaluation | None = None
    tasks: Tasks | None = None
    ledger: Ledger | None = None
    on_log: LogEvaluation | None = None
    drift: DriftReport | None = field(default=None)


def report_on_table(
    router: Router,
    outcomes: Outcomes,
    *,
    source: str,
    requests_a_month: float | None = None,
    today: Mapping[str, float] | None = None,
    include_seen: bool = False,
) -> Report:
    """Measure a router on a table of outcomes.

    Parameters
    ----------
    source : name of the table, in words
    requests_a_month : the volume; without it, money is counted per 1,000 requests
    today : model -> share of the requests that it gets today
    include_seen : see `evaluate`

    Raises
    ------
    TableError
        If a model is missing, today's mix names another one, or no prompt is left to count.
    RequestError
        If the volume is not above 0.
    """
    volume = UNKNOWN if requests_a_month is None else stated(requests_a_month)
    evaluation = evaluate(router, outcomes, include_seen=include_seen, mix=today or None, keep_decisions=True)
    decided = evaluation.decided
    if decided is None or evaluation.verdict is None:
        raise AssertionError("the evaluation did not keep what it was asked to keep")
    costs = {single.label: single.cost_usd for single in evaluation.singles}
    # Decided.success of an answer that is known is corrected for those that are not, so it need not be 0 or 1.
    graded = decided.outcomes.quality
    known = np.where(np.isnan(graded), np.nan, succeeds(graded, evaluation.quality_bar))
    failing, n_judged, n_failed = _failures(decided, known)
    return Report(
        router=router,
        source=f"{evaluation.n_prompts:,} prompts of {source}",
        volume=volume,
        margin=_margin(router),
        best=evaluation.best_single,
        best_cost_usd=costs[evaluation.best_single],
        router_cost_usd=evaluation.router.cost_usd,
        against_best=evaluation.against[evaluation.best_single],
        today=_today(evaluation, today, costs),
        verdict=evaluation.verdict,
        failing=failing,
        n_judged=n_judged,
        n_failed=n_failed,
        reliability=None if np.isnan(known).all() else reliability_curve(decided.table.p_success, known, n_bins=10),
        prices=_prices(router),
        n_seen=evaluation.n_seen + evaluation.n_near,
        evaluation=evaluation,
        tasks=difference_by_task(decided),
    )


def report_on_log(
    router: Router,
    table: Path,
    *,
    source: str,
    requests_a_month: float | None = None,
    supported_only: bool = False,
    on: date | None = None,
) -> Report:
    """Measure a router on the log of a service; today's mix is the policy that wrote it, as it ran.

    Parameters
    ----------
    table : what ``router-model log export`` wrote
    source : name of the log, in words
    requests_a_month : the volume [that of the log, if it covers a day]
    supported_only : leave out decisions that the log could not have made

    Raises
    ------
    SupportError
        If the log could not have made choices of the router, or could not have chosen any single model.
    TableError
        If nothing is left, graded or billed.
    """
    log = read_logged(table)
    on_log = evaluate_on_log(router, log, supported_only=supported_only)
    ledger = savings(log, router=router, judge_router=True, supported_only=supported_only)
    if ledger.against_log is None:
        raise AssertionError("the ledger did not judge the router")
    is_whole = set(NEEDED) <= set(pl.read_parquet_schema(table))  # a log of another tool may lack columns
    calls = read_calls(table) if is_whole else None
    failing, n_judged, n_failed = _logged_failures(router, log)
    return Report(
        router=router,
        source=f"{ledger.n_decisions:,} of {ledger.n_logged:,} decisions of {source}",
        volume=of_log(table) if requests_a_month is None else stated(requests_a_month),
        margin=MARGIN,
        best=ledger.best,
        best_cost_usd=ledger.singles[ledger.best].cost_usd.value,
        router_cost_usd=ledger.routed.cost_usd.value,
        against_best=ledger.against[ledger.best],
        today=Today("what the service did", ledger.against_log, on_log.as_logged.cost_usd.value),
        verdict=ledger.verdict,
        failing=failing,
        n_judged=n_judged,
        n_failed=n_failed,
        reliability=None if calls is None else _logged_reliability(calls),
        prices=_prices(router, on),
        ledger=ledger,
        on_log=on_log,
        drift=None if calls is None else watch(router, table, Thresholds(), calls=calls),
    )


def _margin(router: Router) -> float:
    return float(router.artifact.provenance.get("config", {}).get("max_quality_loss", MARGIN))


def _today(evaluation: Evaluation, mix: Mapping[str, float] | None, costs: Mapping[str, float]) -> Today | None:
    if not mix or evaluation.against_mix is None:
        return None
    shares = read_mix(mix, list(costs))
    name = next(iter(shares)) if len(shares) == 1 else ", ".join(f"{percent(s)} {model}" for model, s in shares.items())
    return Today(name, evaluation.against_mix, sum(share * costs[model] for model, share in shares.items()))


def _failures(decided: Decided, known: npt.NDArray[np.float64]) -> tuple[tuple[Failing, ...], int, int]:
    """Look for kinds of failures among the answers that are known: 1 for a success, 0 for a failure, else NaN."""
    judged = np.flatnonzero(~np.isnan(known[np.arange(len(decided.chosen)), decided.chosen]))
    failed = known[judged, decided.chosen[judged]] == 0
    another = (known[judged] == 1).any(axis=1)
    names = np.array(decided.outcomes.models)[decided.chosen[judged]].tolist()
    kept = decided.outcomes.take(judged)
    embedding = decided.features.embedding[judged]
    groups = decided.groups[judged]
    found = failing_kinds(
        kept.prompts, embedding, failed, failed & another, models=names, tasks=kept.tasks, groups=groups
    )
    return tuple(found), len(judged), int(failed.sum())


def _logged_failures(router: Router, log: LoggedDecisions) -> tuple[tuple[Failing, ...], int, int]:
    """Look for kinds of failures among the graded answers of a log, whoever chose them."""
    from router_model.features.featuriser import featurise  # noqa: PLC0415  (only logs are featurised again)

    quality = log.outcomes.quality[np.arange(len(log)), log.taken]
    judged = np.flatnonzero(~np.isnan(quality))
    kept = log.outcomes.take(judged)
    failed = ~succeeds(quality[judged], router.artifact.operating_point.quality_bar)
    names = np.array(log.outcomes.models)[log.taken[judged]].tolist()
    embedding = featurise(kept.prompts, router.encoder).embedding
    nothing = np.zeros(len(judged), dtype=np.bool_)
    groups = independent_groups(kept.split_keys, [hash_of(prompt) for prompt in kept.prompts])
    found = failing_kinds(kept.prompts, embedding, failed, nothing, models=names, tasks=kept.tasks, groups=groups)
    return tuple(found), len(judged), int(failed.sum())


def _logged_reliability(calls: pl.DataFrame) -> Reliability | None:
    """Return how the probabilities came true that were logged when the decisions were made."""
    told = calls.filter(pl.col("quality").is_not_null() & pl.col("p_success").is_between(0, 1))
    if told.is_empty():
        return None
    success = (told["quality"] >= told["quality_bar"].fill_null(0.5)).cast(pl.Float64)
    return reliability_curve(told["p_success"].to_numpy(), success.to_numpy(), n_bins=10)


def _prices(router: Router, on: date | None = None) -> tuple[DriftFinding, ...]:
    day = on or date.today()  # noqa: DTZ011  (prices have dates without a time zone)
    return tuple(check_price_ages(router.catalog, router.models, day, Thresholds()))
