"""The metrics that Prometheus reads.

Counts decisions, degradations, exploration, calls of providers, cost, budgets and the state of the log. With several
workers the numbers are totals over all of them: each keeps its own in files of the folder
``PROMETHEUS_MULTIPROC_DIR``, which `router-model serve` makes, and whichever is asked adds them up; the log's numbers
of the other workers are then up to a second old.
Labels are ids of candidates, providers and keys, and words of ours, never what a caller made up: their number stays
bounded.
"""

import os
import platform
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import nan
from typing import Any, Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from router_model.plan import Plan
from router_model.router import Router
from router_model.sequential.canary import METRICS
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.log import LogStats
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.query import Query, Routed
from router_model.serving.monitoring.worker_ends import FOLDER_VARIABLE, RESTARTS
from router_model.serving.providers.failures import FailureKind

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
"""Label of a model or provider that is not a candidate's."""
BEST_SINGLE: Final = "best_single"
"""The baseline of savings: the model to call if one had to answer everything, by the artifact."""
SUCCESS: Final = "success"
CLIENT_GONE: Final = "client_gone"
"""Error type of an attempt whose caller went away."""
BREAKER_STATES: Final = {"closed": 0, "half_open": 1, "open": 2}
"""The value of `router_breaker_state` for each state of a breaker."""
MAX_TARGETS: Final = 2000
"""The most pairs of provider and model that get separate labels."""
MAX_UNLISTED: Final = 100
"""Of those, pairs whose model is in neither the catalog nor the providers' file: a caller may have made it up."""

_DECISION_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_FIRST_TOKEN_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
_OUTCOMES: Final = frozenset({SUCCESS, CLIENT_GONE, *FailureKind})
_FAILED_STATUS: Final = 400
_REMEMBERED_DECISIONS: Final = 10_000
_UPSTREAM_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_LOG_GAUGES: Final = {
    "depth": ("router_log_queue_depth", "Records that wait for the writer."),
    "spool_depth": ("router_log_spool_depth", "Records in the spool."),
}
_LOG_COUNTERS: Final = {
    "written": ("router_log_written_total", "Records written to the store."),
    "spooled": ("router_log_spooled_total", "Records put into the spool, as the store was away."),
    "replayed": ("router_log_replayed_total", "Records brought from the spool to the store."),
    "dropped": ("router_log_dropped_total", "Records that are not in the log and will not be."),
    "rejected": ("router_log_rejected_total", "The part of those dropped that lies in the rejects file."),
}
_RELOADS: Final = {"swaps": "loaded", "refusals": "refused"}
_Mode: TypeAlias = Literal["livesum", "livemin", "livemax", "livemostrecent"]


def outcome_of(attempt: AttemptRecord) -> str:
    """Return how an attempt ended: ``success``, ``client_gone``, a `FailureKind` or ``other``.

    What a refusal was of (``refused:tools``) is in the log alone.

    >>> from datetime import datetime
    >>> [outcome_of(AttemptRecord("a", None, datetime.min, status=status)) for status in (200, 503)]
    ['success', 'other']
    """
    failed = attempt.error_type is not None or (attempt.status or 0) >= _FAILED_STATUS
    outcome = (attempt.error_type or (OTHER if failed else SUCCESS)).partition(":")[0]
    return outcome if outcome in _OUTCOMES else OTHER


