"""Which models are worth asking further."""

import numpy as np
import pytest

from router_model.errors import TrainingError
from router_model.training.contenders import MIN_GRADES, Contenders

MODELS = ("cheap", "middle", "dear", "dear and worse")
LEVEL, COST = np.array([0.6, 0.75, 0.9, 0.5]), np.array([0.001, 0.004, 0.02, 0.03])


def graded(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return qualities whose means are the levels, and costs."""
    quality = (np.arange(n)[:, None] < n * LEVEL).astype(float)
    return quality, np.tile(COST, (n, 1))


def test_a_model_that_is_dearer_and_worse_is_no_contender() -> None:
    found = Contenders.of(MODELS, *graded(200), seed=0)
    assert found.worth_asking == ("cheap", "middle", "dear")
    assert found.share.sum() == pytest.approx(1)


def test_a_model_is_not_left_out_for_a_few_grades() -> None:
    quality, cost = graded(200)
    quality[MIN_GRADES - 1 :, 3] = np.nan
    found = Contenders.of(MODELS, quality, cost, seed=0)
    assert found.n_graded.tolist() == [200, 200, 200, MIN_GRADES - 1]
    assert found.worth_asking == MODELS


def test_few_grades_leave_more_models_in() -> None:
    few, many = (Contenders.of(MODELS, *graded(n), seed=0).share[3] for n in (4, 1000))
    assert many < few / 2


def test_free_models_compete_by_quality_and_a_model_without_costs_counts_as_the_dearest() -> None:
    quality, cost = graded(200)
    free = Contenders.of(MODELS, quality, cost * 0, seed=0)
    assert np.argmax(free.share) == 2
    assert "cheap" not in free.worth_asking
    cost[:, 1] = np.nan
    assert "middle" in Contenders.of(MODELS, quality, cost, seed=0).worth_asking
    with pytest.raises(TrainingError, match="no answer has a cost"):
        Contenders.of(MODELS, quality, np.full_like(cost, np.nan), seed=0)
