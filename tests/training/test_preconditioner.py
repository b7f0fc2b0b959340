"""The sketch of a kernel matrix: exact where it has all eigenvalues, and it saves products where it has the largest."""

import numpy as np
import pytest

from router_model.training.fitting.conjugate_gradients import solve
from router_model.training.fitting.preconditioner import Sketch, preconditioner

f32 = np.float32


def with_eigenvalues(values, n, seed=0):
    """Return a symmetric matrix that has these eigenvalues, and 0 for the others."""
    vectors, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, len(values))))
    return ((vectors * values) @ vectors.T).astype(f32)


def solved(sketch, right, scale, penalty):
    """Return about ``(scale K + penalty)^-1 right``."""
    beyond, excess = sketch.inverse(scale, np.array([penalty], f32))
    return beyond * right + sketch.vectors @ (excess[:, 0] * (sketch.vectors.T @ right))


def test_it_finds_the_eigenvalues_and_solves_exactly_with_all_of_them():
    """Eigenvalues 8, 4 and 1: for penalty 2 and scale 3, a right-hand side is divided by 26, 14, 5 or 2."""
    matrix = with_eigenvalues([8.0, 4.0, 1.0], 30)
    sketch = Sketch.of(matrix, rank=4)
    assert sketch.values[:4] == pytest.approx([8, 4, 1, 0], abs=0.01)
    right = np.random.default_rng(1).normal(size=30).astype(f32)
    wanted = np.linalg.solve(3 * matrix + 2 * np.eye(30), right)
    assert solved(sketch, right, 3.0, 2.0) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("matrix", [np.ones((5, 5), f32), np.eye(5, dtype=f32), np.zeros((3, 3), f32)])
def test_matrices_without_small_eigenvalues_or_without_large_ones(matrix):
    n = len(matrix)
    found = solved(Sketch.of(matrix), np.ones(n, f32), 1.0, 0.5)
    assert found == pytest.approx(np.linalg.solve(matrix + 0.5 * np.eye(n), np.ones(n)), rel=1e-3)


def test_conjugate_gradients_need_few_products_with_it():
    """Eigenvalues that fall from 1,000 to 1 and then stay: without the sketch each large one costs about a product."""
    n = 300
    matrix = with_eigenvalues(np.geomspace(1000, 1, 60), n)
    sketch, right = Sketch.of(matrix, rank=60), np.random.default_rng(2).normal(size=(n, 1)).astype(f32)
    used = []

    def product(direction):
        used.append(1)
        return matrix @ direction + f32(0.25) * direction

    def precondition(residual):
        return solved(sketch, residual[:, 0], 1.0, 0.25)[:, None]

    plain = solve(product, right, tolerance=0.001)
    n_plain = len(used)
    found = solve(product, right, tolerance=0.001, precondition=precondition)
    assert found == pytest.approx(plain, abs=0.01)
    assert len(used) - n_plain <= 10 < n_plain / 4


@pytest.mark.parametrize("sharing", [0.0, 0.4])
@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.0, 1.0, 2.0), (1.0,)])
def test_it_is_the_inverse_where_the_kernel_has_three_large_eigenvalues_and_one_other(weights, sharing):
    """The oracle: the dense system of all pairs of 40 prompts and 3 models, with and without missing ones."""
    rng = np.random.default_rng(3)
    matrix = with_eigenvalues([30.0, 8.0, 3.0], 40) + f32(0.5) * np.eye(40, dtype=f32)
    root, penalty = np.sqrt(rng.choice(weights, (40, 3, 2))).astype(f32), np.array([0.25, 2.0], f32)
    wanted = rng.normal(size=root.shape).astype(f32) * (root > 0)
    right = np.empty((120, 2), f32)
    for j in range(2):
        d = np.diag(root[:, :, j].ravel())
        system = d @ np.kron(matrix, sharing + (1 - sharing) * np.eye(3)) @ d + penalty[j] * np.eye(120)
        right[:, j] = system @ wanted[:, :, j].ravel()
    found = preconditioner(matrix, root, penalty, sharing)(right).reshape(root.shape)
    assert found == pytest.approx(wanted, abs=2e-3)
    assert not found[root == 0].any()
