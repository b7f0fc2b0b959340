import numpy as np
import pytest

from router_model.prediction.compiled.bank_sums import weighted_rows

pytestmark = pytest.mark.processor


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 11])
@pytest.mark.parametrize("n_columns", [1, 7, 64])
@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_it_is_a_product_with_some_rows(n, n_columns, kind):
    random = np.random.default_rng(n)
    matrix = random.integers(-(2**15), 2**15, (12, n_columns)).astype(kind)
    values, rows = random.integers(0, 2**20, n).astype(float), random.permutation(12)[:n]
    assert np.array_equal(weighted_rows(values, rows, matrix), values @ matrix[rows].astype(float))


def test_rows_may_come_again():
    """Twice row 0 and once row 1: 2 (1, 2) + 3 (10, 20)."""
    matrix = np.array([[1, 2], [10, 20]], dtype=np.float32)
    assert weighted_rows(np.array([1.0, 1.0, 3.0]), np.array([0, 0, 1]), matrix).tolist() == [32, 64]
