"""Adding a model against training with it, on a real table; `tests/performance/bench_add_model.py` has all of it."""

from dataclasses import replace

import numpy as np
import pytest

from router_model import Catalog, Router
from router_model.model_set import with_column
from router_model.training.fitting.preconditioner import Sketch
from router_model.training.metrics import mean_auc
from router_model.training.new_model.add_model import bank_kernel, fit_column
from router_model.training.new_model.new_model_outcomes import answers_of

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

MODELS = ("gpt-3.5-turbo-0125", "qwen2-72b-instruct")
N_PROMPTS = 100
MOST_LOST = 0.02


@pytest.mark.parametrize("table", ["zeroeval"])
def test_a_hundred_prompts_or_one_accuracy_come_near_training(table, real_run):
    """AUC of each new model on test prompts: within 0.02 of a router trained with all its outcomes."""
    run, full = real_run(table)
    outcomes, catalog, features, split = run.outcomes, run.catalog, run.features, run.split
    test = features.take(split.test)

    def auc(decider, model):
        p = decider.predict_features(test, 1.0).p_success[:, [decider.models.index(model)]]
        return mean_auc(p, outcomes.quality[split.test][:, [outcomes.models.index(model)]])

    # both are left out of one router: a harder case than one at a time, and one training less
    kept = tuple(model for model in outcomes.models if model not in MODELS)
    part = replace(run, outcomes=outcomes.select_models(kept), catalog=catalog.only(kept))
    without = part.fit(lambda _: None)[0]
    rows = np.random.default_rng(0).permutation(split.train)[:N_PROMPTS]
    for model in MODELS:
        graded = outcomes.select_models([model]).take(rows)
        seen = np.ones(len(rows), dtype=bool)
        known = without.artifact.predictor
        answers = answers_of(known, graded, features.take(rows), seen=seen, card=catalog[model])
        matrix = bank_kernel(known.evidence_model)
        column = fit_column(known, answers, matrix, Sketch.of(matrix))[0]
        p = with_column(known, model, column).predict(test, quality_bar=1.0).p_success[:, [-1]]
        success = outcomes.quality[split.test][:, [outcomes.models.index(model)]]
        assert mean_auc(p, success) >= auc(full, model) - MOST_LOST
        # The same models by one accuracy on 200 prompts that the router never saw, and by no grade.
        other = np.random.default_rng(0).permutation(split.calibration)[:200]
        accuracy = float(np.nanmean(outcomes.quality[other, outcomes.models.index(model)]))
        card = replace(catalog[model], accuracy=accuracy, accuracy_prompts=len(other))
        cards = Catalog({**without.catalog.cards, model: card})
        announced = Router.assemble(without.artifact, run.encoder, catalog=cards)
        assert auc(announced, model) >= auc(full, model) - MOST_LOST
        low, high = announced.announced.levels[model].interval
        assert low <= success.mean() <= high
