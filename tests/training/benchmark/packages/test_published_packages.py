"""Every package in its real environment, on a table that is easy to route; the first run installs them."""

import os

import numpy as np
import pytest

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.benchmark.packages import PACKAGES
from router_model.training.benchmark.packages.environment import NO_INDEX
from router_model.training.metrics import Points, Singles, aiq, mean_auc


def routed(name, trial):
    try:
        return PACKAGES[name]().route(trial.blinded(), lambda _: None)
    except MethodUnavailableError as exc:
        if NO_INDEX in str(exc) and not os.environ.get("CI"):
            pytest.skip(f"{name} cannot be installed: {exc}")
        raise


def heights(choices, side):
    """Return the AIQ of choices and that of single models."""
    singles = Singles(side.cost_usd.mean(axis=0), side.quality.mean(axis=0))
    rows = np.arange(len(side))
    points = Points(side.cost_usd[rows, choices].mean(axis=1), side.quality[rows, choices].mean(axis=1))
    return aiq(points, singles), aiq(Points(singles.cost_usd, singles.quality), singles)


def test_cards_name_packages_and_versions():
    cards = [factory().card for factory in PACKAGES.values()]
    assert [card.name for card in cards] == list(PACKAGES) == ["argrouter", "paretobandit", "routellm mf"]
    assert {card.kind for card in cards} == {"package"}
    for factory in PACKAGES.values():
        method = factory()
        package, version = method.card.origin.split()
        assert f"{package}=={version}" in method.environment.requirements + method.environment.bare
        assert method.adapter.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["argrouter", "paretobandit"])
def test_package_learns_which_model_answers_what(name, trial):
    """The three kinds of prompts differ plainly: a router must pass the hull of single models by far."""
    result = routed(name, trial)
    router, singles = heights(result.test.choices, trial.test)
    assert router > singles + 0.03
    assert mean_auc(result.test.p_success[:, :1], trial.test.success[:, :1]) > 0.75  # the others are nearly constant
    assert result.validation.choices.shape[0] == result.test.choices.shape[0] > 50


@pytest.mark.slow
def test_matrix_factorisation_learns_which_of_two_models_answers_what(pair_trial):
    result = routed("routellm mf", pair_trial)
    router, singles = heights(result.test.choices, pair_trial.test)
    assert router > singles + 0.03
    assert result.test.p_success is None


def test_matrix_factorisation_refuses_three_models(trial):
    with pytest.raises(MethodUnavailableError, match="needs exactly two models; the table has 3"):
        PACKAGES["routellm mf"]().route(trial, lambda _: None)
