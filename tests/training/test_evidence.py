"""Evidence of training prompts, and that of new ones, by the same path."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from router_model.errors import TrainingError
from router_model.features import SURFACE_NAMES
from router_model.features.featuriser import PromptFeatures
from router_model.features.grid import on_grid
from router_model.prediction.bars import BarGrid
from router_model.prediction.evidence import VALUE_STEPS
from router_model.prediction.kernel import Kernel
from router_model.training.fitting.evidence import EvidenceConfig, EvidenceFitter, bank_rows
from router_model.training.table.targets import Targets

f32 = np.float32
N, N_MODELS = 90, 3
CONFIG = EvidenceConfig(min_prompts_per_term=2)


def prompts(n, seed):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(n, 6)).astype(f32)
    return PromptFeatures(
        embedding=embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
        surface=rng.normal(size=(n, len(SURFACE_NAMES))).astype(f32),
        pieces=[rng.integers(0, 30, 8) for _ in range(n)],
        n_input_tokens=np.full(n, 8.0),
        n_images=np.zeros(n),
        max_output_tokens=np.full(n, np.inf),
    )


def targets(outcome, weight=None):
    grid = BarGrid(np.ones(1, f32), 0.0, 1.0, stepwise=True)
    weight = np.ones_like(outcome) if weight is None else weight
    return Targets(outcome, weight, np.full(1, 0.5, f32), grid, (), {})


@pytest.fixture
def world():
    rng = np.random.default_rng(1)
    outcome = rng.integers(0, 2, (N, N_MODELS, 1)).astype(f32)
    weight = rng.integers(0, 2, (N, N_MODELS, 1)).astype(f32)
    return prompts(N, 0), targets(outcome * weight, weight), rng.integers(0, 3, N)


@pytest.mark.parametrize("max_bank", [1000, 40])
def test_a_fold_is_predicted_as_new_prompts_are(world, max_bank):
    """A router trained on the other folds says the same of them, whether the bank keeps all prompts or some."""
    features, learned, folds = world
    fitter = EvidenceFitter.prepare(features, learned, folds, replace(CONFIG, max_bank=max_bank), folds % 2)
    found = fitter.out_of_fold(folds)
    for fold in range(3):
        inside = np.flatnonzero(folds == fold)
        served = fitter.fit_outside(folds == fold).evidence(features.take(inside))
        assert np.array_equal(found.values[inside], served.values)
        assert np.array_equal(found.record[inside], served.record)
        assert np.array_equal(found.familiarity[inside, :2], served.familiarity[:, :2])


def test_a_bank_that_is_one_kind_of_prompts_says_nothing_of_it(world):
    """All the bank's prompts are in the fold asked for: none is familiar, and the kernel leaves the record."""
    features, learned, _ = world
    config = replace(CONFIG, max_bank=5)
    folds = np.isin(np.arange(N), bank_rows(N, config)).astype(np.int64)
    found = EvidenceFitter.prepare(features, learned, folds, config).out_of_fold(folds, np.flatnonzero(folds))
    kernel = [column for column, name in enumerate(found.names) if name.startswith("kernel_")]
    assert np.all(found.familiarity[:, :2] == -1)
    assert np.array_equal(found.values[..., kernel], np.stack([on_grid(found.record, VALUE_STEPS)] * 2, axis=-1))


@pytest.mark.parametrize("seed", range(5))
def test_a_prompt_like_a_failed_one_is_predicted_below_the_record(seed):
    """Every model failed on one prompt, and did as ever on others unlike it."""
    features = prompts(N, seed)
    outcome = np.random.default_rng(seed).integers(0, 2, (N, N_MODELS, 1)).astype(f32)
    outcome[7] = 0
    config = replace(CONFIG, kernel=Kernel(embedding=20.0, bag=20.0, surface=2.0))
    model = EvidenceFitter.prepare(features, targets(outcome), np.arange(N) % 3, config).fit()
    again = model.evidence(features.take(np.array([7])))
    assert np.all(again.values[0, :, 0, -2:] < again.record[0])
    assert again.familiarity[0, :2] == pytest.approx([1, 1], abs=1e-5)


def test_the_bank_keeps_its_share_and_heads_learn_from_all(world):
    features, learned, folds = world
    few = EvidenceFitter.prepare(features, learned, folds, replace(CONFIG, max_bank=40)).fit()
    all_of_them = EvidenceFitter.prepare(features, learned, folds, CONFIG).fit()
    assert (few.bank.outcome.shape[0], few.kernel.weights.shape) == (40, (40, N_MODELS, 1, 2))
    assert np.array_equal(few.embedding.head.weights, all_of_them.embedding.head.weights)
    assert np.array_equal(few.bank.base, all_of_them.bank.base)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"kernel_penalties": (2.0, 0.5)}, r"kernel_penalties=\[2.0, 0.5\]; expected positive numbers in ascending"),
        ({"kernel_penalties": ()}, r"kernel_penalties=\[\]"),
        ({"kernel_penalties": (0.0, 1.0)}, r"kernel_penalties=\[0.0, 1.0\]"),
        ({"kernel": Kernel(bag=-1.0)}, r"embedding=2.0, bag=-1.0, surface=1.0; expected numbers from 0 to 1000"),
        ({"kernel": Kernel(surface=float("nan"))}, "surface=nan"),
        ({"head_penalties": ()}, r"head_penalties=\[\]"),
        ({"sharing": 1.0}, "sharing=1.0; expected a number from 0 to below 1"),
        ({"max_bank": 0}, "max_bank=0; expected 1 or more"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes, match):
    with pytest.raises(TrainingError, match=match):
        EvidenceConfig(**changes)


def test_what_workers_need_can_be_sent(world):
    """Products of a head's vectors are closures: a worker makes them again."""
    features, learned, folds = world
    fitter = EvidenceFitter.prepare(features, learned, folds, CONFIG)
    sent = pickle.loads(pickle.dumps(fitter))
    assert np.array_equal(sent.out_of_fold(folds).values, fitter.out_of_fold(folds).values)
