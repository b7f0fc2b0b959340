import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model import similarity
from router_model.similarity import GRID_STEPS, comparer, nearest_rows, on_grid


def sparse_rows(n, n_terms, seed):
    """Return rows whose first terms are common and whose last are rare."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, n_terms)) < np.linspace(0.9, 0.01, n_terms)
    return sp.csr_array((rng.random((n, n_terms)) * present).astype(np.float32))


@pytest.mark.parametrize("n_queries", [1, 5, 100])
@pytest.mark.parametrize("max_common", [0, 3, 768])
def test_bags_are_compared_as_dense_vectors_would_be(n_queries, max_common, monkeypatch):
    monkeypatch.setattr(similarity, "_MAX_COMMON", max_common)
    bank, queries = sparse_rows(200, 40, seed=0), sparse_rows(n_queries, 40, seed=1)
    found = comparer(bank.T.tocsr(), n_queries)(queries)
    assert found.dtype == np.float32
    assert found == pytest.approx(queries.toarray() @ bank.toarray().T, abs=1e-5)


def test_a_bag_without_terms_is_like_nothing():
    bank = sparse_rows(10, 4, seed=0)
    for n_queries in (1, 64):
        assert not comparer(bank.T.tocsr(), n_queries)(sp.csr_array((n_queries, 4), dtype=np.float32)).any()


def test_an_index_without_terms_compares():
    empty = sp.csr_array((0, 3), dtype=np.float32)
    for n_queries in (1, 64):
        assert comparer(empty, n_queries)(sp.csr_array((n_queries, 0), dtype=np.float32)).shape == (n_queries, 3)


def test_dense_vectors_are_multiplied_on_the_grid():
    """0.6 is 9830.4 steps of 1/16384, and 0.8 is 13107.2."""
    found = comparer(np.eye(2, dtype=np.float32), 1)(np.array([[0.6, 0.8]], np.float32))
    assert found.tolist() == [[9830 / 16384, 13107 / 16384]]


@given(arrays(np.float32, (3, 4), elements=st.floats(-1, 1, width=32)))
def test_the_grid_is_within_half_a_step_and_keeps_what_is_on_it(vectors):
    found = on_grid(vectors)
    assert np.abs(found - vectors).max() <= 0.5 / GRID_STEPS
    assert np.array_equal(on_grid(found), found)
    assert np.array_equal(found * GRID_STEPS, np.rint(found * GRID_STEPS))


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.integers(0, 3)), st.integers(1, 12)
)
def test_nearest_rows_are_a_stable_sort(similarity, k):
    found, values = nearest_rows(similarity, k)
    k = min(k, similarity.shape[1])
    expected = np.sort(similarity, axis=1)[:, ::-1][:, :k]
    assert np.array_equal(values, expected)
    assert np.array_equal(found, np.argsort(-similarity, axis=1, kind="stable")[:, :k])
