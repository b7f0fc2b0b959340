"""Read from the log which model answered each decision, its quality, and the probability of choosing it.

The first half of an export (`router_model.serving.decision_log.export`), without prompts: a few hundred bytes a
decision, in memory. The rule:

- *called*: the model of the last attempt that succeeded (no error, status below 400): an attempt that was abandoned
  (``client_gone``) or cut has an error. Null where all attempts failed. If no attempt is known, the model that was
  chosen; but null of a decision of the proxy, which notes every attempt: then nothing was sent. An attempt that names
  no model is one of the chosen model.
- *quality*: feedback of metric ``quality`` on the called model's answer. Feedback by ``response_id`` is about the
  attempt with that answer, and counts of one that succeeded; where it names a decision, too, the decision counts. A
  judge is a key: its grade is the latest score of the best kind of source that it writes (the mean, if it writes
  several of one kind), and the quality is the mean over judges. Checks of the operator count alone, and what only hints
  at a failure counts where nobody said more (docs/decision-log.md has the table).
- *judge*: the key that asked, if its own grade is in the quality. Null where only keys with the role ``feedback-all``
  judged, and in a service without keys: then the quality is the operator's own.
- *propensity*: the probability with which the called model was chosen. Null where a fallback answered instead of the
  chosen model, which no probability describes, and in degraded decisions, which nothing predicted.

A report counts if its key may speak of the decision: it asked for it itself, or has the role ``feedback-all``
(`router_model.serving.decision_log.log_records.ANY`). Of a decision of the proxy only its own attempts count, and no
reported ones: what a call cost and took is known here.

Simplifies: unless reports are limited, too, only decisions are chosen by time, and feedback counts whenever it came.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from router_model.serving.common.callers import INSECURE
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.decision_log.log_records import ANY
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.segments import scan
from router_model.serving.decision_log.store import ALWAYS, Period
from router_model.serving.formats.format import Surface

_PREDICTED: Final = (
    "p_success",
    "expected_quality",
    "expected_cost_usd",
    "expected_output_tokens",
    "propensity",
    "level_shift",
)
_CANDIDATES: Final = pl.Struct({"model": pl.List(pl.String), **dict.fromkeys(_PREDICTED, pl.List(pl.Float64))})
_FAILED_STATUS: Final = 400
ANSWERED: Final = pl.col("error_type").is_null() & (pl.col("status").fill_null(0) < _FAILED_STATUS)
_MAY_SPEAK: Final = pl.col("key_id").eq_missing(pl.col("owner")) | (pl.col("authority") == ANY).fill_null(value=False)
"""Whether the sender of a report may speak of a decision."""
_ALWAYS: Final = pl.lit(value=True)
_CHECKED, _SAID, _GRADED, _HINTED = range(4)
_KIND: Final = {"label": _CHECKED, "test": _CHECKED, "user": _SAID, "judge": _GRADED}
_KIND.update(dict.fromkeys(("regenerate", "retry", "edit"), _HINTED))
"""Kinds of sources, the best first; other names are what somebody said."""
_FLAGS: Final = ("degraded", "shadow", "forwarded")
_FORWARDED: Final = [surface.value for surface in Surface]
_ATTEMPT_FACTS: Final = (
    "created_at",
    "provider",
    "response_model",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
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
    regenerated_within : timedelta or None
        An answer that nobody judged failed if the same prompt was asked again in its session before then.
    reports : Period
        Attempts and feedback of this time count.
    router : str or None
        The name of the router whose decisions count; None: all.
    """

    decisions: list[Path]
    attempts: list[Path]
    feedback: list[Path]
    period: Period
    regenerated_within: timedelta | None = None
    reports: Period = ALWAYS
    router: str | None = None


def calls_of(log: StagedLog) -> pl.DataFrame:
    """Return one row a decision of the period.

    Returns
    -------
    polars.DataFrame
        `decision_id`, `file` (the first that has it), `shadow`, `called`, `quality`, `judge`, `propensity`,
        the predictions, and what is known of the attempt that answered, under names that begin with ``attempt_``.
    """
    decisions = _decisions(log)
    attempts = known_attempts(log, decisions)
    called = decisions.join(last_answers(attempts), on="decision_id", how="left", maintain_order="left").with_columns(
        called=pl.when(pl.col("was_attempted").is_not_null())
        .then("attempt_model")
        .when(~pl.col("forwarded"))
        .then("model")
    )
    told = called.join(_predictions(log, called), on="decision_id", how="left", maintain_order="left")
    quality = qualities(log, attempts, called)
    if log.regenerated_within is not None:
        again = _asked_again(log, log.regenerated_within).join(quality, on="decision_id", how="anti")
        quality = pl.concat([quality, again.select(quality.columns)])
    is_chosen = (pl.col("called") == pl.col("model")) & ~pl.col("degraded").fill_null(value=True)
    return told.join(quality, on="decision_id", how="left", maintain_order="left").with_columns(
        # Off-policy evaluation divides by the propensity, so 0 must not be among them.
        propensity=pl.when(is_chosen & (pl.col("propensity") > 0)).then("propensity")
    )


