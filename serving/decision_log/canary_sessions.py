"""Read the sessions of a canary from a log, for `router_model.sequential.canary`.

- *session*: the decisions of one key and session id, or a decision without a session. It begins with its first
  decision since the canary began, whose arm it has.
- *failed*: a call of a model failed and neither the caller nor the service was to blame, or a decision was degraded.
  It counts at once, also where another model answered instead: who fell back waited and paid.
- *quality*: the mean over the session's calls that were graded (`router_model.serving.decision_log.called_models`).
- *cost*: of all its calls. *latency*: of its slowest request, all attempts.

The last three count once, `window` after the session began, with what is known by then: a value that still changed
could not be looked at again and again. Grades that come later do not count.
"""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from router_model.saved.place import Challenger
from router_model.sequential.canary import Sessions
from router_model.serving.decision_log.called_models import (
    ANSWERED,
    StagedLog,
    in_period,
    known_attempts,
    last_answers,
    of_router,
    qualities,
)
from router_model.serving.decision_log.rows import FIELDS, Kind
from router_model.serving.decision_log.segments import scan
from router_model.serving.decision_log.store import Period, Store
from router_model.serving.formats.format import Surface

CHALLENGER: Final = "challenger"
"""The value of `arm` where the canary's choice was served."""
WINDOW: Final = timedelta(minutes=15)

_DECISION_FIELDS: Final = (
    "decision_id", "created_at", "model", "session_id", "key_id", "degraded", "surface", "arm", "challenger",
    "canary_share", "router",
)  # fmt: skip
_FORWARDED: Final = [surface.value for surface in Surface]
_NOT_THE_MODELS: Final = ("client_gone", "shutdown", "busy", "bad_request")
_CALLERS_STATUSES: Final = (400, 422)


async def canary_sessions(
    store: Store, canary: Challenger, *, now: datetime, window: timedelta = WINDOW, router: str | None = None
) -> Sessions:
    """Return the sessions of a canary, in order of their beginning.

    Parameters
    ----------
    store : Store
        Opened.
    now : sessions that began within `window` before have no quality, cost and latency yet
    router : what the log calls the router whose place the canary is in; None: any that tries it

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    period = Period(since=canary.since)
    without_answers = tuple(name for name in FIELDS[Kind.FEEDBACK] if name != "comment")
    with tempfile.TemporaryDirectory(prefix="router-canary-") as name:
        folder = Path(name)
        log = StagedLog(
            decisions=await store.stage(Kind.DECISION, period, folder, fields=_DECISION_FIELDS),
            attempts=await store.stage(Kind.ATTEMPT, period, folder),
            feedback=await store.stage(Kind.FEEDBACK, period, folder, fields=without_answers),
            period=period,
            router=router,
        )
        return _sessions(log, canary, now, window)


def _sessions(log: StagedLog, canary: Challenger, now: datetime, window: timedelta) -> Sessions:
    decisions = _decisions(log, canary, window)
    possible = [pl.when(pl.col(name) >= 0).then(name) for name in ("cost_usd", "latency_s")]  # reports may say anything
    attempts = known_attempts(log, decisions).with_columns(possible)
    called = decisions.join(last_answers(attempts), on="decision_id", how="left", maintain_order="left").with_columns(
        called=pl.coalesce("attempt_model", pl.when(~pl.col("forwarded")).then("model"))
    )
    in_time = pl.col("created_at") <= pl.col("until")
    quality = qualities(log, attempts, called, in_time=in_time)
    calls = (
        attempts.join(decisions.select("decision_id", "unit", "until"), on="decision_id")
        .with_columns(ended=pl.col("created_at") + pl.duration(microseconds=pl.col("latency_s").fill_null(0) * 1e6))
        .filter(in_time)
    )
    by_decision = calls.filter(pl.col("ended") <= pl.col("until")).group_by("decision_id").agg(
        latency_s=pl.when(pl.col("latency_s").count() > 0).then(pl.col("latency_s").sum()),
        cost_usd=pl.when(pl.col("cost_usd").count() > 0).then(pl.col("cost_usd").sum()),
    )  # fmt: skip
    of_units = (
        decisions.join(quality, on="decision_id", how="left")
        .join(by_decision, on="decision_id", how="left")
        .group_by("unit")
        .agg(
            pl.col("quality").mean(),
            pl.when(pl.col("cost_usd").count() > 0).then(pl.col("cost_usd").sum()),
            pl.col("latency_s").max(),
        )
    )
    units = (
        decisions.unique("unit", keep="first", maintain_order=True)
        .select("unit", "arm", "until")
        .join(of_units, on="unit", how="left", maintain_order="left")
        .join(_failures(decisions, calls), on="unit", how="left", maintain_order="left")
    )
    final = pl.col("until") <= now
    values = [pl.when(final).then(name).fill_null(np.nan).alias(name) for name in ("quality", "cost_usd", "latency_s")]
    told = units.select(pl.col("arm") == CHALLENGER, pl.col("failed_at").fill_null(np.nan), *values)
    return Sessions(*(told[name].to_numpy() for name in ("arm", "failed_at", "quality", "cost_usd", "latency_s")))


def _decisions(log: StagedLog, canary: Challenger, window: timedelta) -> pl.DataFrame:
    """Return the canary's decisions in order of time, each with its session and when that is final."""
    is_ours = (
        pl.col("arm").is_not_null()
        & (pl.col("challenger") == canary.router)
        & (pl.col("canary_share") - canary.share).abs().lt(1e-9)
    )
    own_session = pl.concat_str("key_id", "session_id", separator="\0", ignore_nulls=True)
    return (
        scan(Kind.DECISION, log.decisions)
        .filter(in_period(log.period) & of_router(log.router) & is_ours)
        .select(_DECISION_FIELDS)
        .collect(engine="streaming")
        .unique("decision_id")
        .sort("created_at", "decision_id")
        .with_columns(
            unit=pl.when(pl.col("session_id").is_null()).then("decision_id").otherwise(own_session),
            forwarded=pl.col("surface").is_in(_FORWARDED).fill_null(value=False),
        )
        .with_columns(pl.col("arm").first().over("unit"), until=pl.col("created_at").first().over("unit") + window)
    )


def _failures(decisions: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """Return when each session failed first, in seconds since 1970."""
    kind = pl.col("error_type").str.split(":").list.first()
    is_callers = kind.is_in(_NOT_THE_MODELS).fill_null(value=False) | (
        pl.col("error_type").is_null() & pl.col("status").is_in(_CALLERS_STATUSES)
    )
    failed = [
        calls.filter(~ANSWERED & ~is_callers).select("unit", at="ended"),
        decisions.filter("degraded").select("unit", at="created_at"),
    ]
    return pl.concat(failed).group_by("unit").agg(failed_at=pl.col("at").min().dt.epoch("us") / 1e6)
