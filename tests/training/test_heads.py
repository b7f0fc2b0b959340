import numpy as np
import pytest
import scipy.sparse as sp

from router_model.prediction.evidence import Bank
from router_model.training.fitting import heads
from router_model.training.fitting.heads import Design, fit_head, solve_ridge


@pytest.mark.parametrize("as_sparse", [False, True])
def test_conjugate_gradients_solve_the_normal_equations(as_sparse):
    """The oracle: (X' W X + a I)^-1 X' W y for each output's own weights, some of them zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    y = rng.normal(size=(60, 3)).astype(np.float32)
    weight = rng.integers(0, 3, size=(60, 3)).astype(np.float32)
    found = solve_ridge(sp.csr_array(x) if as_sparse else x, y, weight, penalty=2.0, tolerance=1e-4)
    for j in range(3):
        gram = (x * weight[:, [j]]).T @ x + 2.0 * np.eye(8)
        assert found[:, j] == pytest.approx(np.linalg.solve(gram, x.T @ (weight[:, j] * y[:, j])), abs=2e-3)


def test_a_huge_penalty_leaves_the_record():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, 4)).astype(np.float32)
    outcome = rng.integers(0, 2, size=(20, 2, 1)).astype(np.float32)
    base = np.array([[0.25], [0.75]], np.float32)
    head = fit_head(Design.of(vectors), Bank(outcome, np.ones_like(outcome), base), penalty=1e9)
    assert head.score(vectors) == pytest.approx(np.tile(base, (20, 1, 1)), abs=1e-4)


def test_unknown_pairs_do_not_teach():
    """Outcomes of weight 0 may be anything: the head is the same."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 3)).astype(np.float32)
    outcome = rng.integers(0, 2, size=(30, 2, 1)).astype(np.float32)
    weight = rng.integers(0, 2, size=(30, 2, 1)).astype(np.float32)
    changed = np.where(weight > 0, outcome, 1 - outcome)
    base = np.full((2, 1), 0.5, np.float32)
    first, second = (fit_head(Design.of(vectors), Bank(o, weight, base), penalty=1.0) for o in (outcome, changed))
    assert np.allclose(first.weights, second.weights)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_few_known_pairs_give_the_heads_of_many(as_sparse, monkeypatch):
    """Each model's own prompts alone, which is faster in a log, and all prompts at once.

    Alone, the vectors of all prompts are not transposed: of a million prompts, these are a gigabyte.
    """
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(60, 3)).astype(np.float32)
    outcome = rng.normal(size=(60, 5, 2)).astype(np.float32)
    weight = np.repeat(np.eye(5, dtype=np.float32)[rng.integers(5, size=60)][:, :, None], 2, axis=2)
    bank = Bank(outcome * weight, weight, np.zeros((5, 2), np.float32))
    found, shapes = [], []
    in_blocks = heads._in_blocks
    monkeypatch.setattr(heads, "_in_blocks", lambda matrix: shapes.append(matrix.shape) or in_blocks(matrix))
    for few in (0.0, 1.0):
        monkeypatch.setattr("router_model.training.fitting.heads._FEW", few)
        monkeypatch.setattr("router_model.training.fitting.heads._TOLERANCE", 1e-4)
        found.append(fit_head(Design.of(sp.csr_array(vectors) if as_sparse else vectors), bank, penalty=1.0))
        assert ((3, 60) in shapes) == (as_sparse and few == 0.0)
        shapes.clear()
    assert np.allclose(found[0].weights, found[1].weights, atol=1e-3)
    assert np.allclose(found[0].bias, found[1].bias, atol=1e-3)
