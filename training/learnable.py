"""What training learns from: graded answers of two models at least, and no more held-out prompts than figures need."""

import numpy as np
import numpy.typing as npt

from router_model.errors import TrainingError
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.table.frames import Table
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import sample_whole, split_prompts
from router_model.training.table.subsample import Subsample

MEASURED_PROMPTS = 30_000
"""The most test prompts that are measured, and the most calibration prompts. Three times as many would narrow the
interval of a success rate from 0.5 to 0.3 points. Those beyond are left out before features are computed."""


def read_learnable(table: Table, drawn: Subsample | None, *, seed: int, holdout: bool) -> tuple[Outcomes, list[str]]:
    """Read what can be learned from, with near duplicates joined, and say what is left out.

    Parameters
    ----------
    table : as of `router_model.training.table.outcomes.read_outcomes`
    drawn : the prompts to read; None: all
    seed, holdout : of the split

    Raises
    ------
    TableError, TrainingError
        If the table cannot be read, or has graded answers of fewer than two models.
    """
    outcomes, warnings = learnable(join_near_duplicates(read_outcomes(table, drawn)))
    if drawn is not None:
        gone = sorted(drawn.models.difference(outcomes.models))
        warnings += [str(drawn), *(f"{model}: left out because none of its graded answers was read" for model in gone)]
    return _without_surplus(outcomes, warnings, seed=seed, holdout=holdout), warnings


def learnable(outcomes: Outcomes) -> tuple[Outcomes, list[str]]:
    """Leave out models and prompts without a graded answer.

    Raises
    ------
    TrainingError
        If fewer than two models are left.
    """
    graded = (~np.isnan(outcomes.quality)).sum(axis=0)
    kept = tuple(model for column, model in enumerate(outcomes.models) if graded[column])
    if len(kept) < 2:  # noqa: PLR2004
        advice = (
            "join it with a table of others: 'router-model import a.parquet b.parquet --out c.parquet'"
            if kept
            else "grade answers that you collected ('router-model grade'), name the field with the grades "
            "('router-model import --column quality=FIELD'), have a sample of a log's prompts answered and graded "
            "('router-model label'), or begin without grades ('router-model start')"
        )
        raise TrainingError(
            f"a router needs graded answers of at least 2 models; the table has them of {', '.join(kept) or 'none'}; "
            + advice
        )
    dropped = [model for model in outcomes.models if model not in kept]
    warnings = [f"{model}: left out because none of its answers is graded" for model in dropped]
    learnable = outcomes.select_models(kept)
    rows = graded_prompts(learnable)
    if len(rows) < len(learnable):
        warnings.append(f"{len(learnable) - len(rows):,} prompts left out because none of their answers is graded")
    return learnable.take(rows), warnings


def graded_prompts(outcomes: Outcomes) -> npt.NDArray[np.intp]:
    """Return the prompts with a graded answer."""
    return np.flatnonzero((~np.isnan(outcomes.quality)).any(axis=1))


def _without_surplus(outcomes: Outcomes, warnings: list[str], *, seed: int, holdout: bool) -> Outcomes:
    """Leave out held-out prompts beyond `MEASURED_PROMPTS` of a side, with a warning.

    Training prompts come first then, so that fitting needs no copy of their arrays.
    """
    split = split_prompts(outcomes.split_keys, seed=seed, holdout=holdout)
    kept = []
    for side in (split.calibration, split.test):
        keys = [outcomes.split_keys[row] for row in side]
        kept.append(side[sample_whole(keys, MEASURED_PROMPTS, seed=seed)])
    rows = np.concatenate([split.train, np.sort(np.concatenate(kept))])
    if len(rows) == len(outcomes):
        return outcomes
    warnings.append(
        f"{len(outcomes) - len(rows):,} of {len(outcomes) - len(split.train):,} held-out prompts are not measured, "
        f"because about {MEASURED_PROMPTS:,} for certificates and as many for figures are enough"
    )
    return outcomes.take(rows)
