"""Which model answered each logged decision, how well, and what is known of its being chosen.

The first half of an export (`serving.decision_log.export`), without prompts: a few hundred bytes a decision, in
memory. The rule:

- *called*: the model of the last attempt that succeeded (no error, status below 400): an attempt that was abandoned
  (``client_gone``) or cut has an error. Null where all attempts failed. Where no attempt is known, the model that was
  chosen; but null of a decision of the proxy, which notes every attempt: then nothing was sent. An attempt that names
  no model is one of the chosen model.
- *quality*: feedback of metric ``quality`` on the called model's answer. Feedback by ``response_id`` is about the
  attempt with that answer, and counts of one that succeeded. Of one judge (source and key) the latest score counts, of
  several judges the mean.
- *propensity*: the probability with which the called model was chosen. Null where a fallback answered instead of the
  chosen model, which no probability describes, and in degraded decisions, which nothing predicted.

Simplifies: only decisions are chosen by time; feedback counts whenever it came.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from serving.decision_log.rows import Kind
from serving.decision_log.segments import scan
from serving.decision_log.store import Period
from serving.formats.format import Surface

_CANDIDATES: Final = pl.Struct(
    {"model": pl.List(pl.String), "p_success": pl.List(pl.Float64), "propensity": pl.List(pl.Float64)}
)
_FAILED_STATUS: Final = 400
_ANSWERED: Final = pl.col("error_type").is_null() & (pl.col("status").fill_null(0) < _FAILED_STATUS)
_FLAGS: Final = ("degraded", "shadow", "forwarded")
_FORWARDED: Final = [surface.value for surface in Surface]
_ATTEMPT_FACTS: Final = (
    "created_at",
    "provider",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "latency_s",
    "usage_estimated",
)


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


def calls_of(log: StagedLog) -> pl.DataFrame:
    """Return one row a decision of the period.

    Returns
    -------
    polars.DataFrame
        `decision_id`, `file` (the first that has it), `shadow`, `called`, `quality`, `propensity`, `p_success`, and
        what is known of the attempt that answered, under names that begin with ``attempt_``.
    """
    decisions = _decisions(log)
    attempts = _attempts(log, decisions)
    called = decisions.join(_last_answers(attempts), on="decision_id", how="left", maintain_order="left").with_columns(
        called=pl.when(pl.col("was_attempted").is_not_null())
        .then("attempt_model")
        .when(~pl.col("forwarded"))
        .then("model")
    )
    told = called.join(_predictions(log, called), on="decision_id", how="left", maintain_order="left")
    quality = _qualities(log, attempts, called)
    is_chosen = (pl.col("called") == pl.col("model")) & ~pl.col("degraded").fill_null(value=True)
    return told.join(quality, on="decision_id", how="left", maintain_order="left").with_columns(
        propensity=pl.when(is_chosen & (pl.col("propensity") > 0)).then("propensity")
    )


def in_period(period: Period) -> pl.Expr:
    """Return whether a decision is one of the period."""
    inside = pl.lit(value=True)
    if period.since is not None:
        inside &= pl.col("created_at") >= period.since
    if period.until is not None:
        inside &= pl.col("created_at") < period.until
    return inside


def _decisions(log: StagedLog) -> pl.DataFrame:
    parts = [
        scan(Kind.DECISION, [path])
        .filter(in_period(log.period))
        .select(
            "decision_id",
            "model",
            "degraded",
            pl.col("shadow").fill_null(value=False),
            forwarded=pl.col("surface").is_in(_FORWARDED).fill_null(value=False),
            file=pl.lit(index),
        )
        .collect()
        for index, path in enumerate(log.decisions)
    ]
    schema = {"decision_id": pl.String, "model": pl.String} | dict.fromkeys(_FLAGS, pl.Boolean) | {"file": pl.Int32}
    empty = pl.DataFrame(schema=schema)
    return pl.concat([empty, *parts]).unique("decision_id", keep="first", maintain_order=True)


def _attempts(log: StagedLog, decisions: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts of the decisions, each once, in the order of their time."""
    attempts = (
        scan(Kind.ATTEMPT, log.attempts)
        .join(decisions.lazy().select("decision_id", chosen="model"), on="decision_id")
        .with_columns(pl.coalesce("model", "chosen").alias("model"))
        .collect(engine="streaming")
    )
    return attempts.unique("attempt_id").sort("created_at", "attempt_id")


def _last_answers(attempts: pl.DataFrame) -> pl.DataFrame:
    """Return the last successful attempt of each decision that has attempts; nulls where all failed."""
    facts = [pl.lit(value=True).alias("was_attempted")]
    facts += [pl.col(name).filter(_ANSWERED).last().alias(f"attempt_{name}") for name in ("model", *_ATTEMPT_FACTS)]
    return attempts.group_by("decision_id", maintain_order=True).agg(facts)


def _predictions(log: StagedLog, called: pl.DataFrame) -> pl.DataFrame:
    """Return what was predicted of each called model, and its propensity."""
    wanted = called.lazy().select("decision_id", "called")
    return (
        scan(Kind.DECISION, log.decisions)
        .select("decision_id", pl.col("candidates").str.json_decode(_CANDIDATES))
        .unnest("candidates")
        .explode("model", "p_success", "propensity")
        .join(wanted, left_on=["decision_id", "model"], right_on=["decision_id", "called"])
        .select("decision_id", "p_success", "propensity")
        .collect(engine="streaming")
        .unique("decision_id")
    )


def _qualities(log: StagedLog, attempts: pl.DataFrame, called: pl.DataFrame) -> pl.DataFrame:
    """Return the quality of each decision's answer that has feedback."""
    answers = (
        attempts.filter(pl.col("response_id").is_not_null())
        .unique("response_id", keep="last", maintain_order=True)
        .select("response_id", answered="decision_id", judged=pl.when(_ANSWERED).then("model").otherwise(pl.lit("")))
    )
    feedback = (
        scan(Kind.FEEDBACK, log.feedback)
        .filter((pl.col("metric") == "quality") & pl.col("score").is_between(0, 1))
        .select("feedback_id", "created_at", "decision_id", "response_id", "score", "source", "key_id")
        .collect(engine="streaming")
        .unique("feedback_id")
        .sort("created_at", "feedback_id")
    )
    of_answers = feedback.join(answers, on="response_id", how="left", maintain_order="left").with_columns(
        decision_id=pl.coalesce("answered", "decision_id")
    )
    about_the_called = of_answers.join(
        called.select("decision_id", "called"), on="decision_id", maintain_order="left"
    ).filter((pl.col("judged") == pl.col("called")).fill_null(value=True))
    return (
        about_the_called.group_by("decision_id", "source", "key_id", maintain_order=True)
        .agg(pl.col("score").last())
        .group_by("decision_id", maintain_order=True)
        .agg(quality=pl.col("score").mean())
    )
