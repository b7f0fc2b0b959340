"""Join decisions, attempts and feedback into the outcome table that training reads.

The rule, one row a decision:

- *model*: of the last attempt that succeeded (no error, status below 400); where no attempt was reported, the model
  that was chosen. A decision all of whose attempts failed is left out: it says nothing of a model's answers.
- *quality*: feedback of metric ``quality`` on that model's answer. Of one judge (source and key) the latest counts, of
  several judges the mean. Feedback by ``response_id`` belongs to the attempt with that answer. Without any it is missing.
- *propensity*: the probability with which the model was chosen, where it is the model that was chosen. Missing where a
  fallback answered, which no probability describes, and in degraded decisions, which nothing predicted.
- *tokens, cost, latency*: of the attempt; missing without one.
- *prompt*: as the log has it; a decision whose prompt was not stored is left out, as it cannot be learned from.
- Decisions that were only shadows are left out.

Simplifies: feedback counts whenever it came; only decisions are chosen by time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from features import Prompt, PromptError
from router_model.records import SCHEMA_VERSION
from serving.decision_log.rows import Kind
from serving.decision_log.segments import scan
from serving.decision_log.store import Period

SOURCE: Final = "decision log"
_CANDIDATES: Final = pl.Struct(
    {"model": pl.List(pl.String), "p_success": pl.List(pl.Float64), "propensity": pl.List(pl.Float64)}
)
_FAILED_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class StagedLog:
    """Parquet files with the records of a log.

    Attributes
    ----------
    decisions, attempts, feedback : paths
    period : Period
        Of decisions.
    """

    decisions: list[Path]
    attempts: list[Path]
    feedback: list[Path]
    period: Period


def outcome_frame(log: StagedLog) -> pl.LazyFrame:
    """Return the rows to export, in the columns of an outcome table; lazy, as a log may be larger than memory."""
    attempts = last_attempts(log)
    called = (
        decisions_of(log)
        .filter(~pl.col("shadow"))
        .join(attempts, on="decision_id", how="left", maintain_order="left")
        .filter(pl.col("attempt_model").is_not_null() | ~pl.col("was_attempted").fill_null(value=False))
        .with_columns(called=pl.coalesce("attempt_model", "model"))
    )
    qualities = qualities_of(log)
    judged = called.join(
        qualities, left_on=["decision_id", "called"], right_on=["decision_id", "judged"], how="left",
        maintain_order="left",
    )  # fmt: skip
    return _columns(_with_prompts(_with_candidates(judged)))


def decisions_of(log: StagedLog) -> pl.LazyFrame:
    """Return the decisions of the period, each once."""
    period = pl.lit(value=True)
    if log.period.since is not None:
        period &= pl.col("created_at") >= log.period.since
    if log.period.until is not None:
        period &= pl.col("created_at") < log.period.until
    decisions = scan(Kind.DECISION, log.decisions).filter(period)
    # Ids alone decide which rows are the first of their kind: the prompts need not be in memory together.
    numbered = decisions.with_row_index("place")
    first = numbered.group_by("decision_id").agg(pl.col("place").min()).select("place")
    return numbered.join(first, on="place", how="semi", maintain_order="left").drop("place")


def attempts_of(log: StagedLog) -> pl.LazyFrame:
    """Return the attempts, each once."""
    return scan(Kind.ATTEMPT, log.attempts).unique("attempt_id")


def last_attempts(log: StagedLog) -> pl.LazyFrame:
    """Return the last successful attempt of each decision that has any attempts; null columns if all failed."""
    answered = pl.col("error_type").is_null() & (pl.col("status").fill_null(0) < _FAILED_STATUS)
    names = ("model", "provider", "created_at", "input_tokens", "output_tokens", "cost_usd", "latency_s")
    last = {
        f"attempt_{name}": pl.col(name).filter(answered).sort_by(_in_time("attempt_id", answered)).last()
        for name in names
    }
    # An attempt that does not say its model is one of the model that was chosen.
    return (
        attempts_of(log)
        .filter(pl.col("decision_id").is_not_null())
        .join(decisions_of(log).select("decision_id", chosen="model"), on="decision_id")
        .with_columns(pl.coalesce("model", "chosen").alias("model"))
        .group_by("decision_id")
        .agg(was_attempted=pl.lit(value=True), **last)
    )


def _in_time(row_id: str, chosen: pl.Expr) -> pl.Expr:
    return pl.struct("created_at", row_id).filter(chosen)


def feedback_of(log: StagedLog) -> pl.LazyFrame:
    """Return the feedback on quality, each once, with the decision and the model it is about (`judged`, or null)."""
    answers = (
        attempts_of(log)
        .filter(pl.col("response_id").is_not_null())
        .sort("created_at", "attempt_id")
        .unique("response_id", keep="last")
        .select("response_id", answer_of="decision_id", judged="model")
    )
    return (
        scan(Kind.FEEDBACK, log.feedback)
        .filter((pl.col("metric") == "quality") & pl.col("score").is_between(0, 1))
        .unique("feedback_id")
        .join(answers, on="response_id", how="left")
        .with_columns(decision_id=pl.coalesce("answer_of", "decision_id"))
    )


def qualities_of(log: StagedLog) -> pl.LazyFrame:
    """Return the mean over judges of the latest score of each, by decision and model."""
    models = pl.concat(
        [
            decisions_of(log).select("decision_id", "model"),
            last_attempts(log).select("decision_id", model="attempt_model").drop_nulls(),
        ]
    ).unique()
    about = (
        feedback_of(log)
        .join(models, on="decision_id")
        .filter(pl.col("judged").is_null() | (pl.col("judged") == pl.col("model")))
    )
    latest = pl.col("score").sort_by(pl.struct("created_at", "feedback_id")).last()
    return (
        about.group_by("decision_id", "model", "source", "key_id")
        .agg(latest)
        .group_by("decision_id", "model")
        .agg(quality=pl.col("score").mean(), n_judges=pl.len())
        .rename({"model": "judged"})
    )


def _with_candidates(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add what was predicted of the model that was called, and the probability with which it was chosen."""
    decoded = frame.with_columns(candidates=pl.col("candidates").str.json_decode(_CANDIDATES))
    fields = {name: pl.col("candidates").struct.field(name) for name in ("model", "p_success", "propensity")}
    place = fields["model"].list.eval(pl.element()).list  # of the called model among the candidates
    del place
    return decoded.with_columns(
        propensity=pl.when((pl.col("called") == pl.col("model")) & ~pl.col("degraded")).then(
            fields["propensity"].list.first()
        ),
        p_success=fields["p_success"].list.first(),
    )


def _with_prompts(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Keep rows with a prompt that can be read, as text or as messages."""
    return frame
