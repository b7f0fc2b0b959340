"""The decision log that the service uses: a queue, and a thread that runs the writer.

`put` appends to a queue and returns. All other work happens in a thread with a separate event loop, a few records at a
time, so that the loop which answers requests does not wait for it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final, TypeVar

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.common.shares import Shares
from router_model.serving.decision_log.days import oldest_kept
from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.log import Loggable, LogStats
from router_model.serving.decision_log.log_records import (
    AttemptRecord,
    DecisionRecord,
    FeedbackRecord,
    LogRecord,
    ResponseRecord,
    SessionRecord,
)
from router_model.serving.decision_log.replay import Replayer
from router_model.serving.decision_log.rows import TIME_FIELD, WHOLE_TEXTS, Kind, Row, kind_of, record_of
from router_model.serving.decision_log.spool import Spool
from router_model.serving.decision_log.store import LogReader, Selection, Store, StoreError
from router_model.serving.decision_log.texts import bounded
from router_model.serving.decision_log.writer import Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_QUEUED_CHARS: Final = 200_000_000
"""Characters of prompts that may wait in the queue; beyond them records are dropped, or memory would not be bounded.

One caller's take three quarters of them at most, and of the records that may wait: those of others are kept."""
_NO_DECISION: Final = (AttemptRecord, FeedbackRecord, SessionRecord, ResponseRecord)
_ADOPT_EVERY_S: Final = 15.0
_RETAIN_EVERY_S: Final = 3600.0
_POLL_S: Final = 0.005
_IDLE_S: Final = 0.25
"""Between looks at an empty spool."""
_READ_TIMEOUT_S: Final = 2.0
_ASK_TIMEOUT_S: Final = 15.0
_ASKED_AT_ONCE: Final = 2
"""Questions of the console at once; more of them could take all connections, which writing needs, too."""
_ROLL_EVERY_S: Final = 30.0
_ROLL_REST: Final = 3.0
"""How long a rest after an hour that was summed up takes, in times of what that took."""


