import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import BagVocabulary, load_encoder
from router_model.features.word_pieces import tokenise
from router_model.prediction.evidence import Bank
from router_model.prediction.kernel import Kernel, by_feature
from router_model.training.fitting.kernel import fit_weights, kernel_matrix

f32 = np.float32
EXACT = 1e-5


def logged(seed, n, *, n_models=2):
    """Draw unit vectors of two spaces, forms, outcomes, and weights of which a third is 0."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2, n, 5)).astype(f32)
    embedding, bags = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    outcome = rng.integers(0, 2, (n, n_models, 1)).astype(f32)
    weight = rng.integers(0, 3, (n, n_models, 1)).astype(f32)
    bank = Bank(np.where(weight > 0, outcome, 0), weight, np.full((n_models, 1), 0.5, f32))
    return embedding, sp.csr_array(bags), by_feature(rng.normal(size=(n, 3)).astype(f32) / 2), bank


def test_two_prompts_by_hand():
    """Kernel 1/2 between them, penalty 1, outcomes +-1/2 off the record: (K + 1) alpha = y is solved by +-1/3."""
    matrix = np.array([[1, 0.5], [0.5, 1]], f32)
    outcome = np.array([1, 0], f32).reshape(2, 1, 1)
    bank = Bank(outcome, np.ones_like(outcome), np.full((1, 1), 0.5, f32))
    assert fit_weights(matrix, bank, [1.0]).ravel() == pytest.approx([1 / 3, -1 / 3])


def test_a_missing_outcome_has_no_weight():
    """One known outcome, 1/2 over the record: (1 + penalty) alpha = 1/2."""
    matrix = np.array([[1, 0.5], [0.5, 1]], f32)
    bank = Bank(
        np.array([1, 0], f32).reshape(2, 1, 1), np.array([1, 0], f32).reshape(2, 1, 1), np.full((1, 1), 0.5, f32)
    )
    found = fit_weights(matrix, bank, [1.0, 4.0])
    assert found[0].ravel() == pytest.approx([1 / 4, 1 / 10])
    assert found[1].ravel() == pytest.approx([0, 0])


def test_a_model_learns_from_anothers_outcome():
    """One prompt, one known outcome, 1/2 over the record: (1 + penalty) alpha = 1/2; the other model gets a share."""
    matrix = np.ones((1, 1), f32)
    bank = Bank(np.array([[[1], [0]]], f32), np.array([[[1], [0]]], f32), np.full((2, 1), 0.5, f32))
    assert fit_weights(matrix, bank, [1.0], sharing=0.4).ravel() == pytest.approx([1 / 4, 0.4 / 4])


@given(st.integers(0, 50), st.floats(0.1, 0.9))
def test_shared_weights_solve_the_dense_problem_of_all_pairs(seed, sharing):
    """The oracle: (W (K (x) B) + penalty) alpha = W y over pairs of prompts and models, and B alpha as weights."""
    embedding, bags, forms, bank = logged(seed, 30)
    matrix = kernel_matrix(Kernel(), embedding, bags, forms)
    found = fit_weights(matrix, bank, [2.0], sharing=sharing, tolerance=EXACT)
    between = sharing + (1 - sharing) * np.eye(2)
    weight, y = bank.weight.ravel().astype(float), bank.outcome.ravel() - 0.5
    alpha = np.linalg.solve(weight[:, None] * np.kron(matrix, between) + 2 * np.eye(60), weight * y)
    assert found[:, :, 0, 0] == pytest.approx(alpha.reshape(30, 2) @ between, abs=1e-3)


@given(st.integers(0, 50))
def test_weights_solve_the_dense_problem_of_every_output(seed):
    """The oracle: (W K + penalty) alpha = W y, for each output's own weights."""
    embedding, bags, forms, bank = logged(seed, 40)
    matrix = kernel_matrix(Kernel(), embedding, bags, forms)
    found = fit_weights(matrix, bank, [0.5, 2.0], tolerance=EXACT)
    for model in range(2):
        weight, y = bank.weight[:, model, 0], bank.outcome[:, model, 0] - 0.5
        for column, penalty in enumerate([0.5, 2.0]):
            wanted = np.linalg.solve(weight[:, None].astype(float) * matrix + penalty * np.eye(40), weight * y)
            assert found[:, model, 0, column] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("n", [30, 100])
def test_prompts_of_one_template_are_fitted(n):
    """They are nearly the same, so rounding makes the smallest eigenvalues of their kernel less than 0."""
    page = " ".join(f"paragraph {i} of the manual" for i in range(150))
    batch = tokenise([f"Ticket {100_000 + 7919 * i}. {page}" for i in range(n)])
    embedding = load_encoder("static").encode(batch)
    bags = BagVocabulary.fit(batch.pieces, min_prompts=5, max_terms=10_000).transform(batch.pieces).vectors
    matrix = kernel_matrix(Kernel(), embedding, bags, by_feature(np.zeros((n, 3), f32)))
    assert np.linalg.eigvalsh(matrix.astype(float))[0] < 0
    outcome = np.random.default_rng(0).integers(0, 2, (n, 3, 1)).astype(f32)
    bank = Bank(outcome, np.ones_like(outcome), np.full((3, 1), 0.5, f32))
    for penalties in ([0.25, 2.0], [1e-6]):
        assert np.isfinite(fit_weights(matrix, bank, penalties, sharing=0.4)).all()


@pytest.mark.parametrize("n", [3, 70, 600])
def test_the_matrix_is_that_of_pairs(n):
    """Few, and enough to be compared in two parts and several chunks; symmetric, 1 on its diagonal but for the grid."""
    embedding, bags, forms, _ = logged(0, n)
    matrix = kernel_matrix(Kernel(4.0, 2.0, 1.0), embedding, bags, forms)
    words, form = bags.toarray(), forms[:-1].T
    distance = ((form[:, None] - form[None]) ** 2).sum(axis=2)
    wanted = np.exp(4 * (embedding @ embedding.T - 1) + 2 * (words @ words.T - 1) - distance / 2)
    np.testing.assert_allclose(matrix, wanted, rtol=1e-3, atol=1e-6)
    assert np.diag(matrix) == pytest.approx(np.ones(n), rel=1e-3)


@given(st.integers(0, 50), st.floats(0.1, 10))
def test_a_failure_never_speaks_for_the_model(seed, penalty):
    """Whatever the others made of it: a prompt's score is higher had the model succeeded on the very prompt."""
    embedding, bags, forms, bank = logged(seed, 20)
    matrix = kernel_matrix(Kernel(), embedding, bags, forms)
    scores = []
    for success in (0, 1):
        outcome, weight = bank.outcome.copy(), bank.weight.copy()
        outcome[0], weight[0] = success, 1
        weights = fit_weights(matrix, Bank(outcome, weight, bank.base), [penalty], tolerance=EXACT)
        scores.append(np.tensordot(matrix[0], weights, 1)[:, 0, 0])
    assert np.all(scores[0] < scores[1])
