"""Convert columns of any type into the types of our schema; values that do not fit are marked and never dropped.

Every function takes a series and returns ``(clean, bad)``: the same rows in the right type, and a boolean mask of rows
with an unusable value (null in `clean`). Missing values (null, an empty text) stay missing and are not bad. Columns of
mixed types come as `polars.Object`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import polars as pl

from router_model.features.logged import is_sealed
from router_model.features.prompt import Prompt
from router_model.features.tools import chat_tools
from router_model.training.importing.conversion import decode_list
from router_model.training.importing.dates import DateOrder, read_date
from router_model.training.importing.number_text import read_number, read_seconds
from router_model.training.importing.reading import AS_WRITTEN, Reading
from router_model.training.importing.scales import UNIT_SCALE, Scale

Cleaned: TypeAlias = tuple[pl.Series, pl.Series]

TIME_TYPE: Final = pl.Datetime("us", "UTC")
_FIRST_EPOCH_S: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LAST_EPOCH_S: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_MAX_COUNT: Final = 2**53  # up to here, floats hold every whole number
# Made once, because json.dumps would make an encoder for each value.
_WRITER: Final = json.JSONEncoder(ensure_ascii=False, default=str)
_CANONICAL_WRITER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
_TOOL_WRITER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)
_TEXT_LIKE: Final = (pl.String, pl.Categorical, pl.Enum)


# --- numbers ---------------------------------------------------------------------------------------------


class QualityValues(NamedTuple):
    """A column of qualities, split by kind of value; all series have the length of the column.

    Attributes
    ----------
    numbers : float series
        Values written as numbers, on the scale of the source.
    known : float series
        Qualities of words and of true and false: 0 to 1, whatever the scale.
    unreadable : boolean series
        Values that are neither numbers nor known words.
    """

    numbers: pl.Series
    known: pl.Series
    unreadable: pl.Series


def quality(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read qualities and scale them to [0, 1]; true and false are 1 and 0, and NaN is missing.

    >>> clean, bad = quality(pl.Series(["0.5", "True", "nan", "", "1.7", "good"]))
    >>> clean.to_list(), bad.to_list()
    ([0.5, 1.0, None, None, None, None], [False, False, False, False, True, True])
    >>> quality(pl.Series([1, 4]), Reading(scale=Scale(1, 5)))[0].to_list()
    [0.0, 0.75]
    """
    numbers, known, bad = quality_values(series, reading)
    scale = reading.scale or UNIT_SCALE
    low, high = scale.range
    clean, bad = _within(numbers, bad, (numbers >= low) & (numbers <= high))
    if scale != UNIT_SCALE:
        clean = (clean - scale.worst) / (scale.best - scale.worst)
    return clean.fill_null(known), bad


def quality_values(series: pl.Series, reading: Reading) -> QualityValues:
    """Separate numbers from words in a column of qualities."""
    if series.dtype == pl.Boolean and reading.words:
        series = series.cast(pl.String)
    if series.dtype == pl.Boolean:
        return QualityValues(_nulls(series, pl.Float64), series.cast(pl.Float64), _none_of(series))
    if series.dtype == pl.Object:
        series = _scalars_as_text(series)
    words = {"true": 1.0, "false": 0.0, **reading.words}
    if series.dtype in _TEXT_LIKE:
        text = series.cast(pl.String).str.strip_chars().str.to_lowercase()
        is_word = text.is_in(list(words)).fill_null(value=False)
        known = text.replace_strict(words, default=None, return_dtype=pl.Float64)
        numbers, unreadable = _floats(_without_ends(_null_where(is_word, text), reading.scale), reading)
    else:
        numbers, unreadable = _floats(series)
        known, is_word = _known_numbers(numbers, reading.words)
        numbers = _null_where(is_word, numbers)
    return QualityValues(numbers.fill_nan(None), known, unreadable)


