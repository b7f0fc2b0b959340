"""Votes are corrected for the strength of the opponents."""

import json

import numpy as np
import polars as pl
import pytest

from router_model.training.importing.opponents import MIN_VOTES, corrected, strengths


def votes(*pairs, **extra):
    """Return both rows of votes ``(winner, loser, n)``."""
    rows = []
    for winner, loser, n in pairs:
        for model, opponent, quality in ((winner, loser, 1.0), (loser, winner, 0.0)):
            rows += [{"model": model, "quality": quality, "extra": json.dumps({"opponent": opponent, **extra})}] * n
    return pl.LazyFrame(rows)


def means(frame):
    return dict(frame.collect().group_by("model").agg(pl.col("quality").mean()).iter_rows())


def test_strengths_are_those_that_votes_were_drawn_from():
    true = np.array([4.0, 2.0, 1.0, 0.125])
    chances = true[:, None] / (true[:, None] + true)
    np.testing.assert_allclose(strengths(1e6 * chances), true / np.exp(np.log(true).mean()), rtol=1e-4)


def test_model_that_never_loses_has_a_finite_strength():
    assert np.isfinite(strengths(np.array([[0.0, 50.0], [0.0, 0.0]]))).all()


def test_models_that_met_their_equals_only_are_told_apart():
    """s beats t 3:1, t beats w 3:1, and s never met w: plain means put t (0.5) nearer to s (0.75) than it is."""
    frame = votes(("s", "t", 3000), ("t", "s", 1000), ("t", "w", 3000), ("w", "t", 1000))
    found = means(corrected(frame))
    assert found["t"] == pytest.approx(0.5, abs=0.01)
    assert found["s"] == pytest.approx((0.75 + 0.9) / 2, abs=0.02)  # it would win 9 of 10 against w
    assert found["w"] == pytest.approx(1 - found["s"], abs=0.01)


def test_two_models_alone_keep_their_votes():
    frame = votes(("a", "b", 300), ("b", "a", 100))
    assert corrected(frame).collect()["quality"].to_list() == frame.collect()["quality"].to_list()


@pytest.mark.parametrize(
    "frame",
    [
        votes(("a", "b", MIN_VOTES // 3), ("b", "c", MIN_VOTES // 3), ("a", "c", 1)),
        votes(("a", "b", 300), ("b", "c", 100), both_bad=True),
    ],
)
def test_few_votes_and_bad_answers_are_left_as_they_are(frame):
    assert corrected(frame).collect()["quality"].to_list() == frame.collect()["quality"].to_list()
