"""Map the fields of a source to our columns, as the user named them.

``quality=verdict`` names a field. ``quality=result.score`` names a field inside an object, which may also be JSON text.
``prompt=context+question`` joins several, and ``cost_usd=cost_in+cost_out`` adds them. ``latency_s=took:ms`` adds the
unit. ``cost_usd=`` says that the source has no costs. A column may be named several times; the first field with a value
counts. If a record has our own column but not the named field, it keeps its column. So sources of both kinds can be
imported together.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from router_model.errors import TableError
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing.conversion import Row, Source, is_missing
from router_model.training.importing.number_text import DecimalMark, read_number
from router_model.training.importing.variables import joined_variables

NAMEABLE: Final = tuple(name for name in OUTCOME_COLUMN_NAMES if name != "extra")
"""The columns that ``--column`` may name."""

_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "latency_s": {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60},
    "timestamp": {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "cost_usd": {"usd": 1, "cents": 0.01, "us": 1e-6, "ns": 1e-9},  # cost_micros and cost_nanos are of a dollar
}
_UNIT_OF_WORD: Final = {
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "micros", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nanos", "nanoseconds", "nano"), "ns"),
    **dict.fromkeys(("min", "minutes"), "min"),
    **dict.fromkeys(("cents", "cent"), "cents"),
}
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_JOINABLE: Final = frozenset(("prompt", "input_tokens", "output_tokens", "cost_usd", "latency_s"))
_PROMPTS: Final = frozenset(("prompt", "messages"))
_MAX_JSON_CHARS: Final = 1_000_000
_MAX_DEPTH: Final = 8


class Field(NamedTuple):
    """A field of a source.

    Attributes
    ----------
    path : str
        Its name, or a path with dots.
    factor : float
        Factor that converts a number to the unit of our column.
    """

    path: str
    factor: float = 1.0

    @property
    def parts(self) -> tuple[str, ...]:
        """The path, and the fields in it if a plus joins several."""
        return (self.path, *self.path.split("+")) if "+" in self.path else (self.path,)


class ColumnMapping:
    r"""The user's mapping from our columns to the fields of a source.

    Parameters
    ----------
    named : mapping of str to sequence of str
        Fields for each of our columns, as in ``--column``.
    decimal : {"point", "comma"}, optional
        The mark before the decimals in numbers written as text.

    Raises
    ------
    TableError
        If a column is not one of ours.

    Examples
    --------
    >>> mapping = ColumnMapping({"prompt": ["input.text"], "latency_s": ["took_ms"]})
    >>> mapping.own_record({"input": {"text": "Hi"}, "took_ms": 1500, "model": "a"})
    {'input': {'text': 'Hi'}, 'model': 'a', 'prompt': 'Hi', 'latency_s': 1.5}
    >>> mapping = ColumnMapping({"prompt": ["context+question"], "cost_usd": ["cost_in+cost_out"]})
    >>> mapping.own_record({"question": "Who?", "context": "Ann did.", "cost_in": "0.5", "cost_out": 0.25})
    {'prompt': 'context: Ann did.\n\nquestion: Who?', 'cost_usd': 0.75}
    """

    def __init__(self, named: Mapping[str, Sequence[str]], decimal: DecimalMark | None = None) -> None:
        self._decimal = decimal
        self._fields: dict[str, tuple[Field, ...]] = {}
        self.absent: frozenset[str] = frozenset(ours for ours, fields in named.items() if not all(fields))
        for ours, fields in named.items():
            if ours not in NAMEABLE:
                raise TableError(_unknown_column(ours))
            self._fields[ours] = tuple(_field_of(ours, text) for text in fields if text)

    @property
    def names_prompts(self) -> bool:
        """Whether the user named the prompt, so that every source counts as a user's own table."""
        return bool(self._fields.get("prompt") or self._fields.get("messages"))

    @property
    def paths(self) -> list[tuple[str, str]]:
        """All (our column, path) pairs."""
        return [(ours, field.path) for ours, fields in self._fields.items() for field in fields]

    def values(self, record: Source) -> Row:
        """Return the values of the named columns in a record."""
        found: Row = {}
        for ours, fields in self._fields.items():
            for field in fields:
                value = self._value_at(record, ours, field.path)
                if not is_missing(value):
                    found[ours] = value if field.factor == 1 else self._in_our_unit(value, field.factor)
                    break
        return found

    def _value_at(self, record: Source, ours: str, path: str) -> Any:
        """Return the value of a field, or of several with a plus between them: prompts are joined, numbers added."""
        value = field_at(record, path)
        if "+" not in path or ours not in _JOINABLE or not is_missing(value):
            return value
        parts = {part: field_at(record, part) for part in path.split("+")}
        if ours == "prompt":
            return joined_variables({part.rpartition(".")[2]: value for part, value in parts.items()}).prompt or None
        try:
            numbers = [self._number(value) for value in parts.values() if not is_missing(value)]
        except (ValueError, TypeError):
            return next(value for value in parts.values() if not is_missing(value))  # the checks report it
        return sum(numbers) if len(numbers) == len(parts) else None

    def _number(self, value: Any) -> float:
        return read_number(value.strip(), self._decimal) if isinstance(value, str) else value + 0

    def own_record(self, record: Source) -> Source:
        """Return the record under our names; renamed fields are removed, and objects are kept whole."""
        if not self._fields and not self.absent:
            return record
        found = self.values(record)
        renamed = {
            path for ours in found for field in self._fields[ours] for path in (field.path, *field.path.split("+"))
        }
        kept = {key: value for key, value in record.items() if key not in renamed and key not in self.absent}
        if len(found.keys() & _PROMPTS) == 1:
            # A prompt that the record already has would otherwise compete with the named one.
            kept = {key: value for key, value in kept.items() if key not in _PROMPTS}
        if isinstance(found.get("prompt"), list):
            found["messages"] = found.pop("prompt")
        return kept | found

    def _in_our_unit(self, value: Any, factor: float) -> Any:
        try:
            number = read_number(value.strip(), self._decimal) if isinstance(value, str) else value
            # Rounded, because 1100 * 1e-3 is not exactly 1.1; times in microseconds keep their digits.
            return round(number * factor, 9) if not isinstance(number, bool) else value
        except (ValueError, TypeError):
            return value  # the checks report the problem


