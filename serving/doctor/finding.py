"""What a check found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    UNKNOWN = "unknown"
    """It was not checked, or cannot be; no judgement."""
    WARNING = "warning"
    """The service works, and something about it should be put right."""
    ERROR = "error"
    """The service does not start, or does not do what it is there for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes
    ----------
    check : what was examined, such as ``provider openai``
    level : Level
    said : what was found
    do : what to do about it; empty where there is nothing to do
    """

    check: str
    level: Level
    said: str
    do: str = ""


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 2 if there is an error, else 1 if there is a warning, else 0.

    >>> exit_status([Finding("clock", Level.GOOD, "right"), Finding("disk", Level.WARNING, "full", "delete")])
    1
    """
    levels = {finding.level for finding in findings}
    return 2 if Level.ERROR in levels else 1 if Level.WARNING in levels else 0


def some(names: Iterable[str], most: int = 4) -> str:
    """Name the first, and count the others.

    >>> some("abcdef")
    'a, b, c, d and 2 more'
    """
    found = list(names)
    more = f" and {len(found) - most} more" * (len(found) > most)
    return f"{', '.join(found[:most])}{more}"