def _without_ends(text: pl.Series, scale: Scale | None) -> pl.Series:
    """Remove the end of the scale from texts that name it: 85% on 0 to 100, 4/5 on 1 to 5."""
    if scale is None:
        return text
    best = f"{scale.range[1]:g}"
    ends = rf"\s*(?:/|out of)\s*{re.escape(best)}$" + ("|\\s*%$" if best == "100" else "")
    return text.str.replace(ends, "")


def _known_numbers(numbers: pl.Series, words: Mapping[str, float | None]) -> tuple[pl.Series, pl.Series]:
    """Return the qualities of numbers that ``--values`` names, and a mask of these numbers."""
    known, is_known = _nulls(numbers, pl.Float64), _none_of(numbers)
    for word, value in words.items():
        try:
            here = (numbers == float(word)).fill_null(value=False)
        except ValueError:
            continue
        known = known.zip_with(~here, pl.Series([value], dtype=pl.Float64).new_from_index(0, len(numbers)))
        is_known |= here
    return known, is_known


def amount(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read costs: finite numbers of 0 or more.

    >>> amount(pl.Series(["$0.25", "0,5", "7 €"]))[0].to_list()
    [0.25, 0.5, None]
    """
    return _finite(_floats(series, reading))


def seconds(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read time spans of 0 or more; a text may have a unit.

    >>> seconds(pl.Series(["850 ms", "2"]))[0].to_list()
    [0.85, 2.0]
    """
    return _finite(_floats(series, reading, read_seconds))


def _finite(read: Cleaned) -> Cleaned:
    numbers, bad = read
    return _within(numbers, bad, numbers.is_finite() & (numbers >= 0))


def probability(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read probabilities: numbers above 0 and up to 1."""
    numbers, bad = _floats(series, reading)
    return _within(numbers, bad, (numbers > 0) & (numbers <= 1))


def count(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read whole numbers of 0 or more, also written as 12.0, 1e3 or 1,234.

    >>> clean, bad = count(pl.Series([12.0, 12.5, -1.0, None]))
    >>> clean.to_list(), bad.to_list()
    ([12, None, None, None], [False, True, True, False])
    """
    numbers, bad = _floats(series, reading, partial(read_number, whole=True))
    whole = (numbers >= 0) & (numbers < _MAX_COUNT) & (numbers == numbers.floor())
    clean, bad = _within(numbers, bad, whole)
    return clean.cast(pl.Int64), bad


def positive_count(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read whole numbers from 1."""
    clean, bad = count(series, reading)
    bad = bad | (clean == 0).fill_null(value=False)
    return _null_where(bad, clean), bad


def _within(numbers: pl.Series, bad: pl.Series, usable: pl.Series) -> Cleaned:
    usable = usable.fill_null(value=False)
    bad = bad | (numbers.is_not_null() & ~usable)
    return _null_where(bad, numbers), bad


def _floats(series: pl.Series, reading: Reading = AS_WRITTEN, read: Callable[..., float] = read_number) -> Cleaned:
    """Read numbers; `read` reads a text that polars cannot, with the decimal mark of `reading`."""
    if series.dtype == pl.Object:
        series = _scalars_as_text(series)
    if series.dtype in _TEXT_LIKE:
        return _floats_of_text(series.cast(pl.String).str.strip_chars(), reading, read)
    if series.dtype.is_numeric():
        return series.cast(pl.Float64), _none_of(series)
    return _nulls(series, pl.Float64), series.is_not_null()


def _floats_of_text(text: pl.Series, reading: Reading, read: Callable[..., float]) -> Cleaned:
    numbers = text.cast(pl.Float64, strict=False)
    unread = text.is_not_null() & (text != "") & numbers.is_null()
    if reading.decimal == "comma":
        unread |= text.str.contains(r"[.,]")  # 1.234 is 1234 if the comma stands before decimals
    unread = unread.fill_null(value=False)
    if not unread.any():
        return numbers, unread
    found, bad = _each(_null_where(~unread, text), partial(read, decimal=reading.decimal), pl.Float64)
    return numbers.zip_with(~unread, found), bad


def _scalars_as_text(series: pl.Series) -> pl.Series:
    """Write mixed values as text; the text of a number reads back as the same number."""
    return pl.Series(series.name, [_scalar_text(value) for value in series.to_list()], dtype=pl.String)


def _scalar_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, bool | dict | list):
        return json.dumps(value, default=str)
    return str(value)


# --- text ------------------------------------------------------------------------------------------------


def text(series: pl.Series) -> Cleaned:
    """Read text; text of white space only is missing, and whole numbers become text."""
    clean, bad = _texts(series)
    blank = (clean.str.strip_chars() == "").fill_null(value=False)
    return _null_where(blank, clean), bad


def name(series: pl.Series) -> Cleaned:
    """Read names; white space around them is removed, so that one name does not become two."""
    clean, bad = text(series)
    return clean.str.strip_chars(), bad


def _texts(series: pl.Series) -> Cleaned:
    if series.dtype in _TEXT_LIKE or series.dtype.is_integer():
        return series.cast(pl.String), _none_of(series)
    if series.dtype == pl.Object:
        return _each(series, _one_text, pl.String)
    return _nulls(series, pl.String), series.is_not_null()


def _one_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    value.encode("utf-8")  # raises UnicodeEncodeError, a ValueError, for lone surrogates
    return value


def sealed(series: pl.Series) -> Cleaned:
    """Read sealed features (`router_model.features.logged`); they are opened where a table is read."""
    return _each(series, _one_sealed, pl.String)


def _one_sealed(value: object) -> str | None:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    if value and not is_sealed(value):
        raise ValueError("not sealed features")
    return value or None


# --- times -----------------------------------------------------------------------------------------------


def moment(series: pl.Series, reading: Reading = AS_WRITTEN) -> Cleaned:
    """Read dates and times, and seconds since 1970; without a zone they are in UTC.

    Local dates are read if the order of day and month is clear or stated (see `dates`).

    Seconds must lie between the years 2000 and 2100, so that milliseconds are not taken for seconds.

    >>> clean, bad = moment(pl.Series(["2025-01-31T09:30:00+01:00", "1738312200", "1738312200000", "soon"]))
    >>> [str(value) for value in clean.to_list()], bad.to_list()
    (['2025-01-31 08:30:00+00:00', '2025-01-31 08:30:00+00:00', 'None', 'None'], [False, False, True, True])
    """
    if isinstance(series.dtype, pl.Datetime):
        zoned = series.dt.replace_time_zone("UTC") if series.dtype.time_zone is None else series
        return zoned.dt.convert_time_zone("UTC").cast(TIME_TYPE), _none_of(series)
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), _none_of(series)
    if series.dtype in _TEXT_LIKE or series.dtype.is_numeric() or series.dtype == pl.Object:
        return _each(series, partial(_one_time, order=reading.dates), TIME_TYPE)
    return _nulls(series, TIME_TYPE), series.is_not_null()


def _one_time(value: object, order: DateOrder | None = None) -> datetime | None:
    if isinstance(value, str):
        return _of_text(value.strip(), order)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return _of_epoch(value)


def _of_text(value: str, order: DateOrder | None) -> datetime | None:
    if not value:
        return None
    try:
        return _one_time(datetime.fromisoformat(value))
    except ValueError:
        pass
    try:
        return _of_epoch(float(value))
    except ValueError:
        return read_date(value, order)


def _of_epoch(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(type(value).__name__)
    if not _FIRST_EPOCH_S <= value < _LAST_EPOCH_S:
        raise ValueError(value)
    return datetime.fromtimestamp(float(value), tz=UTC)


# --- JSON ------------------------------------------------------------------------------------------------


def json_object(series: pl.Series) -> Cleaned:
    """Read JSON objects, as text or as objects; an empty one is missing."""
    return _each(series, _one_object, pl.String)


def _one_object(value: object) -> str | None:
    decoded = json.loads(value) if isinstance(value, str) and value else value
    if not decoded and isinstance(decoded, dict | str):
        return None
    if not isinstance(decoded, dict):
        raise TypeError(type(decoded).__name__)
    return value if isinstance(value, str) else safe_json(decoded)


def messages(series: pl.Series) -> Cleaned:
    """Read lists of chat messages, as JSON text or as lists; each becomes its `canonical_messages`."""
    return _each(series, _one_conversation, pl.String)


def _one_conversation(value: object) -> str | None:
    decoded = decode_list(value) if isinstance(value, str) and value else value
    if decoded == "":
        return None
    if not isinstance(decoded, list) or not decoded:
        raise TypeError(type(decoded).__name__)
    prompt = Prompt.parse(decoded)  # the PromptError that it raises is a ValueError
    if not (prompt.n_chars or prompt.has_images or prompt.has_audio):
        raise ValueError("no text")
    canonical = canonical_messages(decoded)
    canonical.encode("utf-8")
    return canonical


def tools(series: pl.Series) -> Cleaned:
    """Read lists of tools, as JSON text or as lists; each becomes JSON in the form of a chat body.

    >>> tools(pl.Series(['[{"name": "add", "input_schema": {"type": "object"}}]', "[]", "[1]"]))[0].to_list()
    ['[{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}]', None, None]
    """
    return _each(series, _some_tools, pl.String)


def _some_tools(value: object) -> str | None:
    decoded = decode_list(value) if isinstance(value, str) and value else value
    if decoded in ("", []):
        return None
    if not isinstance(decoded, list) or not all(isinstance(one, Mapping) for one in decoded):
        raise TypeError(type(decoded).__name__)
    # The order of keys is kept: it is the order in which a model reads the parameters.
    written = _TOOL_WRITER.encode(chat_tools(_without_nulls(decoded)))
    written.encode("utf-8")
    return written


def canonical_messages(conversation: Sequence[Mapping[str, Any]]) -> str:
    """Write messages as JSON text, so that equal conversations have equal texts.

    Keys are sorted. Null fields are left out, because a chat API treats them like absent ones, and Parquet cannot
    distinguish the two.

    >>> canonical_messages([{"role": "user", "content": "Hi", "name": None}])
    '[{"content":"Hi","role":"user"}]'
    """
    kept = [_without_nulls(message) for message in conversation]
    return _CANONICAL_WRITER.encode(kept)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def safe_json(value: object) -> str:
    r"""Write JSON that any UTF-8 file can hold: lone surrogates are escaped, other characters are not.

    >>> safe_json({"é": "\ud800"})
    '{"é": "\\ud800"}'
    """
    written = _WRITER.encode(value)
    return written if written.isascii() else written.encode("utf-8", errors="backslashreplace").decode("utf-8")


# --- helpers ---------------------------------------------------------------------------------------------


def _each(series: pl.Series, read: Callable[[Any], Any], dtype: Any) -> Cleaned:
    """Read values one by one; a value for which `read` raises one of its errors is marked as bad."""
    if series.null_count() == len(series):  # most columns of most tables are not there
        return _nulls(series, dtype), _none_of(series)
    clean: list[Any] = []
    bad: list[bool] = []
    for value in series.to_list():
        try:
            clean.append(None if value is None else read(value))
        except (ValueError, TypeError, RecursionError):
            clean.append(None)
            bad.append(True)
        else:
            bad.append(False)
    return pl.Series(series.name, clean, dtype=dtype), pl.Series(series.name, bad, dtype=pl.Boolean)


def _none_of(series: pl.Series) -> pl.Series:
    return pl.Series(series.name, [False], dtype=pl.Boolean).new_from_index(0, len(series))


def _nulls(series: pl.Series, dtype: Any) -> pl.Series:
    return pl.Series(series.name, [None], dtype=dtype).new_from_index(0, len(series))


def _null_where(mask: pl.Series, series: pl.Series) -> pl.Series:
    return series.zip_with(~mask, _nulls(series, series.dtype)) if mask.any() else series