def parse_columns(given: Iterable[str]) -> dict[str, list[str]]:
    """Read ``ours=theirs`` pairs.

    >>> parse_columns(["quality=verdict", "prompt=user_input", "cost_usd="])
    {'quality': ['verdict'], 'prompt': ['user_input'], 'cost_usd': ['']}

    Raises
    ------
    TableError
        If a text is not such a pair, or a column is not one of ours.
    """
    named: dict[str, list[str]] = {}
    for text in given:
        ours, equals, theirs = text.partition("=")
        if not equals:
            raise TableError(f"column: got {text!r}, expected OURS=THEIRS such as quality=verdict; use this form")
        if ours.strip() not in NAMEABLE:
            raise TableError(_unknown_column(ours.strip(), theirs.strip()))
        named.setdefault(ours.strip(), []).append(theirs.strip())
    return named


def _unknown_column(name: str, field: str = "") -> str:
    near = difflib.get_close_matches(name.lower(), NAMEABLE, n=1)
    advice = "our column comes first, as in quality=verdict"
    if near and field not in NAMEABLE:
        advice = f"did you mean {near[0]!r}?"
    return f"column: got {name!r}, expected one of {', '.join(NAMEABLE)}; {advice}"


def _field_of(ours: str, text: str) -> Field:
    units = _UNITS.get(ours, {})
    path, colon, unit = text.rpartition(":")
    if colon and unit in units:
        return Field(path, units[unit])
    return Field(text, units.get(unit_in_name(text) or "", 1))


def unit_in_name(name: str) -> str | None:
    """Return the unit with which a field's name ends.

    >>> unit_in_name("latency_ms"), unit_in_name("durationMs"), unit_in_name("costCents"), unit_in_name("items")
    ('ms', 'ms', 'cents', None)
    """
    return _UNIT_OF_WORD.get((words_of(name) or [""])[-1])


def words_of(name: str) -> list[str]:
    """Split a name into its words, in lower case.

    >>> words_of("tokensIn"), words_of("USER_input.text"), words_of("Cost (USD)")
    (['tokens', 'in'], ['user', 'input', 'text'], ['cost', 'usd'])
    """
    return [word.lower() for word in _WORDS.findall(name)]


def field_at(record: Any, path: str, depth: int = 0) -> Any:
    """Return a field by its name or path; None if there is none.

    >>> field_at({"a.b": 1}, "a.b"), field_at({"a": {"b.c": [2, 3]}}, "a.b.c.1"), field_at({"a": '{"b": 4}'}, "a.b")
    (1, 3, 4)
    >>> field_at({"scores": [{"name": "tone", "value": 1}, {"name": "truth", "value": 0}]}, "scores.truth")
    0
    """
    if isinstance(record, list):
        head, _, rest = path.partition(".")
        if not head.isdecimal():
            return named_value(record, path)
        inner = record[int(head)] if int(head) < len(record) else None
        return field_at(inner, rest, depth + 1) if rest and depth < _MAX_DEPTH else inner
    if isinstance(record, str):
        record = _decoded(record)
    if not isinstance(record, Mapping):
        return None
    if path in record:
        return record[path]
    for dot in (match.start() for match in re.finditer(r"\.", path) if depth < _MAX_DEPTH):
        if path[:dot] in record:
            return field_at(record[path[:dot]], path[dot + 1 :], depth + 1)
    return None


_SCORE_NAMES: Final = ("name", "key", "metric", "assessment_name")
_SCORE_VALUES: Final = ("value", "score")


def score_names(values: Sequence[Any]) -> list[str]:
    """Return the names in a list of scores; empty if it is another list.

    >>> score_names([{"name": "tone", "value": 1}, {"key": "truth", "score": 0}]), score_names([{"name": "a"}, 1])
    (['tone', 'truth'], [])
    """
    scores = [one for one in values if isinstance(one, Mapping) and any(value in one for value in _SCORE_VALUES)]
    names = [str(one[key]) for one in scores for key in _SCORE_NAMES if isinstance(one.get(key), str)][: len(scores)]
    return names if len(names) == len(values) else []


def named_value(values: Sequence[Any], name: str) -> Any:
    """Return the value with a name in a list of scores, which is the same wherever it stands; None if there is none."""
    for one in values:
        if isinstance(one, Mapping) and any(one.get(key) == name for key in _SCORE_NAMES):
            return next((one[key] for key in _SCORE_VALUES if not is_missing(one.get(key))), None)
    return None


def _decoded(text: str) -> Any:
    if text[:1] not in ("{", "[") or len(text) > _MAX_JSON_CHARS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
