"""The tables that a collection writes: outcomes without quality, and the answers beside them for grading."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from router_model.commands.collect_plan import Pair, Plan
from router_model.errors import TableError
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES, SCHEMA_VERSION
from router_model.serving.paid_calls.calls import CallOutcome
from router_model.training.importing import CANONICAL_SCHEMA
from router_model.training.prompts_to_ask import PARAMETERS

SOURCE: Final = "collect"
"""The `source` of the rows."""
_UNGRADED: Final = {"quality": None, "judge": None}
_ANSWER_SCHEMA: Final = dict.fromkeys(("answer", "tool_calls", "finish_reason", "reference"), pl.String())


class Written(NamedTuple):
    """The files that were written."""

    n_rows: int
    outcomes: Path
    answers: Path | None


def answers_path(out: Path) -> Path:
    """Return where the answers of an outcome table go.

    >>> answers_path(Path("a/outcomes.parquet")).as_posix(), answers_path(Path("march.parquet")).as_posix()
    ('a/answers.parquet', 'march.answers.parquet')
    """
    if "outcomes" in out.stem:
        return out.with_name(out.name.replace("outcomes", "answers"))
    return out.with_name(f"{out.stem}.answers.parquet")


def write_tables(plan: Plan, out: Path, answers: Path | None) -> Written:
    """Write one row for each pair that was answered, in the order of the plan.

    Quality is null where nobody has graded yet; qualities that `out` has already are kept. Pairs without an answer have
    no row, because a model that did not answer has no outcome.

    Raises
    ------
    TableError
        If a file cannot be written.
    """
    answered, graded = list(_answered(plan)), grades_of(out)
    rows = [_row(pair, outcome) | graded.get((pair.call.id, outcome.model), {}) for pair, outcome in answered]
    _write(pl.DataFrame(rows, schema=CANONICAL_SCHEMA), out)
    if answers is not None:
        whole = [row | _UNGRADED | _answer(pair, outcome) for row, (pair, outcome) in zip(rows, answered, strict=True)]
        _write(pl.DataFrame(whole, schema={**CANONICAL_SCHEMA, **_ANSWER_SCHEMA}), answers)
    return Written(len(rows), out, answers)


def grades_of(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return quality and judge of the grades that an earlier table has, by prompt and model.

    Raises
    ------
    TableError
        If the file is no outcome table.
    """
    if not out.exists():
        return {}
    try:
        table = pl.read_parquet(out, columns=["prompt_id", "model", *_UNGRADED]).drop_nulls("quality")
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise TableError(f"{out}: exists, and is no outcome table ({exc}); move it away, or name another") from exc
    return {(row.pop("prompt_id"), row.pop("model")): row for row in table.to_dicts()}


def _answered(plan: Plan) -> Iterator[tuple[Pair, CallOutcome]]:
    for pair in plan.pairs:
        outcome = plan.outcomes.get(pair.call.key)
        if outcome is not None and outcome.answer is not None:
            yield pair, outcome


def _row(pair: Pair, outcome: CallOutcome) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(OUTCOME_COLUMN_NAMES)
    sent = {name: pair.call.body[name] for name in PARAMETERS if name in pair.call.body}
    extra = {"finish_reason": outcome.finish_reason, "provider": outcome.provider, **sent}
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


def _answer(pair: Pair, outcome: CallOutcome) -> dict[str, Any]:
    calls = outcome.tool_calls
    return {
        "answer": outcome.text,
        "tool_calls": json.dumps(calls, ensure_ascii=False) if calls else None,
        "finish_reason": outcome.finish_reason,
        "reference": pair.prompt.reference,
    }


def _write(frame: pl.DataFrame, path: Path) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        frame.write_parquet(beside, metadata={"router_model.schema_version": str(SCHEMA_VERSION)})
        beside.replace(path)
    except OSError as exc:
        raise TableError(
            f"{path}: cannot be written ({exc.strerror or exc}); check the folder and its free space, and run the "
            "same command again: nothing is paid for twice"
        ) from exc
