import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.evidence import PRIOR_WEIGHT, Bank, LinearHead, Neighbourhood, nearest_rows

BANK_VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)


def bank(success, weight=None):
    success = np.asarray(success, dtype=np.float32)[:, :, None]
    weight = np.ones_like(success) if weight is None else np.asarray(weight, np.float32)[:, :, None]
    return Bank(success, weight, np.full((success.shape[1], 1), 0.5, np.float32))


def test_one_neighbour_shrinks_to_the_record():
    """The nearest succeeded; with one pseudo-observation of 0.5 its mean is (1 + 0.5) / 2."""
    near = Neighbourhood.of(BANK_VECTORS, sizes=(1,), sharpness=5.0)
    values, familiarity = near.mean_outcome(np.array([[1, 0]], np.float32), bank([[1], [0], [0]]))
    assert values[0].ravel() == pytest.approx([(1 + 0.5 * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)])
    assert familiarity == pytest.approx([1.0])


def test_kernel_weighs_by_similarity():
    """Similarities 1, 0.6, 0 and sharpness ln 2 / 0.4: weights 1, 1/2, 2^-2.5; only the second succeeded."""
    near = Neighbourhood.of(BANK_VECTORS, sizes=(3,), sharpness=np.log(2) / 0.4)
    values, _ = near.mean_outcome(np.array([[1, 0]], np.float32), bank([[0], [0], [1]]))
    assert values[0].item() == pytest.approx((0.5 + 0.5) / (1 + 0.5 + 2**-2.5 + 1), rel=1e-5)


def test_unknown_outcomes_count_nothing():
    """The first model's only known outcome is the farthest prompt's failure; the second has none at all."""
    near = Neighbourhood.of(BANK_VECTORS, sizes=(3,), sharpness=0.0)
    values, _ = near.mean_outcome(
        np.array([[1, 0]], np.float32), bank([[0, 0], [0, 0], [0, 0]], weight=[[0, 0], [1, 0], [0, 0]])
    )
    assert values[0].ravel() == pytest.approx([0.5 / 2, 0.5])


def test_sparse_and_dense_vectors_agree():
    queries = np.array([[0.8, 0.6], [0, 1]], np.float32)
    outcomes = bank([[1, 0], [0, 1], [1, 1]])
    dense = Neighbourhood.of(BANK_VECTORS, (1, 2), 3.0).mean_outcome(queries, outcomes)
    sparse = Neighbourhood.of(sp.csr_array(BANK_VECTORS), (1, 2), 3.0).mean_outcome(sp.csr_array(queries), outcomes)
    assert np.allclose(dense[0], sparse[0])
    assert np.allclose(dense[1], sparse[1])


def test_more_neighbours_than_prompts_are_all_of_them():
    near = Neighbourhood.of(BANK_VECTORS, sizes=(50,), sharpness=0.0)
    values, _ = near.mean_outcome(np.array([[1, 0]], np.float32), bank([[1], [1], [0]]))
    assert values[0].item() == pytest.approx((2 + 0.5) / (3 + 1))


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.integers(0, 3)), st.integers(1, 12)
)
def test_nearest_rows_are_a_stable_sort(similarity, k):
    found, values = nearest_rows(similarity, k)
    k = min(k, similarity.shape[1])
    expected = np.sort(similarity, axis=1)[:, ::-1][:, :k]
    assert np.array_equal(values, expected)
    assert np.array_equal(found, np.argsort(-similarity, axis=1, kind="stable")[:, :k])


def test_a_head_is_affine():
    """3 * 0.25 + 0.5."""
    head = LinearHead(np.full((1, 1, 1), 0.25, np.float32), np.full((1, 1), 0.5, np.float32))
    assert head.score(np.array([[3.0]], np.float32)).item() == 1.25
