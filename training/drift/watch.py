"""Make every check of one decision log, and put the findings together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.charts import IntervalRow, intervals
from router_model.charts.drawing import Drawing
from router_model.errors import TableError
from router_model.features import Encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.router import Router
from router_model.summary import Summarised, Summary
from router_model.training.drift.checks import (
    MOST_PROMPTS,
    Thresholds,
    check_amount,
    check_answering,
    check_calibration,
    check_price_ages,
    check_prices,
    check_success,
    check_traffic,
    check_unknown,
    drifted,
)
from router_model.training.drift.finding import Finding
from router_model.training.table.frames import Table, as_frame, is_path, name_of
from router_model.training.table.outcomes import ROWS_AT_ONCE, checked_table, outcomes_of

_FROM_EXTRA: Final = {
    "p_success": pl.Float64,
    "quality_bar": pl.Float64,
    "expected_cost_usd": pl.Float64,
    "expected_output_tokens": pl.Float64,
    "response_model": pl.String,
    "cached_input_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "artifact": pl.String,
}
_ROW: Final = "__row__"  # no column of a table's own has that name
_DRAWN: Final = 20
NEEDED: Final = ("model", "quality", "timestamp", "extra", "input_tokens", "output_tokens", "cost_usd")
"""Columns of a log without which nothing is checked."""
_READ: Final = ("prompt_id", "session_id", "task", *(name for name in NEEDED if name != "extra"))


@dataclass(frozen=True, slots=True, repr=False)
class DriftReport(Summarised):
    """The findings of a log.

    Attributes
    ----------
    findings : every check, in order
    n_calls, n_graded : int
    n_other_artifact : int
        Calls that another router than this one decided; they are compared with what that one predicted.
    since, until : str or None
        Times of the first and the last call, ISO 8601.
    """

    findings: tuple[Finding, ...]
    n_calls: int
    n_graded: int
    n_other_artifact: int
    since: str | None
    until: str | None

    def summary(self) -> Summary:
        """Return what has drifted, the largest first."""
        found = self.drifted
        rows = [(f"{one.check} {one.subject}".strip(), one.says, one.advice) for one in found]
        return Summary(
            f"Drift in {len(found)} of {len(self.findings)} checks of {self.n_calls:,} calls, {self.n_graded:,} graded",
            ("what changed", "how much", "what to do"),
            rows,
            n_texts=3,
        )

    @property
    def drifted(self) -> list[Finding]:
        """The findings that count, the largest first."""
        return drifted(self.findings)

    def plot(self, *, width: int = 640) -> Drawing:
        """Draw every check that could tell, the largest effect first, in multiples of what counts; needs ``report``."""
        told = [one for one in self.findings if one.n and one.threshold > 0]
        rows = [
            IntervalRow(
                f"{one.check} {one.subject}".strip(),
                one.effect / one.threshold,
                None if one.low is None else one.low / one.threshold,
                None if one.high is None else one.high / one.threshold,
                kind="bad" if one.drifted else "neutral",
            )
            for one in sorted(told, key=lambda one: (not one.drifted, -abs(one.effect) / one.threshold))[:_DRAWN]
        ]
        return Drawing(
            intervals(
                rows,
                axis="change, in multiples of what counts",
                description="What changed, in multiples of what counts",
                limits=(-1.0, 1.0),
                reach=(-5.0, 5.0),
                write="{:+.1f}".format,
                width=width,
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "drifted": bool(self.drifted),
            "n_calls": self.n_calls,
            "n_graded": self.n_graded,
            "n_other_artifact": self.n_other_artifact,
            "since": self.since,
            "until": self.until,
            "findings": [one.as_dict() for one in self.findings],
        }


def read_calls(table: Table) -> pl.DataFrame:
    """Read a table that ``router-model log export`` wrote, or a frame of it, in the order of time.

    Only columns that are checked are read: texts of prompts would take most of the memory. The column `_ROW` says where
    each call is in the table.

    Raises
    ------
    TableError
        If it cannot be read, or was not made from a decision log.
    """
    checked_table(table, with_values=False)  # for its error messages
    whole = _lazily(table)
    there = whole.collect_schema().names()
    missing = [name for name in NEEDED if name not in there]
    if missing:
        raise TableError(
            f"{name_of(table)}: column {', '.join(missing)} missing; give a table of 'router-model log export'"
        )
    told = pl.col("extra").str.json_decode(pl.Struct(_FROM_EXTRA)).alias("told")
    unknown = [pl.lit(None, pl.String).alias(name) for name in _READ if name not in there]
    wanted = whole.select(_ROW, *(name for name in _READ if name in there), *unknown, told).unnest("told")
    calls = wanted.collect(engine="streaming")
    # A log is in the order of time already, and sorting would need all of it twice.
    return calls if calls["timestamp"].is_sorted() else calls.sort("timestamp", maintain_order=True)


def _lazily(table: Table) -> pl.LazyFrame:
    whole = pl.scan_parquet(table, glob=False) if is_path(table) else as_frame(table).lazy()
    return whole.with_row_index(_ROW)


def _rows_at(table: Table, rows: pl.Series) -> pl.DataFrame:
    """Return some rows of a table.

    A row's text is a part of the memory that was read with it, and would keep all of it. To append to it makes a copy.
    """
    whole = _lazily(table)
    n_rows = whole.select(pl.len()).collect().item()
    parts = (whole.slice(start, ROWS_AT_ONCE) for start in range(0, max(n_rows, 1), ROWS_AT_ONCE))
    is_wanted = pl.col(_ROW).is_in(rows.implode())
    return pl.concat([part.filter(is_wanted).with_columns(pl.col(pl.String) + "").collect() for part in parts])


def _features_at(table: Table, calls: pl.DataFrame, encoder: Encoder) -> PromptFeatures:
    """Return the features of some calls' prompts, in their order.

    Raises
    ------
    TableError
        If the table is another one now than when the calls were read.
    """
    found = calls.select(_ROW).join(_rows_at(table, calls[_ROW]), on=_ROW, how="left", maintain_order="left")
    if not found["prompt_id"].equals(calls["prompt_id"]):
        raise TableError(f"{name_of(table)}: it was replaced while it was read; run the command again")
    unknown = [pl.lit(None, pl.String).alias(name) for name in OUTCOME_COLUMN_NAMES if name not in found.columns]
    return featurise(outcomes_of(found.with_columns(unknown), origin="log").prompts, encoder)


def _one_of_each_conversation(calls: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the first calls of at most `MOST_PROMPTS` conversations, so that their prompts are independent."""
    conversation = pl.coalesce("session_id", "prompt_id").alias("conversation")
    firsts = calls.select(_ROW, "prompt_id", conversation).unique("conversation", keep="first", maintain_order=True)
    return firsts.sample(min(firsts.height, MOST_PROMPTS), seed=seed)


