"""Is this a table of outcomes? The one place where values are judged, for importing and for training alike.

`check_batch` takes any subset of the outcome columns in any types, says what is wrong, and returns the good
rows in the canonical types. A value of the wrong type is a problem, never a null. Simplifies: a row with one
bad value is set aside whole.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import polars as pl

from router_model.records import OUTCOME_COLUMN_NAMES
from training.importing import values
from training.importing.problems import Problem, shown

CANONICAL_SCHEMA: Final = {
    name: {
        "quality": pl.Float64(),
        "input_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "cost_usd": pl.Float64(),
        "latency_s": pl.Float64(),
        "propensity": pl.Float64(),
        "timestamp": values.TIME_TYPE,
    }.get(name, pl.String())
    for name in OUTCOME_COLUMN_NAMES
}
"""Types of the columns `check_batch` returns, in order."""

PROMPT_ID_DIGITS: Final = 24
"""Hexadecimal digits of a default prompt id: 96 bits, so that a billion prompts do not collide."""

_SKIP: Final = "or use --on-error skip to set such rows aside"
_AMOUNT: Final = "a finite number from 0"
_COUNT: Final = "a whole number from 0"


class _Rule(NamedTuple):
    clean: Callable[[pl.Series], values.Cleaned]
    expected: str
    advice: str


_TEXT_RULE: Final = _Rule(values.text, "text in UTF-8", f"write it as text, {_SKIP}")
_RULES: Final = {
    "prompt_id": _Rule(values.name, "text or a whole number", f"write it as text, {_SKIP}"),
    "prompt": _Rule(values.text, "text in UTF-8", f"put chat messages into 'messages', {_SKIP}"),
    "messages": _Rule(
        values.messages,
        'a JSON list of chat messages such as {"role": "user", "content": "…"} with some text',
        f"write them so, {_SKIP}",
    ),
    "model": _Rule(values.name, "the model's name", f"fill it in, {_SKIP}"),
    "quality": _Rule(values.quality, "a number in [0, 1]", f"scale it, {_SKIP}"),
    "input_tokens": _Rule(values.count, _COUNT, f"leave it empty if unknown, {_SKIP}"),
    "output_tokens": _Rule(values.count, _COUNT, f"leave it empty if unknown, {_SKIP}"),
    "cost_usd": _Rule(values.amount, _AMOUNT, f"leave it empty if unknown, {_SKIP}"),
    "latency_s": _Rule(values.amount, _AMOUNT, f"leave it empty if unknown, {_SKIP}"),
    "propensity": _Rule(values.probability, "a number above 0, up to 1", f"leave it empty if unknown, {_SKIP}"),
    "timestamp": _Rule(
        values.moment,
        "a time such as 2025-01-31T09:30:00Z or seconds since 1970 (years 2000 to 2099)",
        f"rewrite it, {_SKIP}",
    ),
    "extra": _Rule(values.json_object, "a JSON object", f"write it so, {_SKIP}"),
}


def check_batch(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    """Check rows of outcomes and bring them into the canonical types.

    Parameters
    ----------
    frame : polars.DataFrame
        Any of the outcome columns in any types (numbers may be text, mixed columns `polars.Object`); other
        columns are ignored. Missing columns are missing values.

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
        rule = _RULES.get(column, _TEXT_RULE)
        given = frame[column] if column in frame.columns else pl.Series(column, [None] * frame.height, dtype=pl.Null)
        clean[column], bad = rule.clean(given)
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
    return [Problem(index, given.name, _got(given[index]), rule.expected, rule.advice) for index in indices]


def _got(value: object) -> str:
    """Show a value; series of lists give series back."""
    return shown(value.to_list() if isinstance(value, pl.Series) else value)


def _missing_names(frame: pl.DataFrame, checked: pl.DataFrame, known: set[tuple[int, str]]) -> Iterable[Problem]:
    """Yield rows without a model, and rows with neither prompt nor messages."""
    rule = _RULES["model"]
    for index in checked["model"].is_null().arg_true():
        if (index, "model") not in known:
            yield Problem(index, "model", _original(frame, "model", index), rule.expected, rule.advice)
    for index in (checked["prompt"].is_null() & checked["messages"].is_null()).arg_true():
        if not known & {(index, "prompt"), (index, "messages")}:
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
    """Fill in missing ids: from the messages where there are some, as two chats may end in one prompt."""
    if not frame["prompt_id"].has_nulls():
        return frame
    given = frame["prompt_id"].to_list()
    texts = frame["messages"].fill_null(frame["prompt"]).to_list()
    # The rows of one prompt stand together in most tables, and hashing is a tenth of an import.
    id_of = {text: default_prompt_id(text) for text in set(texts)}
    ids = [id_of[text] if known is None else known for known, text in zip(given, texts, strict=True)]
    return frame.with_columns(pl.Series("prompt_id", ids, dtype=pl.String))
