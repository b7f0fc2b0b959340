"""Worlds of 3 prompts and 2 models, worked by hand."""

import numpy as np
import pytest
from small_world import small_world

from router_model.errors import RequestError
from router_model.serving.simulation.world import (
    PriceChange,
    QualityChange,
    Redirect,
    Retirement,
    TaskChange,
    World,
    phases_of,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"quality": np.full((3, 2), np.nan)}, "has to know every quality and every cost"),
        ({"cost_usd": np.ones((2, 3))}, r"got 3 prompts, 3 tasks, 2 models and matrices of the shapes \[\(2, 3\)"),
        ({"tasks": []}, "got 3 prompts, 0 tasks"),
    ],
)
def test_a_world_that_is_not_complete_is_refused(other, match):
    with pytest.raises(RequestError, match=match):
        small_world(**other)


def test_a_fall_of_quality_makes_right_answers_wrong():
    """2 of 3 answers of ``dear`` are right; a third less leaves one. A third more is all of them."""
    world = small_world()
    fallen = QualityChange(0.5, "dear", -1 / 3).apply(world, RNG).quality
    assert fallen[:, 1].sum() == 1
    assert (fallen <= world.quality).all()
    risen = QualityChange(0.5, "dear", 1 / 3).apply(world, RNG).quality
    assert risen[:, 1].tolist() == [1, 1, 1]
    assert (fallen[:, 0] == world.quality[:, 0]).all()


def test_graded_quality_falls_by_as_much():
    """Of 200 answers with a mean of 0.6, as many become 0 as take the mean to 0.4, within half of one answer."""
    quality = np.random.default_rng(1).uniform(0.4, 0.8, size=(200, 1))
    unknown = np.full((200, 1), np.nan)
    world = World(["x"] * 200, [""] * 200, ("m",), quality, quality, unknown, unknown, unknown)
    fallen = QualityChange(0.5, "m", -0.2).apply(world, RNG).quality
    assert fallen.mean() - quality.mean() == pytest.approx(-0.2, abs=0.4 / 200)


def test_prices_retirement_and_redirect():
    """``dear`` at half its price; ``cheap`` answered by it is billed as it is; retired, it brings nothing."""
    world = small_world()
    cheaper = PriceChange(0.5, "dear", 0.5).apply(world, RNG)
    assert cheaper.called(cheaper.cost_usd).tolist() == [[1, 5]] * 3
    redirected = Redirect(0.5, "cheap", "dear").apply(cheaper, RNG)
    assert redirected.called(redirected.cost_usd).tolist() == [[5, 5]] * 3
    assert redirected.called(redirected.quality).tolist() == [[1, 1], [1, 1], [0, 0]]
    gone = Retirement(0.5, "dear").apply(redirected, RNG)
    assert gone.called(gone.quality).tolist() == [[1, 0], [1, 0], [0, 0]]  # the other name still has its answers
    assert gone.called(gone.cost_usd).tolist() == [[5, 0]] * 3


def test_phases_begin_where_something_changes():
    changes = [
        Retirement(0.75, "cheap"),
        TaskChange(0.5, "verse", 0.0),
        PriceChange(0.5, "dear", 2.0),
        TaskChange(0, "sums", 3.0),
    ]
    phases = phases_of(small_world(), changes, 100, RNG)
    assert [(one.first, one.changes) for one in phases] == [
        (0, ("task sums x 3",)),
        (50, ("task verse x 0", "price of dear x 2")),
        (75, ("cheap retired",)),
    ]
    assert [one.world.weights.tolist() for one in phases] == [[3, 3, 1], [3, 3, 0], [3, 3, 0]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (QualityChange(0.5, "cheap", -0.5), r"quality of cheap is 0.333, so it cannot change by -0.5; expected -0.333"),
        (QualityChange(0.5, "big", -0.5), "no model 'big' in this world; it has cheap, dear"),
        (PriceChange(0.5, "dear", -1), "by a factor of -1; expected 0 or more"),
        (TaskChange(0.5, "prose", 2), "no task 'prose' in this world; it has sums, verse"),
        (TaskChange(0.5, "verse", -2), "'verse' by a factor of -2; expected 0 or more"),
        (Retirement(1.0, "dear"), "got the time 1; expected a share of the requests, from 0 to 1"),
        (Redirect(0.5, "dear", "big"), "no model 'big'"),
    ],
)
def test_what_cannot_happen_is_refused(change, match):
    with pytest.raises(RequestError, match=match):
        phases_of(small_world(), [change], 100, RNG)