class Telemetry:
    """The service's metrics, in a registry of their own.

    Parameters
    ----------
    routers : names of the service's routers; those of ``auto`` first
    """

    def __init__(self, routers: Sequence[str] = (DEFAULT_ROUTER,)) -> None:
        self.registry: Final = CollectorRegistry()
        self._labelled: dict[tuple[str, str, str], Any] = {}
        self._decisions = self._counter("router_decisions_total", "Decisions.", ("model", "reason", "router"))
        self._seconds = self._histogram("router_decision_seconds", "Time to decide.", ("router",), _DECISION_BUCKETS)
        self._degraded = self._counter("router_degraded_total", "Answers with the default plan.", ("by", "router"))
        self._explored = self._counter("router_explored_total", "Decisions that tried another candidate.", ("router",))
        self._reloads = self._counter("router_reloads_total", "Artifacts loaded or refused.", ("result", "router"))
        self._ready = self._gauge(
            "router_ready", "1 where a router decides, 0 where its artifact was refused.", ("router",), mode="livemin"
        )
        self._timed = {name: self._seconds.labels(name) for name in routers}
        baseline = ("baseline", "router")
        self._saved = self._counter(
            "router_cost_saved_usd_total",
            "What decisions were expected to save against the baseline; those that cost more are counted apart.",
            baseline,
        )
        self._added = self._counter(
            "router_cost_added_usd_total", "What decisions were expected to cost more than the baseline.", baseline
        )
        build = self._gauge("router_build_info", "1; its labels are versions.", ("version", "python"), mode="livemax")
        build.labels(version("router-model"), platform.python_version()).set(1)
        self._artifact = self._gauge(
            "router_artifact_info",
            "1 of the artifact that decides, else 0.",
            ("artifact", "policy", "router"),
            mode="livemax",
        )
        self._decides: dict[str, tuple[str, str]] = {}
        self._written = self._gauge(
            "router_artifact_written_timestamp_seconds",
            "When the artifact was written, and with it its certificates; 0 without one.",
            ("router",),
            mode="livemostrecent",
        )
        self._certificates = self._gauge(
            "router_certificates", "Targets that the artifact may promise.", ("router",), mode="livemostrecent"
        )
        self._prices_checked = self._gauge(
            "router_price_checked_timestamp_seconds",
            "When the prices of a candidate were last checked; 0: its catalog does not say.",
            ("model", "router"),
            mode="livemostrecent",
        )
        self._priced: dict[str, set[str]] = {name: set() for name in routers}
        self._key_cost = self._counter("router_key_cost_usd_total", "Cost of calls, forwarded, by key.", ("key",))
        pair = ("provider", "model")
        self._cost = self._counter("router_cost_usd_total", "Cost of calls, forwarded or reported.", ("model",))
        self._upstream = self._histogram(
            "router_upstream_seconds", "Latency of calls, forwarded or reported.", pair, _UPSTREAM_BUCKETS
        )
        self._first_token = self._histogram(
            "router_first_token_seconds",
            "Time to the first token of forwarded calls that come as streams.",
            pair,
            _FIRST_TOKEN_BUCKETS,
        )
        self._attempts = self._counter("router_attempts_total", "Forwarded calls.", (*pair, "outcome"))
        self._estimated = self._counter(
            "router_usage_estimated_total",
            "Forwarded calls whose provider said nothing of their tokens or cost, or what cannot be.",
            (*pair, "reason"),
        )
        self._breakers = self._gauge(
            "router_breaker_state", "0 closed, 1 half open, 2 open; the worst of the workers.", pair, mode="livemax"
        )
        self._keys = self._gauge(
            "router_key_state",
            "Of a key at a model (*: at all): 0 in use, 1 tried again, 2 paused; the worst of the workers.",
            ("provider", "key", "model"),
            mode="livemax",
        )
        self._budget_spent = self._counter("router_budget_spent_usd_total", "Settled cost of calls.", ("key",))
        self._budget_refused = self._counter("router_budget_refused_total", "Calls a budget did not allow.", ("key",))
        self._budget_remaining = self._gauge(
            "router_budget_remaining_usd",
            "Neither spent nor reserved, when a call was last allowed.",
            ("key",),
            mode="livemostrecent",
        )
        self._targets: set[tuple[str, str]] = set()
        self._n_unlisted = 0
        self._with_breaker: set[tuple[str, str]] = set()
        self._forwarded: OrderedDict[str, None] = OrderedDict()
        self._make_trials()
        self._counter(*RESTARTS)  # 0 here always: whoever starts the workers counts
        for name in routers:
            self._begin_at_0(name)
        self._feedback = self._counter("router_feedback_total", "Feedback taken.")
        self._level_shifts = self._gauge(
            "router_level_shift",
            "What feedback shifts the log odds of a model's success by.",
            ("model", "router"),
            mode="livemostrecent",
        )
        self._shifted: dict[str, set[str]] = {name: set() for name in routers}
        self._responses = self._counter(
            "router_responses_stored_total", "Responses that were to be kept: yes, or why not.", ("kept",)
        )
        self._errors = self._counter("router_errors_total", "Requests answered with an error.", ("code",))
        self._sessions = self._gauge("router_sessions", "Conversations in memory.")
        self._log_gauges = {name: self._gauge(*about) for name, about in _LOG_GAUGES.items()}
        self._log_counters = {name: self._counter(*about) for name, about in _LOG_COUNTERS.items()}
        self._log_available = self._gauge("router_log_unavailable", "Workers whose store did not take the last batch.")
        self._seen: dict[str, float] = {}

    def _make_trials(self) -> None:
        """Make the metrics of challengers and canaries."""
        self._challenger = self._counter(
            "router_challenger_total",
            "What came of asking the challenger, by what it does.",
            ("mode", "outcome", "router"),
        )
        self._challenger_cpu = self._counter(
            "router_challenger_cpu_seconds_total", "Processor time that challengers took to decide.", ("router",)
        )
        self._canary_running = self._gauge(
            "router_canary_running", "1 while a canary runs.", ("router",), mode="livemax"
        )
        self._canary_looks = self._counter("router_canary_looks_total", "Looks at the canary.", ("result", "router"))
        self._canary_stops = self._counter(
            "router_canary_stops_total", "Canaries stopped by themselves.", ("metric", "router")
        )

    def _begin_at_0(self, router: str) -> None:
        """Show counters before they count: of one that appears with its first number Prometheus sees no increase."""
        for counter in (self._saved, self._added):
            counter.labels(BEST_SINGLE, router)
        for metric in METRICS:
            self._canary_stops.labels(metric, router)
        self._explored.labels(router)
        self._challenger_cpu.labels(router)

    def observe(self, query: Query, routed: Routed) -> None:
        """Count a decision, its time, and what it is expected to save; an observer of the engine."""
        router = query.router
        key = (routed.model, routed.reason, router)
        counter = self._labelled.get(key)
        if counter is None:
            counter = self._labelled[key] = self._decisions.labels(*key)
        counter.inc()
        self._timed[router].observe(routed.decision_s)
        if routed.degraded:
            self._degraded.labels(routed.degraded_by or "unknown", router).inc()
        if routed.explored:
            self._explored.labels(router).inc()
        if routed.predicted and routed.best_single is not None:
            self._count_saved(routed.plan, routed.best_single, router)

    def _count_saved(self, plan: Plan, best_single: str, router: str) -> None:
        """Count what a choice saves against the best single model; nothing where that one was no candidate.

        A counter cannot fall, so what is saved and what is added are two: their difference is what routing saves.
        """
        if best_single in plan.models:
            costs = plan.column("expected_cost_usd")
            saved = costs[plan.models.index(best_single)] - costs[0]
            (self._saved if saved >= 0 else self._added).labels(BEST_SINGLE, router).inc(abs(saved))

    def count_outcome(self, outcome: AttemptRecord, *, providers: dict[str, str | None]) -> None:
        """Count what a call cost and how long it took, as its caller reported it.

        One of a decision whose calls were forwarded here has been counted already.

        Parameters
        ----------
        providers : the candidates' by model
        """
        if outcome.decision_id in self._forwarded:
            return
        model = outcome.model if outcome.model in providers else OTHER
        known = outcome.provider is not None and outcome.provider in providers.values()
        provider = outcome.provider if known else providers.get(model or OTHER)
        if outcome.cost_usd is not None:
            self._cost.labels(model).inc(outcome.cost_usd)
        if outcome.latency_s is not None:
            self._upstream.labels(provider or OTHER, model).observe(outcome.latency_s)

    def count_attempt(self, attempt: AttemptRecord, *, is_listed: bool = True) -> None:
        """Count a call of a provider that is over.

        Parameters
        ----------
        is_listed : bool
            Whether the catalog or the providers' file names the model; one that they do not, and that has not answered,
            gets no label of its own.
        """
        if attempt.decision_id is not None:
            self._remember(attempt.decision_id)
        provider, model = attempt.provider or OTHER, attempt.model or OTHER
        target = self._target(provider, model, is_listed=is_listed, has_answered=attempt.error_type is None)
        self._attempts.labels(*target, outcome_of(attempt)).inc()
        if attempt.cost_usd is not None:
            self._cost.labels(target[1]).inc(max(attempt.cost_usd, 0.0))
            if attempt.key_id is not None:  # of a key in the file: their number is the operator's to choose
                self._key_cost.labels(attempt.key_id).inc(max(attempt.cost_usd, 0.0))
        for reason in attempt.usage_estimated.split(", ") if attempt.usage_estimated else ():
            self._estimated.labels(*target, reason).inc()
        if attempt.latency_s is not None:
            self._upstream.labels(*target).observe(attempt.latency_s)
        if attempt.first_token_s is not None:
            self._first_token.labels(*target).observe(attempt.first_token_s)

    def attempt_observer(self, is_listed: Callable[[str | None], bool]) -> Callable[[AttemptRecord], None]:
        """Return an observer that counts attempts; `is_listed` tells whether a model has a label of its own."""

        def count(attempt: AttemptRecord) -> None:
            self.count_attempt(attempt, is_listed=is_listed(attempt.model))

        return count

    def set_breakers(self, states: Mapping[tuple[str, str], str], is_listed: Callable[[str], bool]) -> None:
        """Set the state, one of `BREAKER_STATES`, of the breaker of each model at a provider; others are closed.

        Of models that share a label, the worst state counts.
        """
        # Breakers that are no longer named are closed; a gauge that is not set again would keep the last state.
        worst = dict.fromkeys(self._with_breaker, 0)
        for (provider, model), state in states.items():
            labels = self._named(provider, model, is_listed=is_listed(model))
            worst[labels] = max(worst.get(labels, 0), BREAKER_STATES[state])
        for labels, number in worst.items():
            self._breakers.labels(*labels).set(number)
        self._with_breaker = set(worst)

    def set_key(self, provider: str, key: str, model: str | None, state: str, *, is_listed: bool) -> None:
        """Set the state, one of `BREAKER_STATES`, of a key for a model or as a whole; `key` is its variable's name."""
        own = "*" if model is None else self._named(provider, model, is_listed=is_listed)[1]
        self._keys.labels(provider, key, own).set(BREAKER_STATES[state])

    def set_budget_remaining(self, account: str, usd: float) -> None:
        """Set what is left of the budget of a key, or of the service."""
        self._budget_remaining.labels(account).set(usd)

    def count_budget_spent(self, account: str, usd: float) -> None:
        """Count what a call cost whose key, or the service, has a budget."""
        self._budget_spent.labels(account).inc(usd)

    def count_budget_refused(self, account: str) -> None:
        """Count a call that was refused, as it might have cost more than is left."""
        self._budget_refused.labels(account).inc()

    def count_feedback(self) -> None:
        """Count one judgement."""
        self._feedback.inc()

    def count_response(self, kept: str) -> None:
        """Count a response that was to be kept: ``yes``; or why not: ``log``, ``volume``, ``error``."""
        self._responses.labels(kept).inc()

    def count_error(self, code: str) -> None:
        """Count a request that was answered with an error."""
        self._errors.labels(code).inc()

    def _show_router(self, name: str, engine: Mapping[str, Any], router: Router | None) -> None:
        """Show which artifact decides, and how old it, its certificates and its prices are."""
        decides, before = (engine.get("artifact", ""), engine.get("policy_version", "")), self._decides.get(name)
        if decides == before:
            return
        if before is not None:
            self._artifact.labels(*before, name).set(0)
        self._artifact.labels(*decides, name).set(1)
        self._decides[name] = decides
        self._written.labels(name).set(engine.get("written_at") or 0.0)
        self._certificates.labels(name).set(0 if router is None else len(router.certificates))
        cards = {} if router is None else router.catalog.cards
        for model in self._priced[name] - cards.keys():  # no longer a candidate: a NaN sets off no alert
            self._prices_checked.labels(model, name).set(nan)
        self._priced[name] = set(cards)
        for model, card in cards.items():
            day = card.price_date
            at = 0.0 if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
            self._prices_checked.labels(model, name).set(at)

    def update(self, log: LogStats) -> None:
        """Take over the state of this worker's log."""
        for name, counter in self._log_counters.items():
            self._advance(counter, name, getattr(log, name))
        for name, gauge in self._log_gauges.items():
            gauge.set(getattr(log, name))
        self._log_available.set(not log.available)

    def update_router(
        self, name: str, engine: Mapping[str, Any], router: Router | None = None, *, is_ready: bool = True
    ) -> None:
        """Take over the state of a router's engine, as its ``status`` has it, and the router that decides.

        Without `router` the metrics of artifact and prices stay at none.
        """
        self._show_router(name, engine, router)
        self._ready.labels(name).set(is_ready)
        for field, result in _RELOADS.items():
            self._advance(self._reloads.labels(result, name), f"{name} {field}", engine.get(field, 0))
        challenger = engine.get("challenger") or {}
        for mode, outcomes in challenger.get("asked", {}).items():
            for outcome, n in outcomes.items():
                counter = self._challenger.labels(mode, outcome, name)
                self._advance(counter, f"{name} challenger {mode} {outcome}", n)
        cpu_s = challenger.get("cpu_s", 0.0)
        self._advance(self._challenger_cpu.labels(name), f"{name} challenger cpu", cpu_s)
        self._update_canary(name, engine.get("canary") or {})
        # The engines have their conversations in common.
        self._sessions.set(engine.get("sessions", {}).get("in_memory", 0))
        shifts = (engine.get("levels") or {}).get("shifts", {})
        self._shifted[name] |= shifts.keys()
        for model in self._shifted[name]:  # one that is shifted no longer is at 0
            self._level_shifts.labels(model, name).set(shifts.get(model, {}).get("log_odds", 0.0))

    def _update_canary(self, router: str, canary: Mapping[str, Any]) -> None:
        self._canary_running.labels(router).set(bool(canary.get("running")))
        for name, result in (("looks", "begun"), ("failed", "failed")):
            counter = self._canary_looks.labels(result, router)
            self._advance(counter, f"{router} canary {name}", canary.get(name, 0))
        for metric, n in canary.get("stops", {}).items():
            self._advance(self._canary_stops.labels(metric, router), f"{router} canary stops {metric}", n)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format; of all workers if there are several."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            return generate_latest(self.registry)
        # A new registry: this worker's numbers are in the folder, too, and would be there twice.
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def close(self) -> None:
        """Take this worker's gauges out of the totals; its counters stay."""
        if FOLDER_VARIABLE in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def _named(self, provider: str, model: str, *, is_listed: bool) -> tuple[str, str]:
        """Return the labels of a target: its own if it is listed, or was answered as one of few."""
        return provider, model if is_listed or (provider, model) in self._targets else OTHER

    def _target(self, provider: str, model: str, *, is_listed: bool, has_answered: bool) -> tuple[str, str]:
        """Return the labels of a target: its own, unless there are too many."""
        target = provider, model
        if target in self._targets:
            return target
        if not is_listed and (not has_answered or self._n_unlisted >= MAX_UNLISTED):
            return provider, OTHER
        if len(self._targets) >= MAX_TARGETS:
            return OTHER, OTHER
        self._targets.add(target)
        self._n_unlisted += not is_listed
        return target

    def _remember(self, decision_id: str) -> None:
        """Remember the last decisions whose calls were forwarded by this worker."""
        self._forwarded[decision_id] = None
        if len(self._forwarded) > _REMEMBERED_DECISIONS:
            self._forwarded.popitem(last=False)

    def _advance(self, counter: Counter, name: str, total: float) -> None:
        """Let a counter follow a total that is kept elsewhere."""
        counter.inc(max(total - self._seen.get(name, 0), 0))
        self._seen[name] = total

    def _counter(self, name: str, about: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: Sequence[str] = (), mode: _Mode = "livesum") -> Gauge:
        return Gauge(name, about, labels, registry=self.registry, multiprocess_mode=mode)

    def _histogram(self, name: str, about: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        return Histogram(name, about, labels, registry=self.registry, buckets=buckets)