def in_period(period: Period) -> pl.Expr:
    """Return whether a record is one of the period."""
    inside = pl.lit(value=True)
    if period.since is not None:
        inside &= pl.col("created_at") >= period.since
    if period.until is not None:
        inside &= pl.col("created_at") < period.until
    return inside


def of_router(name: str | None) -> pl.Expr:
    """Return whether a decision is of a router; of one without a name it is `DEFAULT_ROUTER`'s. None: of any."""
    return pl.lit(value=True) if name is None else pl.col("router").fill_null(DEFAULT_ROUTER) == name


def _decisions(log: StagedLog) -> pl.DataFrame:
    parts = [
        scan(Kind.DECISION, [path])
        .filter(in_period(log.period) & of_router(log.router))
        .select(
            "decision_id",
            "model",
            "key_id",
            "degraded",
            pl.col("shadow").fill_null(value=False),
            forwarded=pl.col("surface").is_in(_FORWARDED).fill_null(value=False),
            file=pl.lit(index),
        )
        .collect()
        for index, path in enumerate(log.decisions)
    ]
    texts, flags = dict.fromkeys(("decision_id", "model", "key_id"), pl.String), dict.fromkeys(_FLAGS, pl.Boolean)
    empty = pl.DataFrame(schema={**texts, **flags, "file": pl.Int32})
    return pl.concat([empty, *parts]).unique("decision_id", keep="first", maintain_order=True)


