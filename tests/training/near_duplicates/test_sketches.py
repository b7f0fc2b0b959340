"""Near duplicates of training prompts, recognised by sketches."""

import numpy as np
import pytest

from router_model.saved.text_sketches import EMPTY, N_BINS, TextSketches
from router_model.training.near_duplicates.sketches import add_sketches, near_sketched, sketch

WORDS = ["river", "garden", "planet", "violin", "copper", "window", "teacher", "bicycle", "orange", "castle"]
TEMPLATE = "answer the following multiple choice question and explain step by step why your choice is right: "


def question(seed):
    rng = np.random.default_rng(seed)
    return " ".join(f"{rng.choice(WORDS)}{rng.integers(10**6)}" for _ in range(15))


LOGGED = [TEMPLATE + question(seed) for seed in range(100)]


@pytest.mark.parametrize(
    ("prompt", "is_near"),
    [
        (LOGGED[3], True),
        (LOGGED[3].upper() + " Thanks.", True),
        (f"Please {LOGGED[3]}", True),
        ([{"role": "user", "content": LOGGED[3] + "!"}], True),
        (TEMPLATE + question(1000), False),
        (LOGGED[3].rsplit(" ", 8)[0] + question(5)[:70], False),
        ("hello", False),
        ("", False),
    ],
    ids=["copy", "upper case and a word", "a word before", "as messages", "template", "half of it", "short", "empty"],
)
def test_near_duplicates_are_found(prompt, is_near):
    assert near_sketched(sketch(LOGGED), [question(7777), prompt]).tolist() == [False, is_near]


def test_added_prompts_are_found_too():
    known = add_sketches(sketch(LOGGED), [TEMPLATE + question(500)])
    assert near_sketched(known, [TEMPLATE + question(500) + " ok", TEMPLATE + question(501)]).tolist() == [True, False]


def test_without_sketches_nothing_is_near():
    assert near_sketched(sketch([]), LOGGED[:2]).tolist() == [False, False]


@pytest.mark.parametrize(
    "changed",
    [
        {"sketches.minima": np.zeros((2, N_BINS - 1), np.uint16)},
        {"sketches.minima": np.zeros((2, N_BINS), np.uint32)},
        {"sketches.common": np.array([2, 1], np.uint64)},
        {"sketches.common": None},
    ],
)
def test_wrong_sketches_are_refused(changed):
    arrays = {**sketch(LOGGED).arrays(), **changed}
    with pytest.raises(ValueError, match="sketches|shingles"):
        TextSketches.pop({name: array for name, array in arrays.items() if array is not None})


def test_an_older_router_has_none():
    assert TextSketches.pop({}) is None
    assert sketch([""]).minima.tolist() == [[EMPTY] * N_BINS]


def test_sketches_in_parts_are_the_same(monkeypatch):
    whole = sketch(LOGGED)
    monkeypatch.setattr("router_model.training.near_duplicates.sketches._ROWS_AT_ONCE", 7)
    assert np.array_equal(sketch(LOGGED).minima, whole.minima)
    monkeypatch.setattr("router_model.training.near_duplicates.sketches.COMMON_OF", 30)
    of_some = sketch(LOGGED)
    assert near_sketched(of_some, [LOGGED[3] + " Thanks.", TEMPLATE + question(1000)]).tolist() == [True, False]
