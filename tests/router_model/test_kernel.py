import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from router_model.features.grid import on_grid
from router_model.prediction.kernel import (
    EXP_HIGH,
    EXP_LOW,
    EXPONENT_STEPS,
    FORM_STEPS,
    KERNEL_STEPS,
    Kernel,
    KernelHead,
    SurfaceScale,
    by_feature,
    exact_product,
    sparse_product,
    steps_of,
)

pytestmark = pytest.mark.processor

f32 = np.float32
STEP = 1 / KERNEL_STEPS


def similarity(*values):
    return np.array([values], float)


def test_the_kernel_of_two_prompts_by_hand():
    """4 (0.5 - 1) + 2 (0.75 - 1) - 1 * ((1 - 0)^2 + (0 - 1)^2) / 2 = -3.5; form is over the root of two already."""
    form, logged = (on_grid(np.array([row], f32) / np.sqrt(f32(2)), FORM_STEPS) for row in ([1, 0], [0, 1]))
    found = Kernel(4.0, 2.0, 1.0).of(similarity(0.5), similarity(0.75), form, by_feature(logged))
    assert found.item() == pytest.approx(np.exp(-2 - 0.5 - 0.5), rel=1e-3)  # of the grid of forms


def test_a_prompt_has_kernel_one_with_itself():
    form = on_grid(np.array([[0.3, -0.2, 0.9]], f32), FORM_STEPS)
    assert Kernel().of(similarity(1), similarity(1), form, by_feature(form)).item() == 1


@given(arrays(f32, (4, 3), elements=st.integers(-1700, 1700).map(lambda n: n / 1024)), st.floats(0, 8), st.floats(0, 8))
def test_the_kernel_is_a_product_of_three(surface, sharp, surface_sharp):
    """Against the formula, a pair at a time."""
    rng = np.random.default_rng(0)
    topic, wording = rng.uniform(-1, 1, (2, 4, 4))
    kernel = Kernel(sharp, 2.0, surface_sharp)
    found = kernel.of(topic.copy(), wording.copy(), surface, by_feature(surface))
    for i, j in np.ndindex(4, 4):
        distance = ((surface[i].astype(float) - surface[j]) ** 2).sum()
        wanted = (
            np.exp(sharp * (topic[i, j] - 1)) * np.exp(2 * (wording[i, j] - 1)) * np.exp(-surface_sharp * distance / 2)
        )
        assert found[i, j] == pytest.approx(wanted, rel=3e-5, abs=STEP)


def test_surface_is_standardised_and_clipped():
    """Means 2 and 5, deviations 1 and 0: 3 is one up, 100 is clipped at three, a constant left out; by root two."""
    scale = SurfaceScale.of(np.array([[1, 5], [3, 5]], f32))
    form = scale.form(np.array([[3, 5], [100, 4.9]], f32)) * np.sqrt(f32(2))
    assert form == pytest.approx(np.array([[1, 0], [3, 0]], f32), abs=1 / FORM_STEPS)


def test_a_constant_feature_tells_nothing_apart():
    """Three digits do not add up in float32; the mean of a constant is the constant all the same."""
    surface = np.full((7001, 1), 3.3, f32)
    assert np.all(SurfaceScale.of(surface).form(surface) == 0)


def head_of(weights):
    """Weights of two logged prompts, under two penalties, of one model and target."""
    return KernelHead(
        kernel=Kernel(4.0, 2.0, 1.0),
        scale=SurfaceScale(np.zeros(1, f32), np.ones(1, f32)),
        logged_form=by_feature(np.zeros((2, 1), f32)),
        penalties=(0.5, 2.0),
        weights=np.array(weights, f32).reshape(2, 1, 1, 2),
    )


def test_a_score_is_the_kernel_times_the_weights():
    """Kernels 1 and e^-4 with two logged prompts, weights 0.5 and -1 under one penalty, 0 and 2 under the other."""
    head = head_of([[0.5, 0], [-1, 2]])
    found = head.deviations(head.values(similarity(1, 0), similarity(1, 1), np.zeros((1, 1), f32)))
    assert found.shape == (1, 1, 1, 2)
    assert found.ravel() == pytest.approx([0.5 - np.exp(-4), 2 * np.exp(-4)], abs=2 * STEP)
    assert head.names == ("kernel_0.5", "kernel_2")


@given(arrays(f32, (2, 2), elements=st.floats(-1e6, 1e6, width=32)))
@example(np.array([[0, 1], [1e-40, -1]], f32))
def test_weights_are_integers_of_16_bits_in_steps(weights):
    """Each is moved by half a step at most, a step is at most 1/16,383 of the largest, and again nothing moves."""
    rounded = head_of(weights).weights.reshape(2, 2)
    step = steps_of(rounded)
    assert np.all(rounded / step == np.rint(rounded / step))
    assert np.all(np.abs(rounded / step) <= 2**15 - 1)
    assert np.all(np.abs(rounded - weights) <= step / 2)
    largest = np.abs(weights).max(axis=0)
    assert np.all((step <= largest / 16_383) | (largest < 1e-30))
    assert np.array_equal(head_of(rounded).weights.reshape(2, 2), rounded)


def test_no_exponential_of_the_tables_is_near_the_middle_of_two_steps():
    """Else libraries that differ in the last bits would round it to different ones."""
    for table, step, scale in ((EXP_LOW, 1, 1), (EXP_HIGH, len(EXP_LOW), KERNEL_STEPS)):
        exact = np.exp(-np.arange(len(table)) * step / EXPONENT_STEPS) * 2**26
        assert np.abs(exact % 1 - 0.5).min() > 1e-6
        assert np.array_equal(table / scale * 2**26, np.rint(exact))


@given(st.floats(-100, 1))
@example(0.0)
@example(-16.0)
@example(-1e300)
def test_a_kernel_value_is_an_exponential_in_steps(exponent):
    """Numbers above 0, which rounded cosines give, count as 0; far below -16 nothing is left."""
    nothing = np.zeros((1, 1), f32)
    found = Kernel(1.0, 0.0, 0.0).of(similarity(1 + exponent), similarity(0), nothing, by_feature(nothing)).item()
    assert found * KERNEL_STEPS == round(found * KERNEL_STEPS)
    assert found == pytest.approx(np.exp(min(exponent, 0)), rel=3e-5, abs=STEP)


@pytest.mark.parametrize("shape", [(3, 4), (5000, 60), (2, 0)])
def test_products_of_numbers_on_grids_are_those_of_integers(shape):
    rng = np.random.default_rng(0)
    left, right = rng.integers(-(2**20), 2**20, (2, shape[0])), rng.integers(-(2**15), 2**15, shape)
    for product, rows in ((exact_product, left), (sparse_product, sp.csr_array(left))):
        found = product(rows.astype(f32), right.astype(f32))
        assert np.array_equal(found, left @ right)
