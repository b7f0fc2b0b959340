"""On small sub-tables of real outcomes the blend must not lose to what it is made of, on average over draws."""

import numpy as np
import pytest

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.fitting.fit import FitConfig, fit_predictor
from router_model.training.table.groups import novelty_groups
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.split import assign_folds, split_prompts
from router_model.training.table.targets import build_targets

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


@pytest.mark.parametrize("table", ["zeroeval", "mmlu_pro"])
@pytest.mark.parametrize(("n_prompts", "n_models"), [(120, 2), (300, 2), (300, None)])
def test_mean_log_loss_over_seeds_is_the_least(real_data, table, n_prompts, n_models):
    outcomes = read_outcomes(real_data / table / "outcomes.parquet")
    outcomes = outcomes.select_models(outcomes.models[:n_models])
    features = featurise(outcomes.prompts, load_encoder("static"))
    losses: list[list[float]] = []
    for seed in range(6 if n_models else 3):
        split = split_prompts(outcomes.prompt_ids, seed=seed)
        rows = np.sort(np.random.default_rng(seed).permutation(split.train)[:n_prompts])
        predictor, _ = fit_predictor(
            features.take(rows),
            build_targets(outcomes, (0.5,), rows).take(rows),
            outcomes.models,
            folds=assign_folds([outcomes.prompt_ids[row] for row in rows], seed=seed),
            groups=novelty_groups([outcomes.tasks[row] for row in rows], features.embedding[rows], seed=seed),
            config=FitConfig(),
            seed=seed,
            advance=lambda _: None,
        )
        test = features.take(split.test)
        evidence = predictor.evidence_model.evidence(test)
        members = [predictor.evidence_model.bank.base[:, 0], *np.moveaxis(evidence.values[:, :, 0], -1, 0)]
        whole = predictor.predict(test, quality_bar=0.5).p_success
        losses.append([loss(p, outcomes.quality[split.test]) for p in (whole, *members)])
    whole, *alone = np.mean(losses, axis=0)
    assert whole <= min(alone)


def loss(p, success):
    p = np.clip(np.broadcast_to(p, success.shape), 0.02, 0.98)
    return float(-np.mean(success * np.log(p) + (1 - success) * np.log1p(-p)))
