"""Robustness on the real outcome tables, at the default operating point: no rewording flips 15 % of decisions."""

import numpy as np
import pytest

from features import load_encoder
from features.featuriser import featurise
from router_model import Catalog
from training.outcomes import read_outcomes
from training.prices import complete_catalog
from training.robustness import measure_robustness
from training.split import split_prompts
from training.train import Run, TrainConfig

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

N_TABLE = 3000
N_PROMPTS = 300


@pytest.fixture(scope="module", params=["zeroeval", "mmlu_pro"])
def robustness(request, real_data):
    """Of a router of seed 0, on test prompts; the larger table is cut short to keep this under two minutes."""
    path = real_data / request.param / "outcomes.parquet"
    outcomes, encoder = read_outcomes(path), load_encoder("static")
    outcomes = outcomes.take(np.arange(min(len(outcomes), N_TABLE)))
    catalog = complete_catalog(Catalog.load(path.with_name("catalog.toml")), outcomes.models)
    split, features = split_prompts(outcomes.prompt_ids, seed=0), featurise(outcomes.prompts, encoder)
    router, _ = Run(path, outcomes, features, split, catalog, encoder, TrainConfig()).fit(lambda _: None)
    return measure_robustness(router, outcomes.take(split.test), include_seen=True, max_prompts=N_PROMPTS)


def test_no_rewording_flips_fifteen_percent(robustness):
    worst = max(robustness.rewordings, key=lambda flips: flips.flipped)
    assert worst.flipped < 0.15, worst
