"""Split tables into trials: by seed, with one table for training and another for testing, or with one task left out.

Every prompt with an outcome is used. Where validation and test prompts lack outcomes of some models, doubly robust
estimates stand for them in all means (`Side.estimated`), alike for every method. AUC, log-loss and calibration are over
the known outcomes. The trial's notes count the incomplete prompts. If a cost was not billed and cannot be computed from
tokens and prices, the model's mean cost on training prompts is used. The notes count these too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.errors import TableError
from router_model.features import Encoder
from router_model.features.featuriser import PromptFeatures
from router_model.training.benchmark.trial import Rows, Side, Trial
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import percentiles, split_prompts
from router_model.wording import percent

Float64Array = npt.NDArray[np.float64]

_TABLE_TRAIN_BELOW = 85
_SHIFT_TRAIN_BELOW = 86  # share of training in training and validation, 60 : 10 as in a trial by seed


@dataclass(frozen=True, slots=True)
class _Setting:
    """The data and settings that all trials of a table share."""

    catalog: Catalog
    encoder: Encoder
    quality_bar: float

    def side(self, outcomes: Outcomes, features: PromptFeatures) -> Side:
        return Side.of(outcomes, features, self.catalog, quality_bar=self.quality_bar)

    def trial(self, name: str, seed: int, sides: Iterable[Side]) -> Trial:
        """Return a trial with those prompts of each side that methods can learn from or be measured on."""
        train, validation, test = sides
        train = train.take(np.flatnonzero(~np.isnan(train.success).all(axis=1)))
        if not len(train):
            raise TableError(f"{name}: no training prompt has a graded answer; a benchmark takes 50 prompts or more")
        notes: list[str] = []
        validation, test = (
            _priced(_estimated(side, train, f"{name}, {word}", notes), train, f"{name}, {word}", notes)
            for side, word in ((validation, "validation"), (test, "test"))
        )
        models = train.outcomes.models
        return Trial(
            name, seed, models, self.catalog, self.encoder, self.quality_bar, train, validation, test, tuple(notes)
        )


def seed_trials(
    outcomes: Outcomes,
    features: PromptFeatures,
    catalog: Catalog | None,
    encoder: Encoder,
    *,
    seeds: Sequence[int],
    quality_bar: float,
) -> Iterator[Trial]:
    """Yield a trial for each seed, split 60 : 10 : 30 by `router_model.training.table.split`.

    Parameters
    ----------
    outcomes, features : of the same prompts
    catalog : prices; those it lacks are looked up
    encoder : what made the vectors
    quality_bar : the quality that counts as success

    Raises
    ------
    TableError
        If a side has no prompt left, or no cost of a model is known.
    """
    setting = _Setting(complete_catalog(catalog, outcomes.models, bills=outcomes), encoder, quality_bar)
    everything = setting.side(outcomes, features)
    for seed in seeds:
        split = split_prompts(outcomes.split_keys, seed=seed)
        sides = (everything.take(rows) for rows in (split.train, split.calibration, split.test))
        yield setting.trial(f"seed {seed}", seed, sides)


def trials_on_table(
    outcomes: Outcomes,
    features: PromptFeatures,
    test_outcomes: Outcomes,
    test_features: PromptFeatures,
    *,
    catalog: Catalog | None,
    encoder: Encoder,
    seeds: Sequence[int],
    quality_bar: float,
) -> Iterator[Trial]:
    """Yield a trial for each seed: one table split 85 : 15 into training and validation, another to test on.

    Models that only the test table has are left out.

    Raises
    ------
    TableError
        If the test table lacks a model, a side has no prompt left, or a cost is known nowhere.
    """
    setting = _Setting(complete_catalog(catalog, outcomes.models, bills=outcomes), encoder, quality_bar)
    everything = setting.side(outcomes, features)
    test = setting.side(test_outcomes.select_models(outcomes.models), test_features)
    for seed in seeds:
        train, validation = _two_sides(outcomes.split_keys, seed, below=_TABLE_TRAIN_BELOW)
        yield setting.trial(f"seed {seed}", seed, (everything.take(train), everything.take(validation), test))


def shift_trials(
    outcomes: Outcomes,
    features: PromptFeatures,
    catalog: Catalog | None,
    encoder: Encoder,
    *,
    quality_bar: float,
) -> Iterator[Trial]:
    """Yield a trial for each task: its prompts to test on, the others split 86 : 14 into training and validation.

    Prompts of other tasks in a conversation with one of the task are left out.

    Raises
    ------
    TableError
        If the table has not two tasks, a side has no prompt left, or a cost is known nowhere.
    """
    setting = _Setting(complete_catalog(catalog, outcomes.models, bills=outcomes), encoder, quality_bar)
    everything = setting.side(outcomes, features)
    keys, labels = np.array(outcomes.split_keys), np.array(outcomes.tasks)
    for task in _tasks(outcomes):
        inside = np.flatnonzero(labels == task)
        others = np.flatnonzero(~np.isin(keys, keys[inside]))
        train, validation = _two_sides(keys[others].tolist(), 0, below=_SHIFT_TRAIN_BELOW)
        sides = (everything.take(rows) for rows in (others[train], others[validation], inside))
        yield setting.trial(f"{task} left out", 0, sides)


def _tasks(outcomes: Outcomes) -> list[str]:
    present = sorted({task for task in outcomes.tasks if task})
    if len(present) < 2:  # noqa: PLR2004
        raise TableError(
            f"the table has {len(present)} tasks ({', '.join(present) or 'none'}); leaving one out takes at least 2: "
            "give its prompts a column 'task'"
        )
    return present


def _two_sides(keys: Sequence[str], seed: int, *, below: int) -> tuple[Rows, Rows]:
    first = percentiles(keys, seed=seed) < below
    return np.flatnonzero(first), np.flatnonzero(~first)


def _estimated(side: Side, train: Side, where: str, notes: list[str]) -> Side:
    """Keep the prompts with an outcome, and estimate what they lack of others."""
    graded = ~np.isnan(side.success)
    if not graded.any():
        found = "no graded prompt falls" if len(side) else "no prompt falls"
        raise TableError(
            f"{where}: {found} on this side of the split; a benchmark takes a table of some 50 prompts or more"
        )
    if len(side) > (n_kept := int(graded.any(axis=1).sum())):
        notes.append(f"{where}: {len(side) - n_kept:,} of {len(side):,} prompts left out, without a graded answer")
    kept = side.take(np.flatnonzero(graded.any(axis=1)))
    known = ~np.isnan(kept.success)
    unseen = [model for model, n in zip(kept.outcomes.models, known.sum(axis=0), strict=True) if not n]
    if unseen:
        raise TableError(
            f"{where}: none of {len(kept):,} prompts has a graded answer of {', '.join(unseen)}; have some graded, or "
            "leave the model out of the table"
        )
    if n_incomplete := int((~known).any(axis=1).sum()):
        notes.append(
            f"{where}: {n_incomplete:,} of {len(kept):,} prompts lack an outcome of some model "
            f"({percent((~known).mean())} "
            "of all outcomes); doubly robust estimates stand for these, which widens the intervals"
        )
    return kept.estimated(train)


def _priced(side: Side, train: Side, where: str, notes: list[str]) -> Side:
    """Fill unknown costs with the models' means on training prompts."""
    unknown = np.isnan(side.cost_usd)
    if not unknown.any():
        return side
    known = ~np.isnan(train.cost_usd)
    means = np.where(known, train.cost_usd, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    hopeless = unknown.any(axis=0) & ~known.any(axis=0)
    if hopeless.any():
        names = ", ".join(side.outcomes.models[column] for column in np.flatnonzero(hopeless))
        raise TableError(
            f"{where}: no training prompt shows the cost of a call of {names}; give the table cost_usd, or "
            "input_tokens and output_tokens, for some of its rows"
        )
    notes.append(f"{where}: {int(unknown.sum()):,} of {unknown.size:,} costs unknown, taken as the model's mean")
    return replace(side, cost_usd=np.where(unknown, means, side.cost_usd))