class QueuedLog:
    """A decision log that nothing waits for.

    Parameters
    ----------
    store : Store
    spool : Spool
    queue : int
        Records that may wait. With more, the writer takes them to the spool, which is faster than the store; with
        twice as many, records are dropped.
    flush_s : float
        Longest time until a record is in the store or the spool.
    retention_days : float or None
        Older records are deleted.
    rolls : bool
        Sum up hours that are over, for the console.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        *,
        queue: int,
        flush_s: float,
        retention_days: float | None = None,
        rolls: bool = False,
    ) -> None:
        self._store = store
        self._spool = spool
        self._gate = StoreGate(store, spool.rejects)
        self._writer = Writer(self._gate, spool, patience_s=flush_s / 2, crowded=queue, settled=self._give_back)
        self._replayer = Replayer(self._gate, spool)
        self._turn_s = flush_s / 2
        self._retention_days = retention_days
        self._rolls = rolls
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._most = 2 * queue
        self._records, self._chars = Shares(2 * queue), Shares(MAX_QUEUED_CHARS)
        self._n_put = self._n_overflowed = 0
        self._closed = False
        self._stop_by = 0.0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._opened: Future[None] = Future()

    # --- from the service's event loop -----------------------------------------------------------------

    def put(self, record: Loggable) -> None:
        """Queue one record; beyond what may wait, of all records or of one caller's, it is dropped and counted."""
        if self._closed or not self._has_room(record):
            self._n_overflowed += 1
            return
        self._n_put += 1
        self._writer.inbox.append(record)

    async def start(self) -> None:
        """Open the store and start the writer.

        Raises
        ------
        SettingsError
            If the log will never work like this: another schema, a path that cannot be.
        """
        # A daemon, so that a store that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()
        # Shielded: whoever stops waiting must not cancel what the writer's thread is about to set.
        await asyncio.shield(asyncio.wrap_future(self._opened))

    async def flush(self, deadline_s: float) -> None:
        """Return when everything put so far is in the store or the spool.

        Raises
        ------
        TimeoutError
            If it is not by the deadline.
        """
        wanted = self._n_put
        async with asyncio.timeout(deadline_s):
            while self._writer.n_settled < wanted:
                self._call(self._wake.set)
                await asyncio.sleep(_POLL_S)

    async def close(self, deadline_s: float) -> None:
        """Write what waits, to the store or else the spool, and stop."""
        self._closed = self._writer.give_up = True
        self._stop_by = time.monotonic() + deadline_s
        if self._thread is None:
            return
        self._call(self._wake.set)
        # Joined in another thread, because the event loop still has requests to finish.
        await asyncio.to_thread(self._thread.join, deadline_s + 1.0)
        if self._thread.is_alive():
            logger.error(
                "the log's writer did not stop within %.1f s; %d records still wait to be written",
                deadline_s,
                self.stats.depth,
            )

    @property
    def stats(self) -> LogStats:
        """Counters, now."""
        writer, spool = self._writer, self._spool
        gathers = self._store.spool_batching is not None
        return LogStats(
            depth=len(writer.inbox) + len(writer.taken),
            written=writer.n_written + self._replayer.n_replayed,
            spooled=writer.n_spooled,
            replayed=0 if gathers else self._replayer.n_replayed,
            dropped=writer.n_dropped + self._n_overflowed + spool.rejects.n,
            rejected=spool.rejects.n,
            spool_depth=spool.depth,
            available=self._gate.works,
        )

    @property
    def writable(self) -> bool:
        """Whether records are kept: the writer runs, and the store or the spool takes them."""
        running = self._thread is not None and self._thread.is_alive() and not self._closed
        return running and self._writer.keeping and len(self._writer.inbox) < self._most

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Look one decision up, wherever it is on its way.

        Raises
        ------
        NotReadyError
            If it is not on its way, and the store cannot be read now.
        """
        # A report can follow its decision before the writer has stored the decision.
        for waiting in self._waiting():
            if getattr(waiting, "decision_id", None) == decision_id and not isinstance(waiting, _NO_DECISION):
                return waiting if isinstance(waiting, DecisionRecord) else waiting.record()
        found = await self._in_thread(self._look_up(Kind.DECISION, decision_id))
        return found if isinstance(found, DecisionRecord) else None

    async def session(self, session_key: str) -> SessionRecord | None:
        """Look a session up; of several records the newest counts.

        Raises
        ------
        NotReadyError
            If the store cannot be read now.
        """
        waiting = [r for r in self._waiting() if isinstance(r, SessionRecord) and r.session_key == session_key]
        found = await self._in_thread(self._look_up(Kind.SESSION, session_key))
        stored = [found] if isinstance(found, SessionRecord) else []
        return max([*stored, *waiting], key=lambda record: record.updated_at, default=None)

    async def attempt(self, response_id: str, key_id: str | None = None) -> AttemptRecord | None:
        """Look the call up that was made here and had an answer of this id; of a key's, or of anybody's.

        Raises
        ------
        NotReadyError
            If the store cannot be read now.
        """
        wanted: dict[str, str | None] = {"response_id": bounded(response_id), "error_type": None, "authority": None}
        wanted |= {} if key_id is None else {"key_id": key_id}
        for waiting in self._waiting():
            if isinstance(waiting, AttemptRecord) and all(getattr(waiting, name) == wanted[name] for name in wanted):
                return waiting
        row = await self._in_thread(self._attempt(wanted))
        found = None if row is None else record_of(Kind.ATTEMPT, row)
        return found if isinstance(found, AttemptRecord) else None

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Return what a key's calls that were made here have cost, since each of these times; some seconds late.

        Raises
        ------
        NotReadyError
            If the store cannot say it now, or ever.
        """
        return await self._in_thread(_read(self._store.spent_usd(key_id, since)))

    async def responses(self, response_key: str, most: int) -> list[ResponseRecord]:
        """Look a response up with those that it goes on from, the newest first; what is missing ends the list.

        Raises
        ------
        NotReadyError
            If the store cannot be read now: it alone may know that one of them was deleted.
        """
        waiting = [one for one in self._waiting() if isinstance(one, ResponseRecord)]
        found: list[ResponseRecord] = []
        key: str | None = response_key
        while key is not None and len(found) < most:
            links = await self._in_thread(self._chain(key, most - len(found), waiting))
            if not links:
                break
            found += links
            key = found[-1].previous_key
        return found

    async def ask(self, question: Callable[[LogReader], Coroutine[Any, Any, T]]) -> T:
        """Return the answer to a question of the console; records that wait or lie in the spool do not count yet.

        Raises
        ------
        NotReadyError
            If the store cannot answer now, or ever.
        """
        reader = self._store.reader
        if reader is None:
            raise NotReadyError(
                "the decision log is in Parquet files, which are too slow to be looked at here; the console needs a "
                "log at sqlite:// or postgresql:// (--log)"
            )
        return await self._in_thread(_read(self._in_turn(question, reader), within_s=_ASK_TIMEOUT_S))

    async def _in_turn(self, question: Callable[[LogReader], Coroutine[Any, Any, T]], reader: LogReader) -> T:
        async with self._asking:
            return await question(reader)

    def _has_room(self, record: Loggable) -> bool:
        """Take the room that a record needs in the queue; False if there is too little."""
        caller, n_chars = _size(record)
        if not self._records.take(caller):
            return False
        if self._chars.take(caller, n_chars):
            return True
        # The record is dropped, so the place that was taken first must be free again.
        self._records.give(caller)
        return False

    def _give_back(self, records: list[Loggable]) -> None:
        for caller, n_chars in map(_size, records):
            self._records.give(caller)
            self._chars.give(caller, n_chars)

    def _waiting(self) -> list[Loggable]:
        """Return the queued records, then the taken ones; a record moves in this direction, so none can be missed."""
        return [*self._writer.inbox.copy(), *self._writer.taken]

    async def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or self._closed:
            work.close()
            raise NotReadyError("the decision log is not open")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    # --- in the writer's thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as exc:
            # Before that, `start` waits for this future and raises the error; later nobody would see it.
            if self._opened.done():
                logger.exception("the log's writer ended")
            else:
                self._opened.set_exception(exc)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._gate.open()
            self._spool.adopt()
            self._opened.set_result(None)
            loops = (self._replay_loop, self._retain_loop, self._roll_loop)
            others = [asyncio.create_task(loop()) for loop in loops]
            await self._take_loop()
            await self._stop(others)
        finally:
            self._spool.close()
            await self._store.close()

    async def _take_loop(self) -> None:
        while not self._closed:
            try:
                async with asyncio.timeout(self._turn_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._writer.take_all()
            except Exception:  # one bad batch must not end the log
                logger.exception("a batch of records is lost because of a bug; the log goes on")

    async def _replay_loop(self) -> None:
        adopt_at = time.monotonic() + _ADOPT_EVERY_S
        while True:
            await asyncio.sleep(self._turn_s if self._spool.depth else _IDLE_S)
            try:
                if time.monotonic() >= adopt_at:
                    adopt_at = time.monotonic() + _ADOPT_EVERY_S
                    self._spool.adopt()
                await self._replayer.replay()
            except Exception:
                logger.exception("the spool cannot be replayed now; this is tried again later")

    async def _retain_loop(self) -> None:
        while self._retention_days is not None:
            before = oldest_kept(datetime.now(UTC), self._retention_days)
            try:
                deleted = await self._store.delete(Selection(before=before))
            except StoreError as exc:
                logger.warning(
                    "records older than the retention could not be deleted; this is tried again later: %s", exc
                )
            except Exception:
                logger.exception("records older than the retention could not be deleted; this is tried again later")
            else:
                if any(deleted.values()):
                    logger.info("deleted records older than the retention: %s", dict(deleted))
            await asyncio.sleep(_RETAIN_EVERY_S)

    async def _roll_loop(self) -> None:
        """Sum up the last minutes, and hours that are over; most of the time this rests, as requests come first."""
        reader = self._store.reader
        while self._rolls and reader is not None:
            began = time.monotonic()
            try:
                refreshed = await reader.refresh()
                found = await reader.roll_next() or refreshed
            except StoreError as exc:
                logger.warning("an hour of the log could not be summed up; this is tried again later: %s", exc)
                found = False
            except Exception:
                logger.exception("an hour of the log could not be summed up; this is tried again later")
                found = False
            await asyncio.sleep(_ROLL_REST * (time.monotonic() - began) if found else _ROLL_EVERY_S)

    async def _stop(self, others: list["asyncio.Task[None]"]) -> None:
        """Empty the queue; as much of the spool as there is time for goes to the store."""
        for task in others:
            task.cancel()
        # The replay has to be over first, because `_stop` replays the same segments.
        await asyncio.wait(others)
        await self._writer.take_all()
        try:
            async with asyncio.timeout_at(self._loop_time(self._stop_by)):
                await self._writer.settle()
                await self._replayer.replay(all_of_it=True)
        except TimeoutError:
            logger.warning("%d records stay in the spool; the next start writes them to the log", self._spool.depth)

    def _loop_time(self, monotonic: float) -> float:
        return asyncio.get_running_loop().time() + monotonic - time.monotonic()

    async def _look_up(self, kind: Kind, row_id: str) -> LogRecord | None:
        row = await asyncio.to_thread(self._spool.find, kind, row_id) if self._spool.depth else None
        # A decision never changes, so the store need not be asked; a newer session may be there.
        if row is not None and kind is Kind.DECISION:
            return record_of(kind, row)
        stored = await _read(self._store.read(kind, row_id))
        found = [each for each in (row, stored) if each is not None]
        return record_of(kind, max(found, key=lambda each: each[TIME_FIELD[kind]])) if found else None

    async def _attempt(self, wanted: Mapping[str, str | None]) -> Row | None:
        for row in await self._spooled(Kind.ATTEMPT, "response_id", [str(wanted["response_id"])]):
            if all(row.get(name) == wanted[name] for name in wanted):
                return row
        return await _read(self._store.find(Kind.ATTEMPT, wanted))

    async def _chain(self, response_key: str, most: int, waiting: Sequence[ResponseRecord]) -> list[ResponseRecord]:
        """Return a response with those before it that the store has; one that the store has not comes alone.

        The newest record of each counts, of the queue, the spool and the store: a response that was deleted may still
        be whole in one of them, while another has the note of it.
        """
        is_spooled = self._spool.depth > 0
        stored = _responses(await _read(self._store.chain(response_key, most)))
        keys = {response_key, *(one.response_key for one in stored)}
        spooled: list[ResponseRecord] = []
        if is_spooled:
            spooled = _responses(await self._spooled(Kind.RESPONSE, "response_key", keys))
            # The replay may have moved records meanwhile, so the store is read once more, after the spool.
            stored = _responses(await _read(self._store.chain(response_key, most)))
            stored = list(takewhile(lambda one: one.response_key in keys, stored))
        newest: dict[str, ResponseRecord] = {}
        for one in (*stored, *spooled, *waiting):
            there = newest.setdefault(one.response_key, one)
            if one.updated_at > there.updated_at:
                newest[one.response_key] = one
        found = [one.response_key for one in stored] or [response_key]
        return [newest[key] for key in found if key in newest]

    async def _spooled(self, kind: Kind, field: str, texts: Collection[str]) -> list[Row]:
        if not self._spool.depth:
            return []
        return await asyncio.to_thread(lambda: list(self._spool.having(kind, field, texts)))


async def _read(asked: Coroutine[Any, Any, T], *, within_s: float = _READ_TIMEOUT_S) -> T:
    """Return what a store answers in time.

    Raises
    ------
    NotReadyError
        If it does not.
    """
    try:
        async with asyncio.timeout(within_s):
            return await asked
    except (StoreError, TimeoutError) as exc:
        raise NotReadyError(f"the decision log cannot be read now ({exc}); try again later") from exc


def _responses(rows: Iterable[Row]) -> list[ResponseRecord]:
    found = (record_of(Kind.RESPONSE, row) for row in rows)
    return [record for record in found if isinstance(record, ResponseRecord)]


def _size(record: Loggable) -> tuple[str | None, int]:
    """Return whose record it is, and the length of what is long in it: what it takes of memory, roughly."""
    caller = getattr(record, "key_id", None)
    if isinstance(record, LogRecord):
        return caller, sum(len(getattr(record, name) or "") for name in WHOLE_TEXTS[kind_of(record)])
    return caller, getattr(record, "n_chars", 0)  # what is no record is dropped later, with its reason
