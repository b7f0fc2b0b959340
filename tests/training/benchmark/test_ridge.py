import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.training.benchmark.methods.logistic import cross_entropy, minimise
from router_model.training.benchmark.methods.neighbours import nearest_means
from router_model.training.benchmark.methods.ridge import ridge_path


def test_a_path_solves_the_normal_equations_of_known_rows():
    """The oracle, for each column's own rows and each penalty: centred, (X'X + a I)^-1 X'y."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), rng.normal(size=(40, 3))
    y[rng.random(y.shape) < 0.3] = np.nan
    for penalty, heads in zip((0.1, 10.0), ridge_path(x, y, (0.1, 10.0)), strict=True):
        for column in range(3):
            known = ~np.isnan(y[:, column])
            of_x, of_y = x[known], y[known, column]
            centred = of_x - of_x.mean(axis=0)
            weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(5), centred.T @ (of_y - of_y.mean()))
            assert heads.weights[:, column] == pytest.approx(weights)
            assert heads.predict(of_x)[:, column].mean() == pytest.approx(of_y.mean())


def test_a_column_without_a_known_row_is_zero():
    (heads,) = ridge_path(np.eye(3), np.full((3, 1), np.nan), (1.0,))
    assert heads.predict(np.eye(3)).tolist() == [[0.0], [0.0], [0.0]]


def test_the_slope_of_the_loss_is_its_derivative():
    rng = np.random.default_rng(1)
    scores, values = rng.normal(size=(4, 3)), rng.random((4, 3))
    values[0, 0] = np.nan
    _, slope = cross_entropy(scores, values)
    for at in ((0, 0), (2, 1)):
        step = np.zeros_like(scores)
        step[at] = 1e-6
        rise = cross_entropy(scores + step, values)[0] - cross_entropy(scores - step, values)[0]
        assert slope[at] == pytest.approx(rise / 2e-6, abs=1e-6)


def test_a_parabola_is_minimised_in_every_part():
    """(a - 3)^2 + (b + 1)^2 with a and b of different shapes."""

    def loss(parts):
        a, b = parts
        return float(((a - 3) ** 2).sum() + ((b + 1) ** 2).sum()), [2 * (a - 3), 2 * (b + 1)]

    a, b = minimise(loss, [np.zeros((2, 2)), np.zeros(3)])
    assert a == pytest.approx(np.full((2, 2), 3.0), abs=1e-3)
    assert b == pytest.approx(np.full(3, -1.0), abs=1e-3)


@given(
    arrays(np.float64, (12, 2), elements=st.sampled_from([0.0, 1.0, np.nan])),
    st.lists(st.integers(1, 15), min_size=1, max_size=3),
    st.integers(0, 5),
)
def test_nearest_means_are_those_of_a_plain_search(values, sizes, seed):
    """The oracle: sort the prompts with a known value by similarity, average the first k."""
    rng = np.random.default_rng(seed)
    vectors, queries = rng.normal(size=(12, 3)), rng.normal(size=(4, 3))
    for size, found in zip(sizes, nearest_means(queries, vectors, values, sizes), strict=True):
        for row, query in enumerate(queries):
            for column in range(2):
                known = np.flatnonzero(~np.isnan(values[:, column]))
                nearest = known[np.argsort(-(vectors[known] @ query))][:size]
                expected = values[nearest, column].mean() if len(nearest) else 0.0
                assert found[row, column] == pytest.approx(expected)
