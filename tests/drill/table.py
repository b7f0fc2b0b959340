"""The drill's table: a line for each fault, in 80 columns."""

import math
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from row import Row

_COLUMNS: Final = (
    ("fault", -20), ("s", 3), ("200", 4), ("others", -8), ("worst", 5), ("none", 4), ("lost", 4), ("alerts", -17),
    ("well", 4),
)  # fmt: skip
LEGEND: Final = """\
s       seconds from the fault until all was well again
200     whole answers with status 200; beside it the others, by status
worst   seconds that the slowest answer took; a stream until its end
none    requests that nobody answered, or not to their end
lost    decisions that callers have an id of and the log has not
alerts  which fired, without their "Router"
well    seconds from the end of the fault until all was well again"""


def heading() -> str:
    return "\n".join((_line([name for name, _ in _COLUMNS]), _line(["-" * abs(width) for _, width in _COLUMNS])))


def lines(row: Row) -> Iterator[str]:
    """Yield the lines of a fault; what has no place goes below."""
    others = [f"{status}:{n}" for status, n in sorted(row.statuses.items()) if status != 200] or [""]
    alerts = [name.removeprefix("Router") for name in sorted(row.alerts)] or [""]
    well = "never" if math.isinf(row.well_after_s) else f"{row.well_after_s:.0f}"
    figures = (
        row.fault.name, f"{row.seconds:.0f}", str(row.statuses[200]), others[0], f"{row.worst_s:.2f}",
        str(len(row.unanswered)), str(len(row.missing)), alerts[0], well,
    )  # fmt: skip
    yield _line(figures)
    for other, alert in zip_longest(others[1:], alerts[1:], fillvalue=""):
        yield _line(("", "", "", other, "", "", "", alert, ""))
    if row.fault.is_away:
        yield f"  nobody listened for {row.refused_s:.1f} s"
    for one in row.broken():
        yield f"  BROKEN: {one}"


def left_out(name: str, why: str) -> str:
    return f"{name:20} left out: {why}"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    widths = [width for _, width in _COLUMNS]
    padded = [f"{cell:<{-n}}" if n < 0 else f"{cell:>{n}}" for cell, n in zip(cells, widths, strict=True)]
    return " ".join(padded).rstrip()
