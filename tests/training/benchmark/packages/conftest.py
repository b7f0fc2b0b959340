"""A small trial of the simulated world."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router_model import Catalog
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.split import split_prompts

BAR = 0.5


@pytest.fixture(scope="session")
def trial(table: Path, catalog: Catalog) -> Trial:
    """500 prompts x 3 models, split 60 : 10 : 30."""
    return _trial(table, catalog, ("small", "coder", "large"))


@pytest.fixture(scope="session")
def pair_trial(table: Path, catalog: Catalog) -> Trial:
    return _trial(table, catalog, ("small", "large"))


@pytest.fixture(scope="session")
def small_trial(trial: Trial) -> Trial:
    """4 validation and 5 test prompts, for answers written by hand."""
    return replace(trial, validation=trial.validation.take(np.arange(4)), test=trial.test.take(np.arange(5)))


def _trial(table: Path, catalog: Catalog, models: tuple[str, ...]) -> Trial:
    outcomes, encoder, cards = read_outcomes(table).select_models(models), load_encoder("static"), catalog.only(models)
    features, split = featurise(outcomes.prompts, encoder), split_prompts(outcomes.prompt_ids, seed=0)
    train, validation, test = (
        Side.of(outcomes.take(rows), features.take(rows), cards, quality_bar=BAR)
        for rows in (split.train, split.calibration, split.test)
    )
    return Trial("seed 0", 0, models, cards, encoder, BAR, train, validation, test)
