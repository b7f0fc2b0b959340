"""Make an outcome table for training from a log.

One row a decision whose prompt was stored and that a model answered (the rule:
`router_model.serving.decision_log.called_models`). Prompts pass through a file at a time and are never in memory
together.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import polars as pl

from router_model.errors import TableError
from router_model.features import Prompt, PromptError
from router_model.outcome_schema import DECISION_LOG, OUTCOME_COLUMN_NAMES, SCHEMA_VERSION
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.called_models import StagedLog, calls_of, in_period
from router_model.serving.decision_log.days import DAY, shifted
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.segments import scan
from router_model.serving.decision_log.store import Period, Store
from router_model.wording import counted

_ROWS_A_GROUP: Final = 20_000
_TYPES: Final = {
    "quality": pl.Float64(),
    "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "max_output_tokens": pl.Int64(),
    "cost_usd": pl.Float64(),
    "latency_s": pl.Float64(),
    "propensity": pl.Float64(),
    "timestamp": pl.Datetime("us", "UTC"),
}
_SCHEMA: Final = {name: _TYPES.get(name, pl.String()) for name in OUTCOME_COLUMN_NAMES}
_COUNTS: Final = ("input_tokens", "output_tokens")
_AMOUNTS: Final = ("cost_usd", "latency_s")
_OF_DECISION: Final = ("decision_id", "policy_version", "artifact", "reason", "explored", "quality_bar")
_PREDICTED: Final = ("p_success", "expected_cost_usd", "expected_output_tokens")
_OF_REQUEST: Final = ("tools", "response_format", "max_output_tokens", "turn_type")
_OF_TRIAL: Final = ("challenger", "challenger_model", "arm", "canary_share")
_OF_ATTEMPT: Final = ("response_model", "cached_input_tokens", "cache_write_tokens", "usage_estimated")


@dataclass(slots=True)
class ExportReport:
    """The numbers of exported and omitted decisions.

    Attributes
    ----------
    out : Path
    n_decisions : of the period
    n_rows, n_with_quality, n_with_propensity : rows of the table
    n_features : rows whose prompts are sealed features instead of texts
    n_without_prompt : decisions whose prompt was not stored
    n_unreadable : decisions whose prompt is not text or chat messages
    n_failed : decisions all of whose attempts failed or were abandoned
    n_shadow : decisions that were not acted upon
    models : names in the table
    routers : names of those that decided
    """

    out: Path
    n_decisions: int = 0
    n_rows: int = 0
    n_with_quality: int = 0
    n_with_propensity: int = 0
    n_features: int = 0
    n_without_prompt: int = 0
    n_unreadable: int = 0
    n_failed: int = 0
    n_shadow: int = 0
    models: set[str] = field(default_factory=set)
    routers: set[str] = field(default_factory=set)

    def lines(self) -> list[str]:
        """Say what was written; what was left out, if anything; and warn of rows of several routers."""
        reasons = {
            "whose prompt is not stored (see log_prompts)": self.n_without_prompt,
            "whose prompt cannot be read": self.n_unreadable,
            "that no model answered": self.n_failed,
            "that were shadows": self.n_shadow,
        }
        left_out = ", ".join(f"{n:,} {why}" for why, n in reasons.items() if n)
        rows = f"{self.n_rows:,} rows of {len(self.models)} models"
        known = f"{self.n_with_quality:,} with quality, {self.n_with_propensity:,} with propensity"
        known += f", {self.n_features:,} as sealed features" if self.n_features else ""
        return [
            f"Wrote {self.out}: {rows}, {known}",
            *([f"Left out of {counted(self.n_decisions, 'decision')}: {left_out}"] if left_out else []),
            *(
                [f"Rows of several routers: {', '.join(sorted(self.routers))}; --router NAME takes those of one"]
                if len(self.routers) > 1
                else []
            ),
        ]


async def export_log(
    store: Store,
    out: Path,
    period: Period,
    *,
    regenerated_within: timedelta | None = None,
    reports: Period | None = None,
    router: str | None = None,
) -> ExportReport:
    """Write the outcome table of a period.

    Parameters
    ----------
    store : Store
        Opened.
    out : Path
        ``.parquet``, ``.csv`` or ``.jsonl``; replaced when the new table is complete.
    period : Period
        Of decisions.
    regenerated_within : timedelta, optional
        An answer that nobody judged gets quality 0 if the same prompt was asked again in its session before then.
    reports : Period, optional
        Calls and feedback of this time count; without it, all.
    router : str, optional
        Only decisions of the router with this name.

    Raises
    ------
    TableError
        If `out` has another ending, or cannot be written.
    StoreError
        If the store cannot be read.
    """
    if out.suffix not in _SINKS:
        raise TableError(f"{out}: expected a name that ends in {', '.join(_SINKS)}")
    with _folder_beside(out) as folder:
        if reports is None:
            # A decision's attempts and feedback come after it, whenever they like; and clocks may differ.
            reports = Period(None if period.since is None else shifted(period.since, -DAY))
        log = StagedLog(
            decisions=await store.stage(Kind.DECISION, period, folder),
            attempts=await store.stage(Kind.ATTEMPT, reports, folder),
            feedback=await store.stage(Kind.FEEDBACK, reports, folder),
            period=period,
            reports=reports,
            regenerated_within=regenerated_within,
            router=router,
        )
        return _export(log, out, folder)


def _export(log: StagedLog, out: Path, folder: Path) -> ExportReport:
    calls = calls_of(log)
    failed = ~pl.col("shadow") & pl.col("called").is_null()
    report = ExportReport(out, n_decisions=calls.height)
    report.n_shadow = calls.select(pl.col("shadow").sum()).item()
    report.n_failed = calls.select(failed.sum()).item()
    wanted = calls.filter(~pl.col("shadow") & pl.col("called").is_not_null())
    parts = []
    for index, path in enumerate(log.decisions):
        part = _rows(path, wanted.filter(pl.col("file") == index), log.period, report)
        if not part.is_empty():
            parts.append(folder / f"outcomes-{index:06d}.parquet")
            part.write_parquet(parts[-1], compression="lz4")
    whole = pl.scan_parquet(parts, glob=False) if parts else pl.LazyFrame(schema=_SCHEMA)
    merged = folder / f"outcomes{out.suffix}"
    _SINKS[out.suffix](whole, merged)
    merged.replace(out)
    return report


def _rows(path: Path, calls: pl.DataFrame, period: Period, report: ExportReport) -> pl.DataFrame:
    """Return the rows of the decisions in one file."""
    names = (
        *_OF_DECISION,
        *_OF_TRIAL,
        *_OF_REQUEST,
        "router",
        "created_at",
        "session_id",
        "messages",
        "prompt_features",
        "candidates",
        "excluded",
    )
    decisions = scan(Kind.DECISION, [path]).filter(in_period(period)).select(names)
    joined = decisions.join(calls.lazy(), on="decision_id", maintain_order="left").collect()
    rows: list[dict[str, Any]] = []
    for row in joined.unique("decision_id", keep="first", maintain_order=True).iter_rows(named=True):
        report.routers.add(row["router"] or DEFAULT_ROUTER)
        if row["messages"] is None and row["prompt_features"] is None:
            report.n_without_prompt += 1
        elif (prompt := _stored(row)) is None:
            report.n_unreadable += 1
        else:
            rows.append(_outcome(row, prompt))
    report.n_rows += len(rows)
    report.n_with_quality += sum(row["quality"] is not None for row in rows)
    report.n_with_propensity += sum(row["propensity"] is not None for row in rows)
    report.n_features += sum(row["prompt_features"] is not None for row in rows)
    report.models.update(row["model"] for row in rows)
    return pl.DataFrame(rows, schema=_SCHEMA)


class StoredPrompt(NamedTuple):
    """A prompt as text, as the JSON of messages, or as sealed features."""

    text: str | None
    messages: str | None
    features: str | None = None


def _stored(row: dict[str, Any]) -> StoredPrompt | None:
    """Return what a log has of a prompt; features stay sealed, as the log needs no key to be exported."""
    return StoredPrompt(None, None, row["prompt_features"]) if row["messages"] is None else read_prompt(row["messages"])


def read_prompt(stored: str) -> StoredPrompt | None:
    """Read what a log has of a prompt; None if training could not read it.

    >>> read_prompt('"Hi"'), read_prompt('[{"role": "user", "content": "Hi"}]').messages is not None, read_prompt("[]")
    (StoredPrompt(text='Hi', messages=None, features=None), True, None)
    """
    try:
        value = orjson.loads(stored)
        prompt = Prompt.parse(value)
    except (ValueError, PromptError):
        return None
    if not (prompt.n_chars or prompt.has_images or prompt.has_audio):
        return None
    if isinstance(value, str):
        return StoredPrompt(value, None)
    if isinstance(value, dict):  # a whole chat body
        return StoredPrompt(None, orjson.dumps(value["messages"]).decode())
    return StoredPrompt(None, stored)


def _outcome(row: dict[str, Any], prompt: StoredPrompt) -> dict[str, Any]:
    """Return a row of the outcome table; amounts that no call can have are left empty."""
    extra = {name: row[name] for name in (*_OF_DECISION, *_PREDICTED)}
    extra["provider"] = row["attempt_provider"]
    if row["propensity"] is not None:
        # Off-policy evaluation has to know what could have been chosen, not only what was.
        candidates = orjson.loads(row["candidates"])
        chances = zip(candidates["model"], candidates["propensity"], strict=True)
        extra["propensities"] = {model: chance for model, chance in chances if chance > 0}
        # Exploration puts another candidate before the one that the rule prefers.
        extra["preferred"] = candidates["model"][1 if row["explored"] else 0]
        extra["excluded"] = [model for model, _ in orjson.loads(row["excluded"] or "[]")]
    known = {name: row[name] for name in _OF_TRIAL} | {name: row[f"attempt_{name}"] for name in _OF_ATTEMPT}
    extra |= {name: value for name, value in known.items() if value is not None}
    if row["router"] not in (None, DEFAULT_ROUTER):
        extra["router"] = row["router"]
    return {
        "prompt_id": row["decision_id"],
        "prompt": prompt.text,
        "messages": prompt.messages,
        "prompt_features": prompt.features,
        **{name: row[name] for name in _OF_REQUEST},
        "model": row["called"],
        "quality": row["quality"],
        **{name: _not_negative(row[f"attempt_{name}"]) for name in (*_COUNTS, *_AMOUNTS)},
        "propensity": row["propensity"],
        "timestamp": row["attempt_created_at"] or row["created_at"],
        "session_id": row["session_id"],
        "source": DECISION_LOG,
        "judge": row["judge"],
        "extra": orjson.dumps(extra).decode(),
    }


def _not_negative(amount: float | None) -> float | None:
    return amount if amount is not None and amount >= 0 else None


def _sink_parquet(rows: pl.LazyFrame, path: Path) -> None:
    metadata = {"router_model.schema_version": str(SCHEMA_VERSION)}
    rows.sink_parquet(path, row_group_size=_ROWS_A_GROUP, metadata=metadata)


def _sink_csv(rows: pl.LazyFrame, path: Path) -> None:
    rows.with_columns(pl.col("timestamp").dt.to_string("iso:strict")).sink_csv(path)


def _sink_jsonl(rows: pl.LazyFrame, path: Path) -> None:
    rows.with_columns(pl.col("timestamp").dt.to_string("iso:strict")).sink_ndjson(path)


_SINKS: Final = {".parquet": _sink_parquet, ".csv": _sink_csv, ".jsonl": _sink_jsonl}


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """Make a hidden folder next to the table for incomplete files, so that no reader takes one for the table."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as exc:
        raise TableError(
            f"{out}: cannot be written ({exc.strerror or exc}); check the folder and its free space"
        ) from exc
