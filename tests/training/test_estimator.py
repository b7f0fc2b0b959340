# ruff: noqa: N803, N806  (scikit-learn calls them X)
"""A router among scikit-learn's tools: clones, pipelines, cross-validation, searches, and its own checks."""

import pickle
import warnings

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sklearn", reason="extra 'sklearn' is not installed")

from simulated_world import CATALOG, simulate
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from router_model import Catalog, RouterEstimator, TrainingError, read_outcomes
from router_model.training.fitting.boosters import BoosterConfig
from router_model.training.fitting.fit import FitConfig

CARDS = Catalog.parse(CATALOG, origin="catalog.toml")
QUICK = FitConfig(boosters=BoosterConfig(max_rounds=5), amount_boosters=BoosterConfig(max_rounds=5))


@pytest.fixture(scope="module")
def outcomes():
    return read_outcomes(simulate(240, seed=5))


@pytest.fixture(scope="module")
def estimator(outcomes):
    made = RouterEstimator(models=outcomes.models, catalog=CARDS, fit_config=QUICK, quality_value_usd=0.05)
    return made.fit(outcomes.prompts, outcomes.quality, cost_usd=outcomes.cost_usd)


def test_probabilities_and_choices_are_those_of_the_router(estimator, outcomes):
    p = estimator.predict_proba(outcomes.prompts[:5])
    assert p.shape == (5, 3)
    assert np.array_equal(p, estimator.router_.predict(outcomes.prompts[:5]).p_success)
    assert estimator.classes_.tolist() == list(outcomes.models)
    assert estimator.report_.artifact is None
    assert estimator.router_.artifact.content_hash.startswith("sha256:")
    chosen = [estimator.router_.route(prompt, quality_value_usd=0.05).model for prompt in outcomes.prompts[:5]]
    assert estimator.predict(outcomes.prompts[:5]).tolist() == chosen


def test_the_score_is_the_quality_of_the_chosen_less_its_cost(estimator, outcomes):
    """By hand: each chosen answer has quality 0.75 and costs a cent; at 5 cents for quality 1 that is 0.75 - 0.2."""
    some = outcomes.prompts[:4]
    quality, cost = np.full((4, 3), 0.75), np.full((4, 3), 0.01)
    assert estimator.score(some, quality, cost_usd=cost) == pytest.approx(0.55)
    by_quality = clone(estimator).set_params(quality_value_usd=None)
    by_quality.router_, by_quality.classes_ = estimator.router_, estimator.classes_
    assert by_quality.score(some, quality) == 0.75
    with pytest.raises(TrainingError, match="y has no quality of any chosen model's answer"):
        estimator.score(some, np.full((4, 3), np.nan))


def test_columns_of_frames_are_told_by_their_names_and_not_by_their_order(estimator, outcomes):
    some, names = outcomes.prompts[:40], list(outcomes.models)
    costs = np.tile([0.001, 0.01, 0.02], (40, 1))
    quality, cost = (pl.DataFrame(one, schema=names) for one in (outcomes.quality[:40], costs))
    turned = names[::-1]
    expected = estimator.score(some, outcomes.quality[:40], cost_usd=costs)
    assert estimator.score(some, quality.select(turned), cost_usd=cost) == expected
    assert estimator.score(some, quality, cost_usd=cost.select(turned)) == expected
    by_frame = clone(estimator).set_params(models=None)
    learned = by_frame.fit(
        outcomes.prompts,
        pl.DataFrame(outcomes.quality, schema=names),
        cost_usd=pl.DataFrame(np.tile([0.02, 0.01, 0.001], (len(outcomes), 1)), schema=turned),
    ).router_
    steps = learned.route(some[0]).plan
    assert {step.model: round(step.expected_cost_usd, 3) for step in steps} == dict(zip(names, costs[0], strict=True))


def test_a_clone_has_the_settings_and_nothing_learned(estimator):
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(["add 1 and 2"])
    assert repr(copy).startswith("RouterEstimator(")


def test_a_fitted_estimator_can_be_pickled(estimator):
    again = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(again.predict_proba(["add 1 and 2"]), estimator.predict_proba(["add 1 and 2"]))


def test_prompts_may_stand_in_any_container(estimator):
    texts = ["add 12 and 45", "a poem of the moon"]
    expected = estimator.predict_proba(texts)
    for given in (np.array(texts), np.array(texts)[:, None], pl.Series(texts), pl.DataFrame({"prompt": texts})):
        assert np.array_equal(estimator.predict_proba(given), expected)


