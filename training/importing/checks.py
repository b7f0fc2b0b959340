"""Check the values of an outcome table; importing and training both use these checks.

`check_batch` takes any subset of the outcome columns in any types. It says what is wrong, and returns the good rows in
the types of our schema. A value of the wrong type is a problem and never becomes a null. One simplification: a row with
one bad value is rejected as a whole.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

import polars as pl

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing import dates, number_text, values
from router_model.training.importing.problems import Problem, shown
from router_model.training.importing.reading import AS_WRITTEN, Reading

CANONICAL_SCHEMA: Final = {
    name: {
        "quality": pl.Float64(),
        "input_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "max_output_tokens": pl.Int64(),
        "cost_usd": pl.Float64(),
        "latency_s": pl.Float64(),
        "propensity": pl.Float64(),
        "timestamp": values.TIME_TYPE,
    }.get(name, pl.String())
    for name in OUTCOME_COLUMN_NAMES
}
"""Types of the columns `check_batch` returns, in order."""

PROMPT_FORMS: Final = ("prompt", "messages", "prompt_features")
"""The columns of which a row needs one."""

REQUEST_PARTS: Final = ("tools", "response_format", "max_output_tokens", "turn_type")
"""The columns with what a request says beside its messages."""

PROMPT_ID_DIGITS: Final = 24
"""Number of hexadecimal digits of a default prompt id: 96 bits, so that a billion prompts do not collide."""

EXPECTED_ONE_NUMBER: Final = "a number that can be read in one way only"
EXPECTED_ONE_DATE: Final = "a date whose day and month cannot be swapped"

_SKIP: Final = "or use --on-error skip to set such rows aside"
_AMOUNT: Final = "a finite number from 0"
_COUNT: Final = "a whole number from 0"
_MIN_EPOCH_MS: Final = 946_684_800_000
"""The beginning of the year 2000 in seconds."""

Hint: TypeAlias = Callable[[object], tuple[str, str] | None]


class _Rule(NamedTuple):
    """How a column is read.

    Attributes
    ----------
    clean : callable
    expected, advice : str
    hint : callable, optional
        Return (expected, advice) for a value for which a more specific message is possible.
    """

    clean: Callable[[pl.Series, Reading], values.Cleaned]
    expected: str
    advice: str
    hint: Hint = lambda _: None


def _plain(clean: Callable[[pl.Series], values.Cleaned]) -> Callable[[pl.Series, Reading], values.Cleaned]:
    """Adapt a function that does not depend on the reading."""
    return lambda series, _: clean(series)


def _number_hint(value: object) -> tuple[str, str] | None:
    if not number_text.is_ambiguous(value):
        return None
    return EXPECTED_ONE_NUMBER, "say --decimal point (the comma stands between thousands) or --decimal comma"


def _time_hint(value: object) -> tuple[str, str] | None:
    if dates.is_ambiguous(value):
        return EXPECTED_ONE_DATE, "say --dates day-first or --dates month-first"
    number = float(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, int | float) and number >= _MIN_EPOCH_MS:
        return _RULES["timestamp"].expected, "say the unit, as in --column timestamp=NAME:ms (or :us, :ns)"
    return None


_TEXT_RULE: Final = _Rule(_plain(values.text), "text in UTF-8", f"write it as text, {_SKIP}")
_RULES: Final = {
    "prompt_id": _Rule(_plain(values.name), "text or a whole number", f"write it as text, {_SKIP}"),
    "prompt": _Rule(_plain(values.text), "text in UTF-8", f"put chat messages into 'messages', {_SKIP}"),
    "messages": _Rule(
        _plain(values.messages),
        'a JSON list of chat messages such as {"role": "user", "content": "…"} with some text',
        f"write them so, {_SKIP}",
    ),
    "prompt_features": _Rule(
        _plain(values.sealed), "features as the decision log exports them", f"export them again, {_SKIP}"
    ),
    "tools": _Rule(
        _plain(values.tools),
        'a JSON list of tools such as {"type": "function", "function": {"name": "…", "parameters": {…}}}',
        f"write them so, {_SKIP}",
    ),
    "response_format": _Rule(
        _plain(values.json_object), 'a JSON object such as {"type": "json_object"}', f"write it so, {_SKIP}"
    ),
    "max_output_tokens": _Rule(
        values.positive_count, "a whole number from 1", f"leave it empty if there was no limit, {_SKIP}"
    ),
    "model": _Rule(
        _plain(values.name), "the model's name", f"fill it in, name one for all such rows with --model NAME, {_SKIP}"
    ),
    "quality": _Rule(values.quality, "a number in [0, 1]", f"scale it, {_SKIP}"),
    "input_tokens": _Rule(values.count, _COUNT, f"leave it empty if unknown, {_SKIP}"),
    "output_tokens": _Rule(values.count, _COUNT, f"leave it empty if unknown, {_SKIP}"),
    "cost_usd": _Rule(values.amount, f"{_AMOUNT}, in US dollars", f"leave it empty if unknown, {_SKIP}", _number_hint),
    "latency_s": _Rule(values.seconds, f"{_AMOUNT}, in seconds", f"leave it empty if unknown, {_SKIP}", _number_hint),
    "propensity": _Rule(values.probability, "a number above 0, up to 1", f"leave it empty if unknown, {_SKIP}"),
    "timestamp": _Rule(
        values.moment,
        "a time such as 2025-01-31T09:30:00Z or seconds since 1970 (years 2000 to 2099)",
        f"rewrite it, {_SKIP}",
        _time_hint,
    ),
    "extra": _Rule(_plain(values.json_object), "a JSON object", f"write it so, {_SKIP}"),
}


def _rule_of(column: str, reading: Reading) -> _Rule:
    rule = _RULES.get(column, _TEXT_RULE)
    if column == "quality" and reading.scale is not None:
        low, high = reading.scale.range
        return rule._replace(
            expected=f"a number from {low:g} to {high:g} (--scale {reading.scale})",
            advice=f"check the scale, {_SKIP}",
        )
    return rule


def check_batch(frame: pl.DataFrame, reading: Reading = AS_WRITTEN) -> tuple[pl.DataFrame, list[Problem]]:
    """Check rows of outcomes and convert them to the types of the schema.

    Parameters
    ----------
    frame : polars.DataFrame
        Any of the outcome columns in any types (numbers may be text, mixed columns `polars.Object`); other
        columns are ignored. Missing columns are missing values.
    reading : Reading, optional
        How the values are written.

    Returns
    -------
    good : polars.DataFrame
        The rows without a problem, in their order, with the columns and types of `CANONICAL_SCHEMA`; a
        missing `prompt_id` has been made from the prompt (see `default_prompt_id`).
    problems : list of Problem
        Ascending in their `index`, which is the row of `frame`; a row may have several.

    Examples
    --------
    >>> good, problems = check_batch(pl.DataFrame({"prompt": ["Hi", "Hi"], "model": ["a", "b"],
    ...                                            "quality": ["0.5", "1.7"]}))
    >>> good["quality"].to_list(), [(problem.index, problem.reason) for problem in problems]
    ([0.5], [(1, 'got 1.7, expected a number in [0, 1]')])
    """
    clean: dict[str, pl.Series] = {}
    problems: list[Problem] = []
    for column in OUTCOME_COLUMN_NAMES:
        rule = _rule_of(column, reading)
        given = frame[column] if column in frame.columns else pl.Series(column, [None] * frame.height, dtype=pl.Null)
        clean[column], bad = rule.clean(given, reading)
        problems += _problems_of(given, bad, rule)
    checked = pl.DataFrame(clean).cast(CANONICAL_SCHEMA)  # type: ignore[arg-type]
    problems += _missing_names(frame, checked, {(p.index, p.column) for p in problems})
    problems.sort(key=lambda problem: problem.index)
    good = checked.filter(~_mask({problem.index for problem in problems}, frame.height))
    return _with_prompt_ids(good), problems


def _problems_of(given: pl.Series, bad: pl.Series, rule: _Rule) -> list[Problem]:
    indices = bad.arg_true().to_list()
    if not indices:
        return []
    return [_problem_of(index, given.name, given[index], rule) for index in indices]


def _problem_of(index: int, column: str, value: object, rule: _Rule) -> Problem:
    expected, advice = rule.hint(value) or (rule.expected, rule.advice)
    return Problem(index, column, _got(value), expected, advice)


def _got(value: object) -> str:
    """Return a value of a series for a message; values of list columns come as series and become lists."""
    return shown(value.to_list() if isinstance(value, pl.Series) else value)


def _missing_names(frame: pl.DataFrame, checked: pl.DataFrame, known: set[tuple[int, str]]) -> Iterable[Problem]:
    """Yield rows without a model, and rows without a prompt in any form."""
    rule = _RULES["model"]
    for index in checked["model"].is_null().arg_true():
        if (index, "model") not in known:
            yield Problem(index, "model", _original(frame, "model", index), rule.expected, rule.advice)
    for index in checked.select(pl.all_horizontal(pl.col(PROMPT_FORMS).is_null())).to_series().arg_true():
        if not known & {(index, form) for form in PROMPT_FORMS}:
            yield Problem(
                index,
                "prompt",
                _original(frame, "prompt", index),
                "text here, or chat messages in 'messages'",
                f"fill one of them in, {_SKIP}",
            )


def _original(frame: pl.DataFrame, column: str, index: int) -> str:
    return _got(frame[column][index]) if column in frame.columns else "nothing"


def _mask(indices: set[int], height: int) -> pl.Series:
    mask = pl.Series([False], dtype=pl.Boolean).new_from_index(0, height)
    return mask.scatter(sorted(indices), True) if indices else mask


# --- prompt ids ------------------------------------------------------------------------------------------


def default_prompt_id(text: str) -> str:
    """Return the id of a prompt's text, or of its `values.canonical_messages`.

    >>> default_prompt_id("Hi")
    '3639efcd08abb273b1619e82'
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:PROMPT_ID_DIGITS]


def _with_prompt_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill in missing ids, from messages (two chats may end in the same prompt) or prompts, and tools."""
    if not frame["prompt_id"].has_nulls():
        return frame
    given = frame["prompt_id"].to_list()
    text = pl.coalesce("messages", "prompt", "prompt_features")
    # The same words with other tools are another question.
    texts = frame.select(pl.concat_str(text, pl.col("tools").fill_null(""))).to_series().to_list()
    # Hashing takes a tenth of an import, and the rows of one prompt stand together in most tables.
    id_of = {text: default_prompt_id(text) for text in set(texts)}
    ids = [id_of[text] if known is None else known for known, text in zip(given, texts, strict=True)]
    return frame.with_columns(pl.Series("prompt_id", ids, dtype=pl.String))
