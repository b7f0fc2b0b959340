"""Floors on the real outcome tables (mean of seeds 0-2), and determinism and limits at their size."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from features import load_encoder
from features.featuriser import featurise
from router_model import Catalog
from training.outcomes import read_outcomes
from training.prices import complete_catalog
from training.split import split_prompts
from training.train import Run, TrainConfig

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

FLOORS = {
    "zeroeval": {"auc": 0.820, "aiq": 0.886},
    "mmlu_pro": {"auc": 0.697, "aiq": 0.682},
}
N_SEEDS = 3


@pytest.fixture(scope="module", params=FLOORS)
def runs(request, real_data):
    """Evaluations of seeds 0-2 with the static encoder and the defaults."""
    path: Path = real_data / request.param / "outcomes.parquet"
    outcomes, encoder = read_outcomes(path), load_encoder("static")
    catalog = complete_catalog(Catalog.load(path.with_name("catalog.toml")), outcomes.models)
    features = featurise(outcomes.prompts, encoder)
    evaluations = []
    for seed in range(N_SEEDS):
        split = split_prompts(outcomes.prompt_ids, seed=seed)
        run = Run(path, outcomes, features, split, catalog, encoder, TrainConfig(seed=seed))
        router, _ = run.fit(lambda _: None)
        evaluations.append((router, run.measure(router, []), split, features, outcomes))
    return request.param, evaluations


def test_floors_are_reached(runs):
    table, evaluations = runs
    for metric, floor in FLOORS[table].items():
        mean = np.mean([evaluation.metrics[metric] for _, evaluation, *_ in evaluations])
        assert mean >= floor, f"{table} {metric}: {mean:.4f}"


def test_no_member_of_the_blend_beats_the_whole(runs):
    """Log-loss on test prompts: the prediction against the record and every kind of evidence alone."""
    _, evaluations = runs
    for router, evaluation, split, features, outcomes in evaluations:
        model = router.artifact.predictor.evidence_model
        evidence = model.evidence(features.take(split.test))
        success = outcomes.quality[split.test]
        members = [evidence.record[:, :, 0], *np.moveaxis(evidence.values[:, :, 0], -1, 0)]
        for member in members:
            p = np.clip(member, 0.02, 0.98)
            alone = -np.mean(success * np.log(p) + (1 - success) * np.log1p(-p))
            assert evaluation.metrics["log_loss"] < alone


def test_probabilities_are_calibrated(runs):
    _, evaluations = runs
    assert np.mean([evaluation.metrics["calibration_error"] for _, evaluation, *_ in evaluations]) < 0.02


@pytest.mark.usefixtures("runs")
def test_memory_stays_within_three_gigabytes():
    """Of the whole test process, which trained this and more."""
    unit = 1 if sys.platform == "darwin" else 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < 3e9
