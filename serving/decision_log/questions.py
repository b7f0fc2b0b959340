"""The questions that the console asks of the log, and the shape of their answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from router_model.serving.decision_log.rows import Row
from router_model.serving.decision_log.summaries import ALL, Tree

SEARCHED: Final = 20_000
"""Decisions that one search looks at, at most."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """Summaries of the parts of a period.

    Attributes
    ----------
    since : datetime
        What was asked for, rounded down to whole minutes, or to hours if it is longer than one.
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
    key_id, model, reason, session_id, text : str or None
        `text` is in what was kept of the prompt; upper and lower case of ASCII letters are the same.
    status : str
        ``answered``, ``failed``, ``uncalled``, ``judged``, ``degraded`` or ``explored``.
    since, until : datetime or None
    """

    key_id: str | None = None
    model: str | None = None
    reason: str | None = None
    session_id: str | None = None
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

    async def roll_next(self, *, now: datetime | None = None) -> bool:
        """Sum up the newest hour that is over; False if none is left."""
