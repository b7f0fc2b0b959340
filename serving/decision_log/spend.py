"""What calls cost, by key, model, provider, router or day, and when each key was last used, from any log.

A call that was made here counts as it was measured. A report of a call counts where no call was made here for the same
decision and no call here had the same answer.
"""

import tempfile
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.rows import ID_FIELD, Kind
from router_model.serving.decision_log.segments import scan
from router_model.serving.decision_log.store import Period, Store

_FIELDS: Final = (
    *("attempt_id", "decision_id", "created_at", "model", "provider", "response_id"),
    *("cost_usd", "input_tokens", "output_tokens", "key_id", "authority", "error_type"),
)
_OF_DECISION: Final = ("decision_id", "router")
_REPORTED_WITHIN: Final = timedelta(days=1)
_MADE_HERE: Final = pl.col("authority").is_null()


class By(StrEnum):
    """What spending is grouped by."""

    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    ROUTER = "router"
    """That decided; of a call without a decision, whose caller named the model, there is none."""
    DAY = "day"


_COLUMNS: Final = {
    By.KEY: pl.col("key_id"),
    By.MODEL: pl.col("model"),
    By.PROVIDER: pl.col("provider"),
    By.ROUTER: pl.col("router"),
    By.DAY: pl.col("created_at").dt.strftime("%Y-%m-%d"),
}


async def spent(store: Store, period: Period, by: tuple[By, ...]) -> list[dict[str, Any]]:
    """Return what the calls of a period cost, the dearest group first; days in their order.

    Parameters
    ----------
    store : Store
        Opened.
    period : Period
        Of when calls began, or were reported.
    by : tuple of By
        At least one.

    Returns
    -------
    list of dict
        One for each group: a value for each of `by` (None where a call has none), ``usd``, ``calls``, ``unpriced`` (the
        answered calls that nobody knows the cost of), ``input_tokens``, ``output_tokens``, and ``last_used`` (UTC). By
        router they have ``model_named``, too: whether there was no decision, and not only none that the log still has.
    """
    with tempfile.TemporaryDirectory(prefix="router-spend-") as name:
        # Reports come later than what they are about, so calls from before the period are looked at, too.
        since = None if period.since is None else period.since - _REPORTED_WITHIN
        files = await store.stage(Kind.ATTEMPT, Period(since, period.until), Path(name), fields=_FIELDS)
        if not files:
            return []
        calls = _counted(scan(Kind.ATTEMPT, files).select(_FIELDS).unique("attempt_id")).filter(*_within(period))
        if By.ROUTER in by:
            # Decisions come before their calls, and reports within a day after them.
            before = Period(None if since is None else since - _REPORTED_WITHIN, period.until)
            decided = await store.stage(Kind.DECISION, before, Path(name), fields=_OF_DECISION)
            calls = calls.join(_routers(decided), on="decision_id", how="left")
        return _grouped(calls, by).collect().to_dicts()


def _routers(files: list[Path]) -> pl.LazyFrame:
    """Return the router of each decision."""
    named = scan(Kind.DECISION, files).select("decision_id", pl.col("router").fill_null(DEFAULT_ROUTER))
    return named.unique("decision_id")


async def last_used(store: Store, period: Period) -> dict[str, datetime]:
    """Return when each key last asked for a decision, called a model or reported something, in a period (UTC).

    A key that only read metrics, lists or decisions left nothing in the log, so it is not among them.
    """
    found: dict[str, datetime] = {}
    with tempfile.TemporaryDirectory(prefix="router-keys-") as name:
        for kind in (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK):
            folder = Path(name) / kind
            folder.mkdir()
            fields = (ID_FIELD[kind], "created_at", "key_id")
            if files := await store.stage(kind, period, folder, fields=fields):
                rows = scan(kind, files).filter(*_within(period)).drop_nulls("key_id")
                for key, time in rows.group_by("key_id").agg(pl.col("created_at").max()).collect().iter_rows():
                    found[key] = max(time, found.get(key, time))
    return found


def _within(period: Period) -> list[pl.Expr]:
    since, until = period.since, period.until
    return [
        *([] if since is None else [pl.col("created_at") >= since]),
        *([] if until is None else [pl.col("created_at") < until]),
    ]


def _counted(calls: pl.LazyFrame) -> pl.LazyFrame:
    """Leave out the reports of calls that were made here."""
    made, reported = calls.filter(_MADE_HERE), calls.filter(~_MADE_HERE)
    for same in ("decision_id", "response_id"):
        reported = reported.join(made.select(same).drop_nulls().unique(), on=same, how="anti")
    return pl.concat([made, reported])


def _grouped(calls: pl.LazyFrame, by: tuple[By, ...]) -> pl.LazyFrame:
    named = [pl.col("decision_id").is_null().alias("model_named")] if By.ROUTER in by else []
    found = calls.group_by(*(_COLUMNS[one].alias(one) for one in by), *named).agg(
        usd=pl.col("cost_usd").sum(),
        calls=pl.len(),
        unpriced=(pl.col("cost_usd").is_null() & pl.col("error_type").is_null()).sum(),
        input_tokens=pl.col("input_tokens").sum(),
        output_tokens=pl.col("output_tokens").sum(),
        last_used=pl.col("created_at").max(),
    )
    by_day = By.DAY in by
    order = ([By.DAY] if by_day else []) + ["usd", *(one for one in by if one is not By.DAY)]
    return found.sort(order, descending=[name == "usd" for name in order], nulls_last=True)
