"""Methods over trials: who sees what, what is left out, and what rewordings change."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.benchmark.intervals import PromptWeights
from router_model.training.benchmark.method import MethodCard, MethodUnavailableError, Routed, Routing
from router_model.training.benchmark.methods.linear import Linear
from router_model.training.benchmark.methods.simple import OneModel, Oracle
from router_model.training.benchmark.reworded import Reworded
from router_model.training.benchmark.run import run_methods
from router_model.training.benchmark.trials import seed_trials
from router_model.training.table.outcomes import read_outcomes


@pytest.fixture(scope="module")
def trials(catalog, table):
    outcomes, encoder = read_outcomes(table), load_encoder("static")
    features = featurise(outcomes.prompts, encoder)
    return list(seed_trials(outcomes, features, catalog, encoder, seeds=[0, 1], quality_bar=0.5))


@pytest.fixture(scope="module")
def weights(trials):
    return PromptWeights.draw(
        [key for trial in trials for key in trial.test.outcomes.split_keys], n_resamples=50, seed=0
    )


@dataclass
class Spy:
    """Sends everything to the first model, and remembers the outcomes it was shown."""

    kind: str = "learned"
    fails_in: str = ""

    def __post_init__(self):
        self.seen = []

    @property
    def card(self):
        return MethodCard("spy", self.kind, "this test", "none")

    def route(self, trial, advance):
        if trial.name == self.fails_in:
            raise MethodUnavailableError("needs a better table")
        self.seen.append(trial.test.success)
        advance("looked")
        return Routed(*(Routing(np.zeros((1, len(side)), dtype=np.intp)) for side in (trial.validation, trial.test)))


def run(trials, methods, weights):
    return run_methods(trials, methods, weights, advance=lambda _trial, _method, _step: None)


def test_only_oracles_see_the_outcomes_of_test_prompts(trials, weights):
    learned, bound = Spy(), Spy(kind="bound")
    run(trials, [learned], weights)
    run(trials, [bound], weights)
    assert all(np.isnan(seen).all() for seen in learned.seen)
    assert not any(np.isnan(seen).any() for seen in bound.seen)


def test_a_method_that_cannot_run_in_one_trial_is_left_out_of_all_with_its_reason(trials, weights):
    measured = run(trials, [OneModel(best=True), Spy(fails_in="seed 1")], weights)
    assert [method.name for method in measured.methods] == ["best single"]
    assert measured.not_run == {"spy": "needs a better table"}


def test_the_best_single_model_costs_what_it_costs_and_never_flips(trials, weights):
    (best,) = run(trials, [OneModel(best=True)], weights).methods
    for trial, found in zip(trials, best.trials, strict=True):
        column = trial.models.index(found.settings["model"])
        assert found.chosen.cost_usd == pytest.approx(trial.test.cost_usd[:, column].mean())
        assert found.metrics["robustness"] == 1.0
        assert sum(found.shares.values()) == pytest.approx(1)


def test_every_trial_names_its_models_best_first(trials, weights):
    info = run(trials, [OneModel(best=True)], weights).trials[0]
    assert (info.name, info.n_test) == ("seed 0", len(trials[0].test))
    assert [single.quality for single in info.singles] == sorted((s.quality for s in info.singles), reverse=True)


def test_results_of_a_method_do_not_depend_on_who_else_runs(trials, weights):
    def ignoring_time(method):
        return [
            replace(each, fit_s=0, decide_ms=0, metrics={**each.metrics, "pareto_distance": None})
            for each in method.trials
        ]

    alone = run(trials, [Linear()], weights).methods[0]
    among = run(trials, [Oracle(by_task=False), Linear(), OneModel(best=False)], weights).methods[1]
    assert ignoring_time(alone) == ignoring_time(among)


def test_copies_are_rewordings_of_the_prompts_they_are_counted_against(trials):
    reworded = Reworded.of(trials[0], max_prompts=5)
    n = len(trials[0].test)
    assert len(reworded.trial.test) == n + 4 * 5
    prompts = reworded.trial.test.outcomes.prompts
    for copy, original in zip(prompts[n:], reworded.originals, strict=True):
        assert copy != prompts[original]
        assert set(prompts[original].lower().split()) & set(copy.lower().split())
    assert np.isnan(reworded.trial.test.success).all()


def test_robustness_is_the_share_of_copies_with_the_same_choice(trials):
    """Of 4 copies of each of 2 prompts, 3 go elsewhere: 1 - 3/8."""
    reworded = Reworded.of(trials[0], max_prompts=2)
    n = len(trials[0].test)
    own = Routing(np.zeros((1, n), dtype=np.intp))
    copies = Routing(np.array([[0, 1, 0, 2, 0, 0, 1, 0]]))
    assert reworded.robustness(own, copies, 0) == pytest.approx(5 / 8)


def test_answers_to_copies_are_taken_off_again(trials):
    reworded = Reworded.of(trials[0], max_prompts=3)
    n_all, n = len(reworded.trial.test), len(trials[0].test)
    answered = Routing(np.arange(n_all)[None], p_success=np.ones((n_all, 3)))
    routed, copies = reworded.separate(Routed(answered, answered, decide_s=1.0))
    assert routed.test.choices.tolist() == [list(range(n))]
    assert copies.choices.tolist() == [list(range(n, n_all))]
    assert (routed.test.p_success.shape, copies.p_success.shape) == ((n, 3), (12, 3))
    assert routed.decide_s == pytest.approx(n / n_all)


def test_missing_outcomes_are_estimated_for_every_method_and_spare_the_oracle(trials, weights):
    """15 % of the pairs missing: each method is measured on all prompts, near its figures on the full table."""
    rng, partial = np.random.default_rng(0), []
    for trial in trials:
        sides = {}
        for name in ("validation", "test"):
            side = getattr(trial, name)
            gone = rng.random(side.success.shape) < 0.15
            quality = np.where(gone, np.nan, side.quality)
            outcomes = replace(side.outcomes, quality=quality)
            side = replace(side, outcomes=outcomes, success=np.where(gone, np.nan, side.success))
            sides[name] = side.estimated(trial.train)
        partial.append(replace(trial, **sides))
    methods = [Oracle(by_task=False), Oracle(by_task=True), Linear(), OneModel(best=True)]
    full, found = run(trials, methods, weights), run(partial, methods, weights)
    assert [method.name for method in found.methods] == ["oracle by task", "linear", "best single"]
    assert "needs the outcome of every model, and " in found.not_run["oracle"]
    for before, after in zip(full.methods[1:], found.methods, strict=True):
        assert after.trials[0].chosen.n_prompts == before.trials[0].chosen.n_prompts
        assert after.metrics["aiq"].value == pytest.approx(before.metrics["aiq"].value, abs=0.04)
        assert after.metrics["aiq"].low < after.metrics["aiq"].value < after.metrics["aiq"].high
