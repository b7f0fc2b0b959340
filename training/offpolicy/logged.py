"""The log of a policy: which model answered each request, with which probability, and how good it was.

Read from the table that ``router-model log export`` writes (one row for each decision), or from any outcome table with
one answer for each prompt and its propensity. Rows that no probability describes are in no estimate and are counted:

- without a propensity: a fallback answered, or the decision was degraded;
- sessions that kept their model: the next router would have kept it, too.

They are turns of their sessions nevertheless, whose prompts may be in a provider's cache.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.catalog import Catalog
from router_model.errors import TableError
from router_model.training.table.costs import listed_costs
from router_model.training.table.frames import Table, as_frame, is_path, name_of
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.subsample import EVALUATION_SEED, MAX_PROMPTS, subsample

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

CACHE_TTL_S: Final = 300
"""Seconds after which a provider is taken to have forgotten a prompt, as by default of ``--session-cache-ttl-s``."""

KEPT_SESSION: Final = "session"
"""The reason of a decision to stay with the session's model."""

_PLACE: Final = "place in the table"
WITHOUT_PROPENSITY: Final = "without a propensity (a fallback answered, or a degraded decision)"
KEPT: Final = "of sessions that kept their model"
NOT_DRAWN: Final = "that were not drawn (--max-prompts)"


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """n decisions of a log that a probability describes, in the order of time.

    Attributes
    ----------
    outcomes : Outcomes
        Of the decisions; of each, only the outcome of the model that answered is known.
    taken : shape (n,)
        Columns of the models that answered.
    propensity : shape (n, n_models)
        With which each model would have answered; NaN where the log has only that of the model that did.
    preferred : shape (n,)
        Columns of the models that the policy would have chosen without exploring; -1 where the log does not say.
    excluded : shape (n, n_models)
        Models that the request or its size ruled out.
    cached_tokens : shape (n,)
        Input tokens that the provider says it read from its cache; 0 where it does not say.
    warm_tokens : shape (n,)
        Input tokens of the session's turn before, whoever answered it; 0 if it was longer ago than `CACHE_TTL_S`.
    left_out : reason -> number of decisions of the log that are not among the n
    undescribed : Outcomes
        Of the decisions that no probability describes; they cost money, too.
    """

    outcomes: Outcomes
    taken: Indices
    propensity: Float64Array
    preferred: Indices
    excluded: BoolArray
    cached_tokens: Float64Array
    warm_tokens: Float64Array
    left_out: Mapping[str, int]
    undescribed: Outcomes

    def __len__(self) -> int:
        return len(self.taken)

    @property
    def n_logged(self) -> int:
        """All decisions of the log."""
        return len(self) + sum(self.left_out.values())

    @property
    def n_read(self) -> int:
        """Decisions of the log that were read; not all of them if some were drawn."""
        return self.n_logged - self.left_out.get(NOT_DRAWN, 0)

    @property
    def propensity_taken(self) -> Float64Array:
        """The propensities of the models that answered, shape (n,)."""
        return np.asarray(self.propensity[np.arange(len(self)), self.taken])

    def take(self, rows: Indices, *, left_out: Mapping[str, int]) -> "LoggedDecisions":
        """Return some of the decisions, and count why others are gone."""
        return LoggedDecisions(
            self.outcomes.take(rows),
            self.taken[rows],
            self.propensity[rows],
            self.preferred[rows],
            self.excluded[rows],
            self.cached_tokens[rows],
            self.warm_tokens[rows],
            {**self.left_out, **{reason: n for reason, n in left_out.items() if n}},
            self.undescribed,
        )