def watch(
    router: Router | str | Path,
    log: Table,
    limits: Thresholds | None = None,
    *,
    seed: int = 0,
    calls: pl.DataFrame | None = None,
) -> DriftReport:
    """Check the calls of a log against a router.

    Parameters
    ----------
    router : the one that is served, or its folder; its bank and catalog are compared with
    log : path of a table of ``router-model log export``, or a frame of it
    limits : the smallest effects that count
    calls : of the log, if they were read before (`read_calls`)

    Raises
    ------
    TableError
        If the log cannot be read, or was not made from a decision log.
    """
    router, limits = Router.of(router), limits or Thresholds()
    calls = read_calls(log) if calls is None else calls
    features = _features_at(log, _one_of_each_conversation(calls, seed), router.encoder)
    known = calls.filter(pl.col("model").is_in(list(router.models)))
    # Predicted tokens and costs are some percent off where nothing has changed; catalog prices are not.
    findings: Sequence[Finding] = (
        *check_traffic(router.artifact.predictor.evidence_model, features, limits, seed=seed),
        *check_calibration(known, limits),
        *check_success(known, limits),
        *check_amount(
            "cost",
            known,
            "cost_usd",
            "expected_cost_usd",
            limits.ratio,
            advice="retrain: answers cost more or less",
            known_bias=limits.ratio,
        ),
        *check_amount(
            "tokens",
            known,
            "output_tokens",
            "expected_output_tokens",
            limits.ratio,
            advice="retrain: lengths changed",
            known_bias=limits.ratio,
        ),
        *check_prices(known, router.catalog, limits),
        *check_price_ages(router.catalog, router.models, datetime.now(UTC).date(), limits),
        *check_answering(known, limits),
        *check_unknown(calls, router.artifact.catalog, limits),
    )
    times = calls["timestamp"]
    return DriftReport(
        findings=tuple(findings),
        n_calls=calls.height,
        n_graded=calls["quality"].count(),
        n_other_artifact=calls.filter(
            pl.col("artifact").is_not_null() & (pl.col("artifact") != router.artifact.content_hash)
        ).height,
        since=None if times.is_null().all() else str(times.min()),
        until=None if times.is_null().all() else str(times.max()),
    )
