"""Every method in a world of clear structure, and on awkward tables."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from simulated_world import simulate

from router_model.errors import RequestError
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.training.benchmark.methods import IN_HOUSE, REGISTRY, methods_named, mlp
from router_model.training.benchmark.methods.boosted import Boosted
from router_model.training.benchmark.methods.clusters import Clusters
from router_model.training.benchmark.methods.factorisation import MatrixFactorisation, factorise
from router_model.training.benchmark.methods.learned import Learned, Targets, best_on_validation, extra
from router_model.training.benchmark.methods.linear import Linear, Logistic
from router_model.training.benchmark.methods.mlp import Mlp
from router_model.training.benchmark.methods.neighbours import KNearest
from router_model.training.benchmark.methods.ridge import fit_costs
from router_model.training.benchmark.methods.simple import RandomMix
from router_model.training.benchmark.packages import PACKAGES
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.benchmark.trials import seed_trials
from router_model.training.metrics import Points, Singles, aiq, log_loss, mean_auc
from router_model.training.table.outcomes import read_outcomes

LEARNED: dict[str, Learned] = {
    method.card.name: method
    for method in (
        Clusters(sizes=(4, 16)),
        KNearest(sizes=(5, 20)),
        KNearest(with_cost=True, sizes=(5, 20)),
        Linear(),
        Linear(with_cost=True),
        Logistic(),
        MatrixFactorisation(ranks=(2,), penalties=(10.0, 1.0)),
        Mlp(widths=(16,), penalties=(0.08,)),
        Boosted(max_rounds=40),
    )
}


def trial_of(path, catalog) -> Trial:
    outcomes, encoder = read_outcomes(path), load_encoder("static")
    features = featurise(outcomes.prompts, encoder)
    return next(seed_trials(outcomes, features, catalog, encoder, seeds=[0], quality_bar=0.5))


@pytest.fixture(scope="module")
def trial(table, catalog) -> Trial:
    return trial_of(table, catalog)


@pytest.fixture(scope="module")
def graded_trial(catalog, tmp_path_factory) -> Trial:
    path = tmp_path_factory.mktemp("graded") / "outcomes.parquet"
    simulate(400, seed=1, graded=True).write_parquet(path)
    return trial_of(path, catalog)


@pytest.fixture(params=LEARNED)
def method(request) -> Learned:
    return LEARNED[request.param]


def route(method, trial):
    return method.route(trial.blinded(), lambda _: None)


def area(routing, side: Side) -> float:
    rows = np.arange(len(side))
    points = Points(
        np.array([side.cost_usd[rows, chosen].mean() for chosen in routing.choices]),
        np.array([side.quality[rows, chosen].mean() for chosen in routing.choices]),
    )
    return aiq(points, Singles(side.cost_usd.mean(axis=0), side.quality.mean(axis=0)))


def check(routed, trial: Trial) -> None:
    """Choices are columns, configurations are shared, probabilities are inside (0, 1)."""
    assert len(routed.validation.choices) == len(routed.test.choices)
    for routing, side in ((routed.validation, trial.validation), (routed.test, trial.test)):
        assert routing.choices.shape[1] == len(side)
        assert np.isin(routing.choices, np.arange(len(trial.models))).all()
        assert routing.p_success.shape == side.success.shape
        assert (routing.p_success > 0).all()
        assert (routing.p_success < 1).all()
        if routing.expected_cost_usd is not None:
            assert (routing.expected_cost_usd >= 0).all()
            assert np.isfinite(routing.expected_cost_usd).all()
    assert all(isinstance(value, float | int | str) for value in routed.settings.values())


def with_train(trial: Trial, **arrays: np.ndarray) -> Trial:
    """Replace arrays of the training side; a new success is the quality, too."""
    train = replace(trial.train, **arrays)
    if "success" in arrays:
        train = replace(train, outcomes=replace(train.outcomes, quality=arrays["success"]))
    return replace(trial, train=train)


def test_methods_beat_the_random_mix(method, trial):
    routed = route(method, trial)
    check(routed, trial)
    assert area(routed.test, trial.test) > area(route(RandomMix(), trial).test, trial.test) + 0.02
    assert mean_auc(routed.test.p_success, trial.test.success) > 0.6


def test_methods_learn_graded_qualities(method, graded_trial):
    """Quality decides, success is what p is of: 0.6 for a success plus up to 0.4 for chance."""
    routed = route(method, graded_trial)
    check(routed, graded_trial)
    assert area(routed.test, graded_trial.test) > area(route(RandomMix(), graded_trial).test, graded_trial.test) + 0.02
    base = np.broadcast_to(graded_trial.train.success.mean(axis=0), graded_trial.test.success.shape)
    assert log_loss(routed.test.p_success, graded_trial.test.success) < log_loss(base, graded_trial.test.success)


def test_outcomes_of_test_prompts_are_not_read_and_choices_repeat(method, trial):
    seeing, blind = method.route(trial, lambda _: None), route(method, trial)
    for first, second in ((seeing.validation, blind.validation), (seeing.test, blind.test)):
        assert np.array_equal(first.choices, second.choices)
        assert np.array_equal(first.p_success, second.p_success)
    assert seeing.settings == blind.settings


def test_partial_logs_are_learned_from(method, trial):
    """One outcome and one cost is known of every training prompt; still better than the record."""
    logged = np.arange(3) == np.random.default_rng(0).integers(3, size=(len(trial.train), 1))
    success = np.where(logged, trial.train.success, np.nan)
    routed = route(method, with_train(trial, success=success, cost_usd=np.where(logged, trial.train.cost_usd, np.nan)))
    check(routed, trial)
    base = np.broadcast_to(np.nanmean(success, axis=0), trial.test.success.shape)
    assert log_loss(routed.test.p_success, trial.test.success) < log_loss(base, trial.test.success)


def test_unknown_training_outcomes_do_not_teach(method, trial):
    """What a model did on prompts where that is unknown cannot matter, so neither can a model nothing is known of."""
    success, cost = trial.train.success.copy(), trial.train.cost_usd.copy()
    success[:, 0] = cost[:, 0] = np.nan
    check(route(method, with_train(trial, success=success, cost_usd=cost)), trial)


def test_a_model_that_always_succeeds_and_one_that_never_does(method, trial):
    def certain(side: Side) -> Side:
        success = side.success.copy()
        success[:, 0], success[:, 1] = 0.0, 1.0
        return replace(side, success=success, outcomes=replace(side.outcomes, quality=success))

    known = replace(trial, train=certain(trial.train), validation=certain(trial.validation))
    routed = route(method, known)
    check(routed, known)
    assert (routed.test.p_success[:, 0] < 0.2).all()
    assert (routed.test.p_success[:, 1] > 0.8).all()


def test_two_models_fifty_prompts_and_a_free_model(method, trial):
    columns = np.array([0, 2])

    def narrow(side: Side, rows: int) -> Side:
        side = side.take(np.arange(min(rows, len(side))))
        outcomes = side.outcomes.select_models([trial.models[column] for column in columns])
        cost = side.cost_usd[:, columns] * [0.0, 1.0]
        success = side.success[:, columns]
        return Side(outcomes, side.features, success, cost, outcomes.quality, success)

    small = replace(
        trial,
        models=tuple(trial.models[column] for column in columns),
        train=narrow(trial.train, 50),
        validation=narrow(trial.validation, 8),
        test=narrow(trial.test, 500),
    )
    check(route(method, small), small)


def test_costs_are_right_on_average_and_for_poetry(trial):
    """Poetry takes four times the tokens."""
    costs = fit_costs(trial)
    predicted = costs.predict(trial.train.features.embedding.astype(np.float64))
    assert predicted.mean(axis=0) == pytest.approx(trial.train.cost_usd.mean(axis=0))
    poetry = np.array(trial.train.outcomes.tasks) == "poetry"
    assert (predicted[poetry].mean(axis=0) > 2 * predicted[~poetry].mean(axis=0)).all()


def test_factors_are_of_the_asked_rank():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, size=(80, 6)).astype(np.float64)
    heads = factorise(rng.normal(size=(80, 10)), Targets(values, 6), rank=2, penalty=0.1, seed=0)
    assert np.linalg.matrix_rank(heads.weights, tol=1e-6) == 2


def test_cluster_weights_are_a_softmax_of_the_three_nearest():
    """Centres at 0, 1, 3 and 9, a prompt at 0: weights 1, e^-9 and e^-27 over their sum."""
    from router_model.training.benchmark.methods.clusters import Profiles

    centres = np.array([[0.0], [1.0], [3.0], [9.0]])
    profiles = Profiles(centres, np.zeros((4, 1)), np.zeros((4, 1)), n_nearest=3, sharpness=9.0)
    raw = np.exp([0.0, -9.0, -27.0])
    assert profiles.weights(np.array([[0.0]]))[0] == pytest.approx([*(raw / raw.sum()), 0.0])


def test_targets_hold_quality_only_where_it_is_graded(trial, graded_trial):
    """Success alone is 3 columns; of graded tables the qualities are the last 3."""
    assert Targets.of(trial.train).values.shape[1] == 3
    targets = Targets.of(graded_trial.train)
    assert np.array_equal(targets.quality(targets.values), graded_trial.train.quality)
    assert np.array_equal(targets.same_of(graded_trial.test)[:, :3], graded_trial.test.success)
    assert targets.p_success(np.array([[0.0, 0.5, 1.0, 9, 9, 9]])).tolist() == [[0.01, 0.5, 0.99]]


def test_nothing_to_choose_from_is_refused(trial):
    with pytest.raises(ValueError, match="no settings to choose from; expected at least one value"):
        best_on_validation([], Targets.of(trial.train), trial.validation)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"needs sklearn: pip install '.*\[benchmark\]'"):
        extra("sklearn")


def test_ctrl_c_ends_the_perceptron(monkeypatch):
    """scikit-learn's own `partial_fit` swallows it: pressed in the middle of an epoch, here by its optimiser."""
    network = mlp._new(4, 0.1, n_prompts=64, seed=0)
    x, outcomes = np.random.default_rng(0).normal(size=(64, 3)), np.tile([[0, 1], [1, 0]], (32, 1))
    mlp._learn(network, x, outcomes)

    def pressed(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(network._optimizer), "update_params", pressed)
    with pytest.raises(KeyboardInterrupt):
        mlp._learn(network, x, outcomes)


def test_methods_stand_in_the_order_of_the_report():
    names = list(IN_HOUSE)
    assert list(REGISTRY) == [*names, *PACKAGES]
    assert names[:5] == ["cheapest", "best single", "random mix", "oracle by task", "oracle"]
    assert names[5:-1] == list(LEARNED)
    assert names[-1] == "ours"
    assert [method.card.name for method in methods_named("in-house")] == names
    assert [method.card.name for method in methods_named("all")] == list(REGISTRY)
    assert [method.card.name for method in methods_named("oracle,kNN")] == ["oracle", "kNN"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("kNN,knn", "unknown 'knn'; expected 'all', 'in-house' or some of cheapest, best"),
        (" ", "unknown .none given.; expected"),
    ],
)
def test_unknown_methods_are_refused(names, message):
    with pytest.raises(RequestError, match=message):
        methods_named(names)
