"""The tables that a collection writes: outcomes without quality, and the answers beside them for grading."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import polars as pl

from router_model.commands.collect_plan import Pair, Plan
from router_model.errors import TableError
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.serving.paid_calls.calls import CallOutcome
from router_model.training.grading.answers import json_value
from router_model.training.importing import CANONICAL_SCHEMA
from router_model.training.importing.output import write_table
from router_model.training.prompts_to_ask import PARAMETERS

SOURCE: Final = "collect"
"""The `source` of the rows."""
_UNGRADED: Final = {"quality": None, "judge": None}
_ANSWER_SCHEMA: Final = {
    **CANONICAL_SCHEMA,
    **dict.fromkeys(("answer", "tool_calls", "finish_reason", "reference"), pl.String()),
}
_NO_TABLE: Final = "{}: exists, and is no table that 'collect' wrote ({}); move it away, or name another"

Row: TypeAlias = dict[str, Any]
"""One row of a table, by column."""


class Written(NamedTuple):
    """The files that were written.

    Attributes
    ----------
    outcomes : Path
    answers : Path or None
    n_rows, n_ungraded : int
        Rows of this plan, and how many of them have no quality.
    n_kept : int
        Rows that the table had already and that are not of this plan.
    n_outdated : int
        Rows that were left out, because their prompt has another text now under the same id.
    """

    outcomes: Path
    answers: Path | None
    n_rows: int
    n_ungraded: int
    n_kept: int
    n_outdated: int


def answers_path(out: Path) -> Path:
    """Return where the answers of an outcome table go.

    >>> answers_path(Path("a/outcomes.parquet")).as_posix(), answers_path(Path("march.parquet")).as_posix()
    ('a/answers.parquet', 'march.answers.parquet')
    """
    if "outcomes" in out.stem:
        return out.with_name(out.name.replace("outcomes", "answers"))
    return out.with_name(f"{out.stem}.answers.parquet")


def write_tables(plan: Plan, out: Path, answers: Path | None) -> Written:
    """Write one row for each pair that was answered, in the order of the plan, and keep the other rows of the tables.

    Quality is null where nobody has graded yet. What an earlier table says of the same answer is kept: quality, judge
    and what a grader has added to ``extra``. Pairs without an answer have no row, because a model that did not answer
    has no outcome.

    Raises
    ------
    TableError
        If a file cannot be read or written.
    """
    answered, known = list(_answered(plan)), _by_pair(_earlier(out, CANONICAL_SCHEMA))
    rows = [_with_grade(_row(pair, outcome), known) for pair, outcome in answered]
    kept, n_outdated = _others(plan, rows, known)
    write_table(pl.DataFrame([*rows, *kept], schema=CANONICAL_SCHEMA), out)
    if answers is not None:
        whole = [row | _UNGRADED | _answer(pair, outcome) for row, (pair, outcome) in zip(rows, answered, strict=True)]
        others, _ = _others(plan, rows, _by_pair(_earlier(answers, _ANSWER_SCHEMA)))
        write_table(pl.DataFrame([*whole, *others], schema=_ANSWER_SCHEMA), answers, is_private=True)
    n_ungraded = sum(row["quality"] is None for row in rows)
    return Written(out, answers, len(rows), n_ungraded, len(kept), n_outdated)


def grades_of(out: Path, plan: Plan) -> dict[tuple[str, str], float]:
    """Return the qualities that an earlier table has of the plan's answers, by prompt and model.

    Raises
    ------
    TableError
        If the file is no outcome table.
    """
    known = _by_pair(_earlier(out, CANONICAL_SCHEMA))
    rows = [_with_grade(_row(pair, outcome), known) for pair, outcome in _answered(plan)]
    return {_pair_of(row): row["quality"] for row in rows if row["quality"] is not None}


def _earlier(path: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Read a table that an earlier run wrote, and that others may have graded; no rows if there is none."""
    if not path.exists():
        return pl.DataFrame(schema=schema)
    try:
        table = pl.read_parquet(path)
        if not {"prompt_id", "model"} <= set(table.columns):
            raise TableError(_NO_TABLE.format(path, f"got the columns {', '.join(table.columns)}"))
        return table.select(
            (pl.col(name) if name in table.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in schema.items()
        )
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise TableError(_NO_TABLE.format(path, exc)) from exc


def _by_pair(table: pl.DataFrame) -> dict[tuple[str, str], Row]:
    return {_pair_of(row): row for row in table.iter_rows(named=True)}


def _pair_of(row: Row) -> tuple[str, str]:
    return row["prompt_id"], row["model"]


def _with_grade(row: Row, known: Mapping[tuple[str, str], Row]) -> Row:
    """Add what an earlier table says of the same answer: one that began at the same microsecond."""
    earlier = known.get(_pair_of(row))
    if earlier is None or earlier["timestamp"] is None or earlier["timestamp"] != row["timestamp"]:
        return row
    added = json_value(earlier["extra"])
    extra = json.loads(row["extra"]) | (added if isinstance(added, dict) else {})
    return row | {name: earlier[name] for name in _UNGRADED} | {"extra": json.dumps(extra, ensure_ascii=False)}


def _others(plan: Plan, rows: Sequence[Row], known: Mapping[tuple[str, str], Row]) -> tuple[list[Row], int]:
    """Return the earlier rows that no new one replaces, and how many have an outdated text.

    A prompt id stands for one text in a table, so a row with another text than the plan's cannot stay.
    """
    new = {_pair_of(row) for row in rows}
    texts = {prompt.row["prompt_id"]: _text_of(prompt.row) for prompt in plan.prompts}
    others = [row for pair, row in known.items() if pair not in new]
    kept = [row for row in others if texts.get(row["prompt_id"], _text_of(row)) == _text_of(row)]
    return kept, len(others) - len(kept)


def _text_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["prompt"], row["messages"], row["tools"]


def _answered(plan: Plan) -> Iterator[tuple[Pair, CallOutcome]]:
    for pair in plan.pairs:
        outcome = plan.outcomes.get(pair.call.key)
        if outcome is not None and outcome.answer is not None:
            yield pair, outcome


def _row(pair: Pair, outcome: CallOutcome) -> Row:
    row: Row = dict.fromkeys(OUTCOME_COLUMN_NAMES)
    sent = {name: pair.call.body[name] for name in PARAMETERS if name in pair.call.body}
    extra = {"finish_reason": outcome.finish_reason, "provider": outcome.provider, **pair.prompt.not_sent, **sent}
    return row | {
        **pair.prompt.row,
        "model": outcome.model,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "cost_usd": outcome.cost_usd,
        "latency_s": outcome.latency_s,
        "timestamp": None if outcome.called_at is None else datetime.fromisoformat(outcome.called_at),
        "source": SOURCE,
        "extra": json.dumps(extra, ensure_ascii=False),
    }


def _answer(pair: Pair, outcome: CallOutcome) -> Row:
    calls = outcome.tool_calls
    return {
        "answer": outcome.text,
        "tool_calls": json.dumps(calls, ensure_ascii=False) if calls else None,
        "finish_reason": outcome.finish_reason,
        "reference": pair.prompt.reference,
    }
