"""Trees as bit masks against LightGBM itself."""

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.prediction.compiled import _native
from router_model.prediction.compiled._native import PROCESSORS
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.compiled.forest import Missing, forest_arrays

KINDS = {
    "plain": {},
    "missing": {},
    "zero is missing": {"zero_as_missing": True},
    "most leaves": {"num_leaves": 32, "min_data_in_leaf": 2},
    "one leaf": {"min_data_in_leaf": 10_000},
}
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, 1e-35, 2e-35, 1e-40, 3e38, -3e38]


def grown(extra, *, objective="regression", missing=False, **columns):
    random = np.random.default_rng(0)
    rows = random.normal(size=(600, 4)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan if missing else 0
    filled = np.nan_to_num(rows)
    label = filled[:, 0] * filled[:, 1] + (filled[:, 2] > 0.3) - np.isnan(rows[:, 3])
    label = label > 0 if objective != "regression" else label
    params = {"objective": objective, "verbosity": -1, "num_leaves": 15, "num_threads": 1, "seed": 1, **extra}
    return lgb.train(params, lgb.Dataset(rows, label, **columns), num_boost_round=8)


@pytest.fixture(scope="module")
def boosters():
    return {kind: grown(extra, missing=kind == "missing") for kind, extra in KINDS.items()}


def mean_score(boosters, rows, processor=PROCESSORS[0]):
    found = np.empty(len(rows))
    _native.Forest(forest_arrays(boosters)).mean_score(np.ascontiguousarray(rows.T), found, processor)
    return found


def scores(booster, rows):
    return booster.predict(rows, raw_score=True, num_threads=1)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_scores_are_lightgbms(boosters, kind, data):
    """Any number, odd ones, and thresholds hit exactly, at which a row goes left."""
    booster = boosters[kind]
    known = [float(each) for each in forest_arrays([booster])["threshold"][:50] if np.isfinite(each)]
    number = st.one_of(st.floats(width=32), st.sampled_from(ODD), st.sampled_from([*known, 0.5]))
    n_rows = data.draw(st.sampled_from([1, 3, 17, 70]))
    drawn = data.draw(st.lists(number, min_size=4, max_size=12))
    rows = np.resize(np.array(drawn, dtype=np.float32), (n_rows, 4))
    for processor in PROCESSORS:
        assert mean_score([booster], rows, processor) == pytest.approx(scores(booster, rows), abs=1e-12)


def test_shared_columns_are_tested_once_for_all_rows(boosters):
    numbers = np.random.default_rng(2)
    for kind, booster in boosters.items():
        rows = numbers.normal(size=(40, 4)).astype(np.float32)
        rows[:, [1, 3]] = rows[0, [1, 3]]
        arrays = forest_arrays([booster], shared={1, 3})
        found = np.empty(40)
        _native.Forest(arrays).mean_score(np.ascontiguousarray(rows.T), found, PROCESSORS[0])
        assert found == pytest.approx(scores(booster, rows), abs=1e-12), kind
        assert arrays["n_shared"][0] > 0 or kind == "one leaf"


def test_infinity_is_no_missing_value(boosters):
    """LightGBM splits NaN off at a threshold of infinity, which infinity itself does not exceed."""
    rows = np.array([[0, 0, 0, np.inf], [0, 0, 0, np.nan]], dtype=np.float32)
    found = mean_score([boosters["missing"]], rows)
    assert found == pytest.approx(scores(boosters["missing"], rows), abs=1e-12)
    assert found[0] != found[1]


def test_the_score_is_the_mean_over_boosters(boosters):
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    pair = [boosters["plain"], boosters["missing"]]
    expected = (scores(pair[0], rows) + scores(pair[1], rows)) / 2
    assert mean_score(pair, rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("decision_type", "expected"),
    [
        (0, Missing.NAN_IS_ZERO),
        (2, Missing.NAN_IS_ZERO),
        (4, Missing.ZERO_RIGHT),
        (6, Missing.ZERO_LEFT),
        (8, Missing.NAN_RIGHT),
        (10, Missing.NAN_LEFT),
    ],
)
def test_decision_types_are_decoded(decision_type, expected):
    """Bit 1 is the default direction, bits 2 and 3 say what is missing: nothing, zero or NaN."""
    assert Missing.of(decision_type) is expected


def test_boosters_that_are_no_sum_of_numerical_tests_are_refused():
    random = np.random.default_rng(0)
    rows, three = random.normal(size=(200, 2)).astype(np.float32), random.integers(0, 3, 200)
    several = lgb.train({"objective": "multiclass", "num_class": 3, "verbosity": -1}, lgb.Dataset(rows, three), 2)
    with pytest.raises(NotCompilableError, match="num_class"):
        forest_arrays([several])
    kinds = random.integers(0, 5, size=(200, 1))
    own = lgb.Dataset(kinds.astype(np.float32), kinds[:, 0] % 2, categorical_feature=[0], params={"verbosity": -1})
    with pytest.raises(NotCompilableError, match="feature_infos"):
        forest_arrays([lgb.train({"objective": "regression", "verbosity": -1, "min_data_per_group": 1}, own, 2)])
    with pytest.raises(NotCompilableError, match="unknown or repeated lines"):
        forest_arrays([grown({"linear_tree": True})])
    with pytest.raises(NotCompilableError, match="leaves; expected at most 32"):
        forest_arrays([grown({"num_leaves": 80, "min_data_in_leaf": 1})])
    with pytest.raises(NotCompilableError, match="average_output"):
        forest_arrays([grown({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5})])