def known_attempts(log: StagedLog, decisions: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts of the decisions that count, each once, in the order of their time."""
    of_decisions = decisions.lazy().select("decision_id", "forwarded", chosen="model", owner="key_id")
    is_ours = pl.col("authority").is_null()
    attempts = (
        scan(Kind.ATTEMPT, log.attempts)
        .filter(in_period(log.reports))
        .join(of_decisions, on="decision_id")
        .filter(pl.when("forwarded").then(is_ours).otherwise(_MAY_SPEAK))
        .with_columns(pl.coalesce("model", "chosen").alias("model"))
        .collect(engine="streaming")
    )
    return attempts.unique("attempt_id").sort("created_at", "attempt_id")


def last_answers(attempts: pl.DataFrame) -> pl.DataFrame:
    """Return the last successful attempt of each decision that has attempts; nulls where all failed."""
    facts = [pl.lit(value=True).alias("was_attempted")]
    facts += [pl.col(name).filter(ANSWERED).last().alias(f"attempt_{name}") for name in ("model", *_ATTEMPT_FACTS)]
    return attempts.group_by("decision_id", maintain_order=True).agg(facts)


def _predictions(log: StagedLog, called: pl.DataFrame) -> pl.DataFrame:
    """Return what was predicted of each called model, and its propensity."""
    wanted = called.lazy().select("decision_id", "called")
    return (
        scan(Kind.DECISION, log.decisions)
        .select("decision_id", pl.col("candidates").str.json_decode(_CANDIDATES))
        .unnest("candidates")
        # Older records lack these; every column needs an entry for each candidate.
        .with_columns(
            expected_quality=pl.coalesce("expected_quality", "p_success"),
            level_shift=pl.coalesce("level_shift", pl.col("propensity").list.eval(pl.element() * 0.0)),
        )
        .explode("model", *_PREDICTED)
        .join(wanted, left_on=["decision_id", "model"], right_on=["decision_id", "called"])
        .select("decision_id", *_PREDICTED)
        .collect(engine="streaming")
        .unique("decision_id")
    )


def qualities(
    log: StagedLog, attempts: pl.DataFrame, called: pl.DataFrame, *, in_time: pl.Expr = _ALWAYS
) -> pl.DataFrame:
    """Return the quality of each decision's answer that has feedback, and its judge.

    `in_time` says of a feedback's `created_at`, beside the columns of `called`, whether it counts.
    """
    feedback = (
        scan(Kind.FEEDBACK, log.feedback)
        .filter(in_period(log.reports))
        .filter((pl.col("metric") == "quality") & pl.col("score").is_between(0, 1))
        .select("feedback_id", "created_at", "decision_id", "response_id", "score", "source", "key_id", "authority")
        .collect(engine="streaming")
        .unique("feedback_id")
        .sort("created_at", "feedback_id")
    )
    about_decisions = _with_decisions(feedback, attempts)
    about_the_called = about_decisions.join(
        called.rename({"key_id": "owner"}).drop("created_at", strict=False), on="decision_id", maintain_order="left"
    ).filter(in_time & _MAY_SPEAK & (pl.col("judged") == pl.col("called")).fill_null(value=True))
    is_own = (pl.col("authority") != ANY).fill_null(value=True) & (pl.col("key_id") != INSECURE.key_id)
    kind = pl.col("source").replace_strict(_KIND, default=_SAID, return_dtype=pl.Int8)
    return (
        about_the_called.with_columns(
            judge=pl.when(is_own).then("key_id"),
            kind=kind,
            standing=pl.when((kind == _CHECKED) & (pl.col("authority") == ANY).fill_null(value=False))
            .then(_CHECKED)
            .when(kind == _HINTED)
            .then(_HINTED)
            .otherwise(_SAID),
        )
        .filter(pl.col("standing") == pl.col("standing").min().over("decision_id"))
        .filter(pl.col("kind") == pl.col("kind").min().over("decision_id", "key_id"))
        .group_by("decision_id", "key_id", "source", maintain_order=True)
        .agg(pl.col("score", "judge").last())
        .group_by("decision_id", "key_id", maintain_order=True)
        .agg(pl.col("score").mean(), pl.col("judge").last())
        .group_by("decision_id", maintain_order=True)
        .agg(quality=pl.col("score").mean(), judge=pl.col("judge").drop_nulls().first())
    )


def _asked_again(log: StagedLog, within: timedelta) -> pl.DataFrame:
    """Return a failure for each decision whose prompt was asked again soon, by the same key in the same session."""
    asked = ["key_id", "session_id", "prompt_sha256"]
    decisions = (
        scan(Kind.DECISION, log.decisions)
        .filter(in_period(log.period) & ~pl.col("shadow").fill_null(value=False))
        .filter(pl.col("session_id").is_not_null() & pl.col("prompt_sha256").is_not_null())
        .select("decision_id", "created_at", *asked)
        .collect(engine="streaming")
        .unique("decision_id")
        .sort("created_at", "decision_id")
    )
    wait = pl.col("created_at").shift(-1).over(asked) - pl.col("created_at")
    has_key = pl.col("key_id") != INSECURE.key_id
    return decisions.filter(wait <= within).select(
        "decision_id", quality=pl.lit(0.0), judge=pl.when(has_key).then("key_id")
    )


def _with_decisions(feedback: pl.DataFrame, attempts: pl.DataFrame) -> pl.DataFrame:
    """Say which decision each feedback is about, and which attempt's model it judged where it names an answer.

    Two callers may report the same `response_id`: each then means the answer of its own decision, and who may speak of
    all means that of the call made here, or else the one reported first.
    """
    answers = (
        attempts.filter(pl.col("response_id").is_not_null())
        # Calls made here have no authority, so they come before the reported ones.
        .sort(pl.col("authority").is_not_null(), maintain_order=True)
        .select(
            "response_id",
            "owner",
            answered="decision_id",
            judged=pl.when(ANSWERED).then("model").otherwise(pl.lit("")),
        )
    )
    speaks_of_all = (pl.col("authority") == ANY).fill_null(value=False)
    own = feedback.filter(~speaks_of_all).join(
        answers.unique(["response_id", "owner"], keep="first", maintain_order=True),
        left_on=["response_id", "key_id"],
        right_on=["response_id", "owner"],
        how="left",
        maintain_order="left",
        nulls_equal=True,
    )
    others = feedback.filter(speaks_of_all).join(
        answers.unique("response_id", keep="first", maintain_order=True).drop("owner"),
        on="response_id",
        how="left",
        maintain_order="left",
    )
    named = pl.col("decision_id")
    return (
        pl.concat([own, others.select(own.columns)])
        .with_columns(
            decision_id=pl.coalesce(named, "answered"),
            judged=pl.when(named.is_null() | (named == pl.col("answered"))).then("judged"),
        )
        .sort("created_at", "feedback_id", maintain_order=True)
    )