def read_logged(table: Table, *, max_prompts: int = MAX_PROMPTS) -> LoggedDecisions:
    """Read the decisions of a log, from its exported table or a frame with its columns.

    Parameters
    ----------
    table : as of `router_model.training.table.outcomes.read_outcomes`
    max_prompts : of more decisions in a file so many are drawn

    Raises
    ------
    TableError
        If the table cannot be read, has several answers with a propensity for one prompt, or none at all.
    """
    drawn = subsample(table, max_prompts, graded=False, seed=EVALUATION_SEED)
    path, outcomes = name_of(table), read_outcomes(table, drawn)
    known = np.isfinite(outcomes.propensity)
    several = np.flatnonzero(known.sum(axis=1) > 1)
    if len(several):
        raise TableError(
            f"{path}: prompt {outcomes.prompt_ids[several[0]]!r} has {known[several[0]].sum()} answers with a "
            f"propensity ({len(several):,} such prompts); expected the log of a policy, with one answer a prompt_id"
        )
    if not known.any():
        raise TableError(
            f"{path}: no row has a propensity, so nothing says how likely each choice was; export the log with "
            "'router-model log export', or write the column 'propensity'"
        )
    rows, extras, warm = _in_time(table, outcomes)
    kept = np.array([extra.get("reason") != KEPT_SESSION for extra in extras], dtype=np.bool_)
    left_out = {WITHOUT_PROPENSITY: int((~known.any(axis=1)).sum()), KEPT: int((~kept).sum())}
    rows, warm, extras = rows[kept], warm[kept], [extra for extra, keep in zip(extras, kept, strict=True) if keep]
    if not len(rows):
        raise TableError(f"{path}: all {len(known):,} decisions are {' or '.join(w for w, n in left_out.items() if n)}")
    undescribed = outcomes.take(np.setdiff1d(np.arange(len(outcomes)), rows))
    outcomes = _with_models(outcomes.take(rows), extras)
    taken = np.nanargmax(outcomes.propensity, axis=1)
    propensity, preferred, excluded = _probabilities(outcomes, taken, extras)
    left_out[NOT_DRAWN] = 0 if drawn is None else drawn.n_prompts - len(drawn.keys)
    left_out = {why: n for why, n in left_out.items() if n}
    cached = np.array([float(extra.get("cached_input_tokens") or 0) for extra in extras])
    return LoggedDecisions(outcomes, taken, propensity, preferred, excluded, cached, warm, left_out, undescribed)


def _in_time(table: Table, outcomes: Outcomes) -> tuple[Indices, list[dict[str, Any]], Float64Array]:
    """Return the rows with a propensity in the order of time, what each ``extra`` says, and its warm tokens."""
    whole = pl.scan_parquet(table, glob=False) if is_path(table) else as_frame(table).lazy()
    there = whole.collect_schema().names()
    if "prompt_id" not in there:
        raise TableError(
            f"{name_of(table)}: column prompt_id missing; expected the id of each decision, as equal prompts come again"
        )
    named = ("prompt_id", "timestamp", "propensity", "session_id", "input_tokens")
    frame = whole.select([name for name in named if name in there]).with_row_index(_PLACE).collect()
    if "timestamp" in there:
        frame = frame.sort("timestamp", maintain_order=True, nulls_last=True)
    ids = pl.col("prompt_id").cast(pl.String).str.strip_chars()
    frame = frame.with_columns(ids, warm=_warm_tokens(frame.schema))
    known = pl.col("propensity").is_not_null()
    nameless = frame.filter(known & pl.col("prompt_id").fill_null("").eq(""))
    if len(nameless):
        raise TableError(
            f"{name_of(table)}, row {min(nameless[_PLACE]) + 1}, column 'prompt_id': got nothing, expected the id "
            f"of each decision, as equal prompts come again; export the log again ({len(nameless):,} such rows)"
        )
    row_of = {prompt_id: row for row, prompt_id in enumerate(outcomes.prompt_ids)}
    read = pl.col("prompt_id").is_in(pl.Series(outcomes.prompt_ids).implode())
    frame = frame.filter(known & read)
    rows = np.array([row_of[prompt_id] for prompt_id in frame["prompt_id"]], dtype=np.intp)
    return rows, _extras(whole, frame[_PLACE]), frame["warm"].cast(pl.Float64).to_numpy()


