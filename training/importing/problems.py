"""Describe what is wrong with a value or a record, in a form that becomes an error message.

Every complaint of the importers is one `Problem`: what was got, what was expected and what to do. The code that knows
the file and the row adds them. `RecordError` and `StreamError` carry a problem up to
`router_model.training.importing.run`, which turns it into a `TableError` or an entry of the rejects file. Neither
error leaves this package.
"""

import json
from dataclasses import dataclass

MAX_SHOWN_CHARS = 80
"""Longer values are cut in messages; the rejects file keeps them whole."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with one value or one record.

    Attributes
    ----------
    index : int
        Position of the row in the checked frame, from 0; 0 without a frame.
    column : str
        Empty if the problem concerns the whole record.
    got, expected, advice : str
    """

    index: int
    column: str
    got: str
    expected: str
    advice: str

    @property
    def reason(self) -> str:
        """What was got and what was expected.

        >>> Problem(0, "quality", "1.7", "a number in [0, 1]", "scale it").reason
        'got 1.7, expected a number in [0, 1]'
        """
        return f"got {self.got}, expected {self.expected}"

    def message(self, file: object, row: int, *, n_alike: int = 1) -> str:
        """Return the whole error message.

        Parameters
        ----------
        file : object
            Name of the source.
        row : int
            Line or record of the source, from 1.
        n_alike : int, default 1
            Number of rows with the same problem, this one included.

        Examples
        --------
        >>> print(Problem(0, "model", "nothing", "a name", "add it").message("a.csv", 40, n_alike=3))
        a.csv, row 40, column 'model': got nothing, expected a name; add it (2 more rows alike)
        """
        column = f", column {self.column!r}" if self.column else ""
        rows = "row" if n_alike == 2 else "rows"  # noqa: PLR2004 one other
        more = f" ({n_alike - 1} more {rows} alike)" if n_alike > 1 else ""
        return f"{file}, row {row}{column}: {self.reason}; {self.advice}{more}"

    def is_like(self, other: "Problem") -> bool:
        """Whether two problems are of the same kind: they have the same column and the same expectation."""
        return (self.column, self.expected) == (other.column, other.expected)


class RecordError(ValueError):
    """Raise when one record cannot be read or converted; the next one may be usable.

    Attributes
    ----------
    problem : Problem
    """

    def __init__(self, column: str, got: str, expected: str, advice: str) -> None:
        self.problem = Problem(0, column, got, expected, advice)
        super().__init__(self.problem.reason)


class StreamError(RecordError):
    """Raise when a source cannot be read further."""

    def __init__(self, got: str, expected: str, advice: str) -> None:
        super().__init__("", got, expected, advice)


def shown(value: object) -> str:
    """Format a value for a message: texts in quotes, other values as JSON, at most one line long.

    >>> shown(None), shown(""), shown("1.7"), shown("abc"), shown({"a": [True]})
    ('nothing', "''", '1.7', "'abc'", '{"a": [true]}')
    """
    if value is None:
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 50 in a column with 0.5 has become 50.0, so whole floats are shown without decimals
    if isinstance(value, dict | list | bool):
        text = _shown_json(value)
    else:
        text = repr(value) if isinstance(value, str) and not _is_number(value) else str(value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


def _shown_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply to be shown"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