@pytest.mark.parametrize(
    ("prompts", "quality", "message"),
    [
        ("one text", [[1, 0, 1]], "X is one text; expected a list of prompts"),
        (["a", "b"], [[1, 0, 1]], r"y has the shape \(1, 3\); expected \(2, 3\)"),
        (["a"], [1], r"y has the shape \(1,\); expected \(1, 3\)"),
        (["a"], [["good", "bad", "bad"]], "y is no matrix of numbers"),
        (["a"], [[1, 0, 7]], "y has a quality of 7; expected 0 to 1"),
        (np.zeros((2, 2)), [[1, 0, 1], [1, 0, 1]], r"X has the shape \(2, 2\); expected one column of prompts"),
        (["a", "b"], [[1, 0, 1], [1, 0, 1]], "graded training prompts; at least 50 are needed"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(prompts, quality, message):
    with pytest.raises(TrainingError, match=message):
        RouterEstimator(models=("coder", "large", "small"), catalog=CARDS).fit(prompts, quality)


def test_a_frame_names_the_models():
    frame = pl.DataFrame({"small": [0.0, 1.0], "large": [1.0, 1.0]})
    matrix, models = RouterEstimator()._matrix(frame, 2, "y")
    assert (matrix.tolist(), models) == ([[0.0, 1.0], [1.0, 1.0]], ("small", "large"))


def test_scikit_learn_s_checks_of_what_takes_prompts():
    """Of an estimator that takes no numbers, scikit-learn itself checks cloning and skips the rest, and says so."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = check_estimator(RouterEstimator(), on_fail="raise")
    assert any(issubclass(one.category, SkipTestWarning) for one in said)
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.slow
def test_pipelines_cross_validation_and_searches_work(outcomes):
    """A value of nothing sends every prompt to the cheapest model, so the search prefers quality."""
    prompts = [f"  {text}" for text in outcomes.prompts]
    stripping = FunctionTransformer(lambda texts: [text.strip() for text in texts])
    model = RouterEstimator(models=outcomes.models, catalog=CARDS, fit_config=QUICK)
    pipeline = make_pipeline(stripping, model)
    scores = cross_val_score(pipeline, prompts, outcomes.quality, cv=KFold(2))
    assert scores.shape == (2,)
    assert (scores > outcomes.quality[:, outcomes.models.index("small")].mean()).all()
    search = GridSearchCV(model, {"max_quality_loss": [0.0, 0.9]}, cv=KFold(2), error_score="raise")
    search.fit(outcomes.prompts, outcomes.quality, cost_usd=outcomes.cost_usd)
    assert search.best_params_ == {"max_quality_loss": 0.0}
    assert search.predict(outcomes.prompts[:2]).shape == (2,)


class OfNumbers(RouterEstimator):
    """For scikit-learn's checks: rows of numbers become texts, and a target says which of two models answers well."""

    def fit(self, X, y):
        X, y = validate_data(self, X, y, multi_output=True, ensure_min_samples=2)
        codes = np.unique(np.asarray(y).reshape(len(y), -1)[:, 0], return_inverse=True)[1]
        high, times = codes > codes.max() / 2, -(-120 // len(codes))  # a router needs 50 prompts, and checks send 20
        quality, given = np.column_stack([~high, high]).astype(float), self.fit_config
        self.fit_config = QUICK
        super().fit(texts(np.tile(X, (times, 1))), np.tile(quality, (times, 1)), np.full((times * len(codes), 2), 0.01))
        self.fit_config = given
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(texts(validate_data(self, X, reset=False)))

    def predict(self, X):
        """The checks compare numbers, so the models' columns stand for their names."""
        check_is_fitted(self)
        return np.searchsorted(self.classes_, super().predict(texts(validate_data(self, X, reset=False)))).astype(float)

    def score(self, X, y):  # noqa: ARG002  (its name is checked)
        return float(self.predict_proba(X).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string, tags.target_tags.single_output = True, False, True
        return tags


def texts(rows):
    return [" ".join(f"{value:.6g}" for value in row) for row in rows]


@pytest.mark.slow
def test_all_of_scikit_learn_s_checks_pass_on_numbers_that_were_made_texts():
    """Fitting twice, order and subsets of rows, pickling, cloning, parameters that stay as they are, and 30 more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(OfNumbers(), on_fail=None, on_skip=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert failed == {}
    assert sum(result["status"] == "passed" for result in results) >= 35