def _extras(whole: pl.LazyFrame, places: pl.Series) -> list[dict[str, Any]]:
    """Return what ``extra`` says in some rows; that of all would take more memory than all else."""
    if "extra" not in whole.collect_schema():
        return [{}] * len(places)
    chosen = whole.select("extra").with_row_index(_PLACE).filter(pl.col(_PLACE).is_in(places.implode()))
    texts = places.to_frame().join(chosen.collect(), on=_PLACE, how="left", maintain_order="left")["extra"]
    return [{} if text is None else json.loads(text) for text in texts]


def _warm_tokens(schema: pl.Schema) -> pl.Expr:
    """Return the input tokens of the session's turn before; rows are in the order of time."""
    if not {"session_id", "input_tokens"} <= set(schema):
        return pl.lit(0.0)
    recent = pl.col("session_id").is_not_null()
    if isinstance(schema.get("timestamp"), pl.Datetime):
        recent &= pl.col("timestamp").diff().over("session_id") <= pl.duration(seconds=CACHE_TTL_S)
    before = pl.col("input_tokens").shift(1).over("session_id")
    return pl.when(recent).then(before).fill_null(0.0)


def _with_models(outcomes: Outcomes, extras: list[dict[str, Any]]) -> Outcomes:
    """Add columns for models that could have answered and never did."""
    could = {model for extra in extras for model in extra.get("propensities") or {}}
    return outcomes.with_models(sorted(could.difference(outcomes.models)))


def _probabilities(
    outcomes: Outcomes, taken: Indices, extras: list[dict[str, Any]]
) -> tuple[Float64Array, Indices, BoolArray]:
    column = {model: index for index, model in enumerate(outcomes.models)}
    propensity, excluded = outcomes.propensity.copy(), np.zeros(outcomes.propensity.shape, dtype=np.bool_)
    preferred = np.full(len(taken), -1, dtype=np.intp)
    for row, extra in enumerate(extras):
        written = extra.get("propensities")
        if written:
            answered = propensity[row, taken[row]]
            propensity[row] = 0.0
            propensity[row, [column[model] for model in written]] = list(written.values())
            if abs(propensity[row, taken[row]] - answered) > 1e-9:  # noqa: PLR2004  (they are the same number)
                raise TableError(
                    f"{outcomes.prompt_ids[row]}: propensity is {answered}, but {propensity[row, taken[row]]} among "
                    "the propensities of all models in 'extra'; export the log again"
                )
            preferred[row] = column.get(str(extra.get("preferred")), int(propensity[row].argmax()))
        excluded[row, [column[model] for model in extra.get("excluded") or () if model in column]] = True
    return propensity, preferred, excluded


def known_costs(outcomes: Outcomes, catalogs: Sequence[Catalog]) -> Float64Array:
    """Return what each answer cost in USD, shape (n, n_models): the bill, else its tokens at list prices, else NaN.

    Prices are those of the first catalog that has the model.
    """
    listed = np.full(outcomes.cost_usd.shape, np.nan)
    for catalog in reversed(catalogs):
        there = [model for model in outcomes.models if model in catalog]
        columns = [outcomes.models.index(model) for model in there]
        listed[:, columns] = listed_costs(outcomes.select_models(there), catalog)
    return np.where(np.isnan(outcomes.cost_usd), listed, outcomes.cost_usd)


def nothing_known(name: str, n: int) -> TableError:
    """Return the error of a log in which no quality, or no cost, of n answers is known."""
    todo = {
        "quality": "send feedback to the service (docs/api.md), or have a sample graded ('router-model label')",
        "cost": "report outcomes to the service (docs/api.md), or name a catalog with prices",
    }[name]
    return TableError(f"no {name} is known of any of {n:,} answers, so nothing can be estimated; {todo}")
