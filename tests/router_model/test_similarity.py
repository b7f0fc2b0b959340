import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.features.grid import GRID_STEPS
from router_model.prediction import similarity
from router_model.prediction.similarity import comparer, nearest_rows, on_grid

pytestmark = pytest.mark.processor


def sparse_rows(n, n_terms, seed):
    """Return rows whose first terms are common and whose last are rare."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, n_terms)) < np.linspace(0.9, 0.01, n_terms)
    rows = (rng.random((n, n_terms)) * present).astype(np.float32)
    return on_grid(sp.csr_array(rows / np.linalg.norm(rows, axis=1, keepdims=True)))


@pytest.mark.parametrize("n_queries", [1, 5, 100])
@pytest.mark.parametrize("max_common", [0, 3, 768])
def test_bags_are_compared_as_dense_vectors_would_be(n_queries, max_common, monkeypatch):
    monkeypatch.setattr(similarity, "_MAX_COMMON", max_common)
    bank, queries = sparse_rows(200, 40, seed=0), sparse_rows(n_queries, 40, seed=1)
    found = comparer(bank.T.tocsr(), n_queries)(queries)
    assert np.array_equal(found, queries.toarray().astype(float) @ bank.toarray().T.astype(float))


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


@pytest.mark.parametrize("n_queries", [1, 3])
@pytest.mark.parametrize("dimension", [2, 256, 4096])
def test_dense_products_are_those_of_integers(n_queries, dimension):
    """Of the longest vectors there are, and of those whose entries have the most to be left over of."""
    rng = np.random.default_rng(dimension)
    queries, bank = rng.normal(size=(2, 40, dimension))
    bank[:2] = queries[:2]
    queries[1], bank[2] = (np.full(dimension, 1.49 * 2**-10), np.ones(dimension))
    queries, bank = (
        on_grid((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)) for rows in (queries, bank)
    )
    found = comparer(np.ascontiguousarray(bank.T), n_queries)(queries[:n_queries])
    first, second = (np.rint(rows * GRID_STEPS).astype(np.int64) for rows in (queries[:n_queries], bank))
    assert np.array_equal(found * GRID_STEPS**2, first @ second.T)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.integers(0, 3)), st.integers(1, 12)
)
def test_nearest_rows_are_a_stable_sort(similarity, k):
    found, values = nearest_rows(similarity, k)
    k = min(k, similarity.shape[1])
    expected = np.sort(similarity, axis=1)[:, ::-1][:, :k]
    assert np.array_equal(values, expected)
    assert np.array_equal(found, np.argsort(-similarity, axis=1, kind="stable")[:, :k])
