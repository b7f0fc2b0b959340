"""The store's interface for the writer and the commands."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from router_model.errors import RouterModelError
from router_model.serving.decision_log.questions import LogReader
from router_model.serving.decision_log.rows import Batch, Kind, Row


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
