"""Read prompts that models are to be asked: any table or log that an import reads, as chat bodies.

What a prompt's record says beside its messages goes into its body: tools, a response format, and fields of a chat body
such as ``temperature``. Outcomes that the record has, too, are not read, save for how long its answers were.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
_OF_IMPORT: Final = re.compile(r"--(?!column\b)[a-z]")
"""An option that an import has, and a collection does not."""
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
    """The prompts of a source, and what of it is not asked.

    Attributes
    ----------
    prompts : list of AskedPrompt
        In the order of the source, each body once.
    n_repeated : int
        Records of a prompt that the same model, or no model, has another record of.
    n_sealed : int
        Prompts that a log kept as features, without their text.
    n_other_bodies : int
        Prompts that some records send with other parameters, such as another temperature; the first is asked.
    other_references : mapping of str to (str, str)
        By prompt id, the reference that is kept and another one that a record has.
    """

    prompts: list[AskedPrompt]
    n_repeated: int
    n_sealed: int
    n_other_bodies: int
    other_references: Mapping[str, tuple[str, str]]


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
        If a source cannot be read, has no prompt that can be sent, no field `reference`, or an id for several texts.
    """
    with tempfile.TemporaryDirectory(prefix="router-prompts-") as folder:
        table = Path(folder) / "prompts.parquet"
        # No quality: what was paid for earlier answers, and on which scale they were graded, does not matter here.
        try:
            given = {"quality": "", **(columns or {})}
            import_sources(sources, table, columns=given, model=_NO_MODEL, for_prompts=True)
        except TableError as exc:
            said = str(exc).replace(str(table), "prompts.parquet")
            raise TableError(f"{said}\n{_IMPORT_FIRST}" if _OF_IMPORT.search(said) else said) from exc
        return _prompts(pl.read_parquet(table), reference, sources)


class _Prompts:
    """The prompts of the records so far, and what differs between records of the same prompt."""

    def __init__(self) -> None:
        self.by_id: dict[str, AskedPrompt] = {}
        self.id_of_body: dict[str, str] = {}
        self.several_texts: dict[str, None] = {}
        self.several_bodies: dict[str, None] = {}
        self.several_references: dict[str, tuple[str, str]] = {}

    def add(self, one: AskedPrompt) -> None:
        """Take a record's prompt; of several bodies under an id, and references of a body, the first stays."""
        of_row: str = one.row["prompt_id"]
        first = self.by_id.setdefault(of_row, one)
        if one.body != first.body:
            is_text = any(one.body.get(name) != first.body.get(name) for name in ("messages", "tools"))
            (self.several_texts if is_text else self.several_bodies)[of_row] = None
        kept_id = self.id_of_body.setdefault(json.dumps(first.body, sort_keys=True), of_row)
        kept = self.by_id[kept_id]
        if kept.reference is None:
            self.by_id[kept_id] = replace(kept, reference=one.reference)
        elif one.reference not in {None, kept.reference}:
            self.several_references.setdefault(kept_id, (kept.reference, str(one.reference)))


def _prompts(table: pl.DataFrame, reference: str | None, sources: Sequence[str | Path]) -> AskedPrompts:
    origin = ", ".join(map(str, sources))
    lengths = dict(table.group_by("prompt_id").agg(pl.col("output_tokens").mean()).iter_rows())
    records = table.filter(pl.col("prompt").is_not_null() | pl.col("messages").is_not_null())
    found = _Prompts()
    for row in records.iter_rows(named=True):
        found.add(_prompt(row, reference or REFERENCE, lengths[row["prompt_id"]]))
    _check(found, origin, reference, n_sealed=table["prompt_id"].n_unique() - len(found.by_id))
    n_pairs = records.select("prompt_id", "model").n_unique()
    return AskedPrompts(
        [found.by_id[prompt_id] for prompt_id in found.id_of_body.values()],
        n_repeated=records.height - n_pairs + len(found.by_id) - len(found.id_of_body),
        n_sealed=table["prompt_id"].n_unique() - len(found.by_id),
        n_other_bodies=len(found.several_bodies),
        other_references=found.several_references,
    )


def _check(found: _Prompts, origin: str, reference: str | None, *, n_sealed: int) -> None:
    """Refuse prompts that cannot be asked, or whose table could not tell them apart."""
    if not found.by_id:
        raise TableError(
            f"{origin}: got {n_sealed:,} prompts that were logged as features, and none with a text, expected prompts "
            "that can be sent; log them in full (--log-prompts full)"
        )
    if found.several_texts:
        first, *others = found.several_texts
        raise TableError(
            f"{origin}: got different prompts with prompt_id {first!r}"
            f"{f' (and with {len(others):,} other ids)' if others else ''}, expected one prompt for each id; give each "
            "prompt its own id, or have ids made from the texts with --column prompt_id="
        )
    if reference is not None and all(one.reference is None for one in found.by_id.values()):
        raise TableError(
            f"{origin}: no record has a field {reference!r} (--reference), expected the right answers in it; name the "
            "field that has them"
        )


def _prompt(row: Mapping[str, Any], reference: str, output_tokens: float | None) -> AskedPrompt:
    extra = json.loads(row["extra"] or "{}")
    sent, not_sent = _parameters(extra)
    asked = {name: row[name] for name in PROMPT_FIELDS}
    return AskedPrompt(asked, _body(row, sent), _text(extra.get(reference)), output_tokens, not_sent)


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
