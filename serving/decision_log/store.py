"""The store's interface for the writer and the commands, and the questions that the console asks of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from router_model.errors import RouterModelError
from router_model.serving.decision_log.rows import Batch, Kind, Row
from router_model.serving.decision_log.summaries import ALL, Tree


class StoreError(RouterModelError):
    """Raise when a store does not do what was asked of it now; it may later."""


class RefusedError(StoreError):
    """Raise when a store will never take some of the rows it was given."""


@dataclass(frozen=True, slots=True)
class SpoolBatching:
    """How long a store lets records gather in the spool before it takes them all at once.

    Attributes
    ----------
    seconds, n_bytes : whichever comes first
    """

    seconds: float
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to delete; one of the three is given.

    Attributes
    ----------
    user_id, session_id : str or None
        Of decisions; their attempts, feedback and sessions go with them.
    before : datetime or None
        Records of every kind that are older.
    """

    user_id: str | None = None
    session_id: str | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """Records since a time and before another one; None means no limit."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS: Final = Period()


SEARCHED: Final = 20_000
"""Decisions that one search looks at, at most."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """Summaries of the parts of a period.

    Attributes
    ----------
    since : datetime
        What was asked for, rounded down to a minute, to an hour if it is longer than one, beyond 8 days to half a day.
    until : datetime
    parts : (beginning, summary), oldest first
        A part without records may be missing.
    n_missing : int
        Hours that are not summed up yet, and so are not among the parts.
    """

    since: datetime
    until: datetime
    parts: list[tuple[datetime, Tree]]
    n_missing: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions to find; what is None or empty does not limit.

    Attributes
    ----------
    key_id, model, reason, session_id, router, text : str or None
        `text` is in what was kept of the prompt; upper and lower case of ASCII letters are the same.
    status : str
        ``answered``, ``failed``, ``uncalled``, ``judged``, ``degraded`` or ``explored``.
    since, until : datetime or None
    """

    key_id: str | None = None
    model: str | None = None
    reason: str | None = None
    session_id: str | None = None
    router: str | None = None
    text: str | None = None
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """A place in the list of decisions, which goes from the newest to the oldest."""

    created_at: datetime
    decision_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """Decisions that were found, newest first, as rows without their prompts.

    Attributes
    ----------
    rows : list
    next : Place or None
        Where to go on; None: there are no more.
    is_cut : bool
        Whether the search ended because it had looked at `SEARCHED` decisions.
    """

    rows: list[Row]
    next: Place | None
    is_cut: bool


class LogReader(Protocol):
    """Answers in a time that does not grow with the log; used from the log's event loop."""

    async def summaries(self, since: datetime, *, key: str = ALL, now: datetime | None = None) -> Summaries:
        """Return a key's summaries since a time until now: of hours, where the period is longer than one."""

    async def find(self, wanted: Wanted, after: Place | None, most: int) -> Found:
        """Return the newest decisions that are wanted, after a place in the list."""

    async def belonging(self, decision_id: str) -> tuple[list[Row], list[Row]]:
        """Return the calls of a decision and what was said of its answer, oldest first."""

    async def refresh(self, *, now: datetime | None = None) -> bool:
        """Read some of the last minutes ahead of who looks at them; False if none needs it."""

    async def roll_next(self, *, now: datetime | None = None) -> bool:
        """Sum up the newest hour that is over; False if none is left."""


class Store(Protocol):
    """Keeps rows. Used from one event loop.

    Attributes
    ----------
    spool_batching : SpoolBatching or None
        None: rows are taken as they come.
    rows_at_once : int
        The most rows of one `write`.
    reader : LogReader or None
        Answers the questions of the console; None: the store cannot answer them while a page waits.
    """

    spool_batching: SpoolBatching | None
    rows_at_once: int
    reader: LogReader | None

    async def open(self, *, create: bool = True) -> None:
        """Make sure that the store is there with a schema we know, making or migrating it; again after a failure.

        Raises
        ------
        StoreError
            If it is not reachable now.
        SettingsError
            If waiting will not help.
        """

    async def write(self, batch: Batch, name: str) -> None:
        """Add rows. A row that is there already changes nothing, but of sessions and responses the newest counts.

        Parameters
        ----------
        batch : rows by kind
        name : of the batch; the same one is written again under the same name

        Raises
        ------
        StoreError
            If they were not taken; some or all of them may be there.
        RefusedError
            If it is the rows' fault.
        """

    async def read(self, kind: Kind, row_id: str) -> Row | None:
        """Look one row up.

        Raises
        ------
        StoreError
            If the store cannot be read now.
        """

    async def find(self, kind: Kind, equal: Mapping[str, str | None]) -> Row | None:
        """Return the newest row in which the fields have these values.

        Raises
        ------
        StoreError
            If the store cannot be read now.
        """

    async def chain(self, response_key: str, most: int) -> list[Row]:
        """Return a response and those that it goes on from, the newest first; not more than so many.

        Raises
        ------
        StoreError
            If the store cannot be read now, or keeps no responses.
        """

    async def spent_usd(self, key_id: str, since: Sequence[datetime]) -> list[float]:
        """Return what a key's calls that were made here have cost, since each of these times.

        Raises
        ------
        StoreError
            If the store cannot say it now, or ever.
        """

    async def first_decision(self, since: datetime | None = None) -> datetime | None:
        """Return when the first decision was made, in all or since a time; None: there is none.

        Raises
        ------
        StoreError
            If the store cannot be read now.
        """

    async def stage(
        self, kind: Kind, period: Period, folder: Path, *, fields: Collection[str] | None = None
    ) -> list[Path]:
        """Return Parquet files that hold the rows of a period (and maybe others), written into `folder` if need be.

        With `fields` the others may be null in them: prompts and candidates are nine tenths of a log.
        """

    async def delete(self, selection: Selection) -> Mapping[Kind, int]:
        """Delete rows; return how many of each kind."""

    async def count(self) -> Mapping[Kind, int]:
        """Count rows of each kind."""

    async def close(self) -> None:
        """Let go of connections."""
