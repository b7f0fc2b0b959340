"""Read from a database which answers were judged lately, and how: an excerpt of the log without prompts."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
from sqlalchemy import Select, Table, and_, exists, func, or_, select

from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.called_models import StagedLog, calls_of
from router_model.serving.decision_log.database_errors import database_failures
from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import WHOLE_TEXTS, Kind, Row
from router_model.serving.decision_log.segments import write_parts
from router_model.serving.decision_log.sql_store import SqlStore
from router_model.serving.decision_log.store import Period
from router_model.serving.decision_log.tables import TABLES

_IDS_AT_ONCE: Final = 500
_PROMPTS: Final = frozenset(WHOLE_TEXTS[Kind.DECISION])


class JudgedLately(NamedTuple):
    """Decisions that were judged lately.

    Attributes
    ----------
    calls : polars.DataFrame
        As of `router_model.serving.decision_log.called_models.calls_of`: each with all that was ever said of it.
    newest : datetime
        When the newest report was made, of whichever router.
    """

    calls: pl.DataFrame
    newest: datetime


def judged_lately(
    url: str, *, artifact: str, since: datetime, most: int, router: str = DEFAULT_ROUTER
) -> JudgedLately | None:
    """Return a router's decisions by an artifact that were judged lately; None if nothing was judged.

    Opens connections of its own, so it may run in any thread that has no event loop.

    Parameters
    ----------
    url : of a database that a service has opened
    artifact : content hash
    since : reports made after it count
    most : reports of these decisions that count, the newest
    router : what the log calls it

    Raises
    ------
    StoreError
        If the database cannot be read now.
    """
    return asyncio.run(_judged_lately(url, (router, artifact), since, most))


async def _judged_lately(url: str, decided_by: tuple[str, str], since: datetime, most: int) -> JudgedLately | None:
    store = open_store(url)
    if not isinstance(store, SqlStore):
        raise TypeError(f"got {type(store).__name__}, expected the store of a database")
    try:
        with database_failures("read"), tempfile.TemporaryDirectory(prefix="router-judged-") as folder:
            return await _read(store, decided_by, since, most, Path(folder))
    finally:
        await store.close()


async def _read(
    store: SqlStore, decided_by: tuple[str, str], since: datetime, most: int, folder: Path
) -> JudgedLately | None:
    decisions, attempts, feedback = (TABLES[kind] for kind in (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK))
    since_then = feedback.c.created_at > since
    [last] = [row async for row in store.rows(select(func.max(feedback.c.created_at).label("at")).where(since_then))]
    if last["at"] is None:
        return None
    router, artifact = decided_by
    ours = decisions.c.artifact == artifact, func.coalesce(decisions.c.router, DEFAULT_ROUTER) == router
    # The limit is of this router's reports: those of a busy one would else take all the places.
    by_id = exists().where(decisions.c.decision_id == feedback.c.decision_id, *ours)
    of_answer = and_(attempts.c.decision_id == decisions.c.decision_id, *ours)
    by_answer = exists().where(attempts.c.response_id == feedback.c.response_id, of_answer)
    lately = select(feedback).where(since_then, or_(by_id, by_answer))
    reports = [row async for row in store.rows(lately.order_by(feedback.c.created_at.desc()).limit(most))]
    named = [row["decision_id"] for row in reports]
    answers = await _of_ids(store, attempts, "response_id", [row["response_id"] for row in reports])
    named += [row["decision_id"] for row in answers]
    made = await _of_ids(store, decisions, "decision_id", named, *ours)
    ids = [row["decision_id"] for row in made]
    tried = await _of_ids(store, attempts, "decision_id", ids)
    said = await _of_ids(store, feedback, "decision_id", ids)
    said += await _of_ids(store, feedback, "response_id", [row["response_id"] for row in tried])
    log = StagedLog(
        decisions=await write_parts(Kind.DECISION, _each(made), folder),
        attempts=await write_parts(Kind.ATTEMPT, _each(tried), folder),
        feedback=await write_parts(Kind.FEEDBACK, _each(said), folder),
        period=Period(),
    )
    return JudgedLately(calls_of(log), last["at"])


async def _of_ids(store: SqlStore, table: Table, name: str, ids: Iterable[str | None], *where: Any) -> list[Row]:
    """Return the rows in which a column has one of these ids."""
    wanted: Sequence[str] = sorted({one for one in ids if one is not None})
    columns = [column for column in table.columns if column.name not in _PROMPTS]
    rows: list[Row] = []
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        some = wanted[start : start + _IDS_AT_ONCE]
        chosen: Select[Any] = select(*columns).where(table.c[name].in_(some), *where)
        rows += [row async for row in store.rows(chosen)]
    return rows


async def _each(rows: Iterable[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row
