"""The metrics that Prometheus reads.

Counts decisions, degradations, exploration, calls of providers, cost, budgets and the state of the log. With several
workers the numbers are totals over all of them: each keeps its own in files of the folder
``PROMETHEUS_MULTIPROC_DIR``, which `router-model serve` makes, and whichever is asked adds them up; the log's numbers
of the other workers are then up to a second old.
Labels are ids of candidates, providers and keys, and words of ours, never what a caller made up: their number stays
bounded.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from router_model.serving.decision_log.log import LogStats
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.query import Query, Routed
from router_model.serving.providers.failures import FailureKind

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
OTHER: Final = "other"
"""Label of a model or provider that is not a candidate's."""
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
_Mode: TypeAlias = Literal["livesum", "livemax", "livemostrecent"]


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
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self._labelled: dict[tuple[str, str], Any] = {}
        self._decisions = self._counter("router_decisions_total", "Decisions.", ("model", "reason"))
        self._seconds = self._histogram("router_decision_seconds", "Time to decide.", (), _DECISION_BUCKETS)
        self._degraded = self._counter("router_degraded_total", "Answers with the default plan.", ("by",))
        self._explored = self._counter("router_explored_total", "Decisions that tried another candidate.")
        self._reloads = self._counter("router_reloads_total", "Artifacts loaded or refused.", ("result",))
        self._saved = self._counter(
            "router_cost_saved_usd_total",
            "Expected cost of the plan's dearest candidate less the chosen one's.",
            ("baseline",),
        )
        pair = ("provider", "model")
        self._cost = self._counter("router_cost_usd_total", "Cost of calls, forwarded or reported.", ("model",))
        self._upstream = self._histogram(
            "router_upstream_seconds", "Latency of calls, forwarded or reported.", pair, _UPSTREAM_BUCKETS
        )
        self._first_token = self._histogram(
            "router_first_token_seconds", "Time to the first token of forwarded calls.", pair, _FIRST_TOKEN_BUCKETS
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
        self._challenger = self._counter(
            "router_challenger_total", "What came of asking the challenger, by what it does.", ("mode", "outcome")
        )
        self._challenger_cpu = self._counter(
            "router_challenger_cpu_seconds_total", "Processor time that challengers took to decide."
        )
        self._canary_running = self._gauge("router_canary_running", "1 while a canary runs.", mode="livemax")
        self._canary_looks = self._counter("router_canary_looks_total", "Looks at the canary.", ("result",))
        self._canary_stops = self._counter("router_canary_stops_total", "Canaries stopped by themselves.", ("metric",))
        self._feedback = self._counter("router_feedback_total", "Feedback taken.")
        self._level_shifts = self._gauge(
            "router_level_shift",
            "What feedback shifts the log odds of a model's success by.",
            ("model",),
            mode="livemostrecent",
        )
        self._shifted: set[str] = set()
        self._responses = self._counter(
            "router_responses_stored_total", "Responses that were to be kept: yes, or why not.", ("kept",)
        )
        self._errors = self._counter("router_errors_total", "Requests answered with an error.", ("code",))
        self._sessions = self._gauge("router_sessions", "Conversations in memory.")
        self._log_gauges = {name: self._gauge(*about) for name, about in _LOG_GAUGES.items()}
        self._log_counters = {name: self._counter(*about) for name, about in _LOG_COUNTERS.items()}
        self._log_available = self._gauge("router_log_unavailable", "Workers whose store did not take the last batch.")
        self._seen: dict[str, float] = {}

    def observe(self, query: Query, routed: Routed) -> None:
        """Count a decision, its time, and what it is expected to save; an observer of the engine."""
        del query
        key = (routed.model, routed.reason)
        counter = self._labelled.get(key)
        if counter is None:
            counter = self._labelled[key] = self._decisions.labels(*key)
        counter.inc()
        self._seconds.observe(routed.decision_s)
        if routed.degraded:
            self._degraded.labels(routed.degraded_by or "unknown").inc()
        if routed.explored:
            self._explored.inc()
        if routed.predicted:
            costs = routed.plan.column("expected_cost_usd")
            self._saved.labels("dearest").inc(max(costs) - costs[0])

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

    def update(self, log: LogStats, engine: Mapping[str, Any]) -> None:
        """Take over the state of this worker's log and engine, as its ``status`` has it."""
        for name, counter in self._log_counters.items():
            self._advance(counter, name, getattr(log, name))
        for name, result in _RELOADS.items():
            self._advance(self._reloads.labels(result), name, engine.get(name, 0))
        challenger = engine.get("challenger") or {}
        for mode, outcomes in challenger.get("asked", {}).items():
            for outcome, n in outcomes.items():
                self._advance(self._challenger.labels(mode, outcome), f"challenger {mode} {outcome}", n)
        self._advance(self._challenger_cpu, "challenger cpu", challenger.get("cpu_s", 0.0))
        self._update_canary(engine.get("canary") or {})
        for name, gauge in self._log_gauges.items():
            gauge.set(getattr(log, name))
        self._log_available.set(not log.available)
        self._sessions.set(engine.get("sessions", {}).get("in_memory", 0))
        shifts = (engine.get("levels") or {}).get("shifts", {})
        self._shifted |= shifts.keys()
        for model in self._shifted:  # one that is shifted no longer is at 0
            self._level_shifts.labels(model).set(shifts.get(model, {}).get("log_odds", 0.0))

    def _update_canary(self, canary: Mapping[str, Any]) -> None:
        self._canary_running.set(bool(canary.get("running")))
        for name, result in (("looks", "begun"), ("failed", "failed")):
            self._advance(self._canary_looks.labels(result), f"canary {name}", canary.get(name, 0))
        for metric, n in canary.get("stops", {}).items():
            self._advance(self._canary_stops.labels(metric), f"canary stops {metric}", n)

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
