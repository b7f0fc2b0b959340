"""Delete records from a database, some at a time, so that writing goes on in between."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Delete, Table, delete, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from router_model.serving.decision_log.rolled_hours import forget_hours, forget_older, hour_of
from router_model.serving.decision_log.rows import ID_FIELD, TIME_FIELD, Kind
from router_model.serving.decision_log.session_keys import remembered_sessions, with_answers
from router_model.serving.decision_log.store import Selection
from router_model.serving.decision_log.tables import TABLES

Writing = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

_DELETED_AT_ONCE: Final = 2000
_WITH_DECISIONS: Final = (Kind.DECISION, Kind.ATTEMPT, Kind.FEEDBACK, Kind.SESSION)
_DECISIONS_AT_ONCE: Final = 500  # ids in one statement; SQLite takes 32,766 parameters


async def delete_older(before: datetime, writing: Writing) -> dict[Kind, int]:
    """Delete the records of every kind from before a time, and the summaries of their hours; return how many."""
    counts = {}
    for kind in Kind:
        table, row_id = TABLES[kind], TABLES[kind].c[ID_FIELD[kind]]
        is_older = table.c[TIME_FIELD[kind]] < before
        # The condition stands outside, too: ids alone would be looked up in every partition.
        older = select(row_id).where(is_older).limit(_DELETED_AT_ONCE)
        counts[kind] = await _repeat(delete(table).where(row_id.in_(older), is_older), writing)
    async with writing() as connection:
        await forget_older(connection, before)
    return counts


async def delete_of(selection: Selection, writing: Writing) -> dict[Kind, int]:
    """Delete a user's or a session's records with what belongs to them; return how many."""
    counts = dict.fromkeys(Kind, 0)
    counts[Kind.RESPONSE] = await _delete_responses(selection, writing)
    while deleted := await _delete_decisions(selection, writing):
        for kind, n in deleted.items():
            counts[kind] += n
    return counts


async def _delete_responses(selection: Selection, writing: Writing) -> int:
    table = TABLES[Kind.RESPONSE]
    chosen = select(table.c.response_key).where(_of(selection, table)).limit(_DELETED_AT_ONCE)
    return await _repeat(delete(table).where(table.c.response_key.in_(chosen)), writing)


async def _repeat(statement: Delete, writing: Writing) -> int:
    n_deleted = 0
    while True:
        async with writing() as connection:
            n = (await connection.execute(statement)).rowcount
        n_deleted += n
        if n < _DELETED_AT_ONCE:
            return n_deleted


async def _delete_decisions(selection: Selection, writing: Writing) -> dict[Kind, int] | None:
    """Delete some decisions with what belongs to them; None when there are none left."""
    decisions, attempts, feedback, sessions = (TABLES[kind] for kind in _WITH_DECISIONS)
    chosen = _of(selection, decisions)
    async with writing() as connection:
        columns = (decisions.c.decision_id, decisions.c.key_id, decisions.c.session_id, decisions.c.created_at)
        found = (await connection.execute(select(*columns).where(chosen).limit(_DECISIONS_AT_ONCE))).all()
        if not found:
            return None
        ids = [decision_id for decision_id, *_ in found]
        remembered = remembered_sessions((key_id, session_id) for _, key_id, session_id, _ in found)
        calls = attempts.c.decision_id.in_(ids)
        answers = select(attempts.c.response_id).where(calls, attempts.c.response_id.is_not(None))
        judged = or_(feedback.c.decision_id.in_(ids), feedback.c.response_id.in_(answers))
        # Calls, and judgements even more so, may be of later hours than their decision.
        belonging = union_all(select(attempts.c.created_at).where(calls), select(feedback.c.created_at).where(judged))
        times = [created_at for *_, created_at in found] + list((await connection.execute(belonging)).scalars())
        await forget_hours(connection, {hour_of(time) for time in times})
        statements = {
            # Of an answer, the session's key stands in the place of the model.
            Kind.SESSION: delete(sessions).where(
                or_(sessions.c.session_key.in_(remembered), sessions.c.model.in_(with_answers(remembered)))
            ),
            # Before the attempts, because `answers` looks up there which feedback is about them.
            Kind.FEEDBACK: delete(feedback).where(judged),
            Kind.ATTEMPT: delete(attempts).where(calls),
            Kind.DECISION: delete(decisions).where(decisions.c.decision_id.in_(ids)),
        }
        return {kind: (await connection.execute(each)).rowcount for kind, each in statements.items()}


def _of(selection: Selection, table: Table) -> ColumnElement[bool]:
    """Return the condition of a user's or a session's rows."""
    if selection.user_id is not None:
        return table.c.user_id == selection.user_id
    return table.c.session_id == selection.session_id
