"""Read prompts that models are to be asked: any table or log that an import reads, as chat bodies.

What a prompt's record says beside its messages goes into its body: tools, a response format, and fields of a chat body
such as ``temperature``. Outcomes that the record has, too, are not read, save for how long its answers were.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.errors import TableError
from router_model.features.prompt import OUTPUT_LIMITS
from router_model.training.importing import import_sources

PROMPT_FIELDS: Final = (
    *("prompt_id", "prompt", "messages", "tools", "response_format", "max_output_tokens", "turn_type"),
    *("task", "session_id"),
)
"""Columns of an outcome table that say what was asked."""
PARAMETERS: Final = (
    *("temperature", "top_p", "top_k", "min_p", "seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "reasoning", "thinking"),
    "verbosity",
    *OUTPUT_LIMITS,
)
"""Fields of a chat body that are sent as they are."""
REFERENCE: Final = "reference"
"""The field with the right answer, if no other one is named."""
_WORDS: Final = ("stop", "reasoning_effort", "verbosity")
"""Of these, fields that may be plain text; the text of all others, as in CSV files, is JSON."""
_OBJECTS: Final = ("logit_bias", "reasoning", "thinking")
"""Of these, fields that are JSON objects. Other values of that name are a data set's own column, such as a rationale
that gives the answer away."""
_IMPORT_FIRST: Final = (
    "The options named here are those of 'router-model import': make a table with it first, and collect from that."
)
_NO_MODEL: Final = "-"
"""Stands for the model of records that name none."""


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """One prompt.

    Attributes
    ----------
    row : mapping
        Its `PROMPT_FIELDS`, as an outcome table has them.
    body : dict
        A chat body in OpenAI's form, without a model.
    reference : str or None
        The right answer, or what else a grader compares with; JSON if it was no text.
    output_tokens : float or None
        Mean length of the answers that the source knows, in tokens.
    not_sent : mapping
        Fields that have the name of a parameter, and no value that it can have; e.g. ``reasoning`` with a text.
    """

    row: Mapping[str, Any]
    body: dict[str, Any]
    reference: str | None
    output_tokens: float | None
    not_sent: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskedPrompts:
    """The prompts of a source, and how many of it were left out.

    Attributes
    ----------
    prompts : list of AskedPrompt
        In the order of the source, each body once.
    n_repeated : int
        Prompts whose body another one has.
    n_sealed : int
        Prompts that a log kept as features, without their text.
    """

    prompts: list[AskedPrompt]
    n_repeated: int
    n_sealed: int


def read_prompts(
    sources: Sequence[str | Path], *, columns: Mapping[str, str | Sequence[str]] | None = None, reference: str | None
) -> AskedPrompts:
    """Read prompts.

    Parameters
    ----------
    sources : files, folders and patterns, as `import_sources` takes them
    columns : mapping, optional
        Fields of the sources for columns of ours, as in `import_sources`.
    reference : str or None
        The field with the right answer; None: `REFERENCE`, where a record has it.

    Raises
    ------
    TableError
        If a source cannot be read, has no prompt that can be sent, or no field `reference`.
    """
    with tempfile.TemporaryDirectory(prefix="router-prompts-") as folder:
        table = Path(folder) / "prompts.parquet"
        # No quality: what was paid for earlier answers, and on which scale they were graded, does not matter here.
        try:
            import_sources(sources, table, columns={"quality": "", **(columns or {})}, model=_NO_MODEL)
        except TableError as exc:
            raise TableError(f"{str(exc).replace(str(table), 'prompts.parquet')}\n{_IMPORT_FIRST}") from exc
        return _prompts(pl.read_parquet(table), reference, sources)


def _prompts(table: pl.DataFrame, reference: str | None, sources: Sequence[str | Path]) -> AskedPrompts:
    lengths = dict(table.group_by("prompt_id").agg(pl.col("output_tokens").mean()).iter_rows())
    of_prompts = table.unique("prompt_id", keep="first", maintain_order=True)
    found: dict[str, AskedPrompt] = {}
    n_sealed = 0
    for row in of_prompts.iter_rows(named=True):
        if row["prompt"] is None and row["messages"] is None:
            n_sealed += 1
            continue
        extra = json.loads(row["extra"] or "{}")
        sent, not_sent = _parameters(extra)
        body = _body(row, sent)
        asked = AskedPrompt(
            {name: row[name] for name in PROMPT_FIELDS},
            body,
            _text(extra.get(reference or REFERENCE)),
            lengths[row["prompt_id"]],
            not_sent,
        )
        found.setdefault(json.dumps(body, sort_keys=True), asked)
    if not found:
        raise TableError(
            f"{', '.join(map(str, sources))}: got {n_sealed:,} prompts that were logged as features, and none with a "
            "text, expected prompts that can be sent; log them in full (--log-prompts full)"
        )
    if reference is not None and all(one.reference is None for one in found.values()):
        raise TableError(
            f"{', '.join(map(str, sources))}: no record has a field {reference!r} (--reference), expected the right "
            "answers in it; name the field that has them"
        )
    return AskedPrompts(list(found.values()), of_prompts.height - n_sealed - len(found), n_sealed)


def _body(row: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat body of a row.

    >>> _body({"prompt": "Hi", "messages": None, "tools": None, "response_format": None, "max_output_tokens": 9},
    ...       {"temperature": 0.5})
    {'messages': [{'role': 'user', 'content': 'Hi'}], 'temperature': 0.5, 'max_tokens': 9}
    """
    messages = row["messages"]
    said = json.loads(messages) if messages is not None else [{"role": "user", "content": row["prompt"]}]
    body: dict[str, Any] = {"messages": said}
    body.update({name: json.loads(row[name]) for name in ("tools", "response_format") if row[name] is not None})
    body.update(parameters)
    if row["max_output_tokens"] is not None and not any(name in body for name in OUTPUT_LIMITS):
        body["max_tokens"] = row["max_output_tokens"]
    return body


def _parameters(extra: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters that are sent, and the fields that only have the name of one.

    >>> _parameters({"temperature": "0.5", "team": "a", "thinking": '{"type": "enabled"}', "reasoning": "As 2 < 3"})
    ({'temperature': 0.5, 'thinking': {'type': 'enabled'}}, {'reasoning': 'As 2 < 3'})
    """
    sent: dict[str, Any] = {}
    not_sent: dict[str, Any] = {}
    for name in PARAMETERS:
        value = extra.get(name)
        if isinstance(value, str) and name not in _WORDS:
            with suppress(ValueError):  # a word, such as tool_choice's "required"
                value = json.loads(value)
        if value is not None:
            of_kind = not_sent if name in _OBJECTS and not isinstance(value, dict) else sent
            of_kind[name] = value
    return sent, not_sent


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
