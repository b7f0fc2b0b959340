"""Nearest texts, beside comparing every two."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.near_duplicates import weighted_sets
from router_model.training.near_duplicates.shingles import normalised, shingle_sets
from router_model.training.near_duplicates.weighted_sets import WeightedSets

WORDS = ["add", "the", "number", "seven", "to", "a", "sum", "of", "eleven", "rivers", "12", "13", "?", "数学"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=25, unique_by=normalised)


def brute_force(texts, threshold):
    """The plain reference: every text with every earlier one, by Python sets and dictionaries."""
    matrix = shingle_sets(texts)
    sets = [set(matrix.indices[a:b].tolist()) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
    frequency = {x: sum(x in found for found in sets) for x in set().union(*sets)}
    weight = {x: np.log(1 + len(texts) / max(m - 1, 1)) ** 2 for x, m in frequency.items()}
    nearest = []
    for i, own in enumerate(sets):
        best, alike = -1, 0.0
        for j, other in enumerate(sets[:i]):
            both, either = (sum(weight[x] for x in found) for found in (own & other, own | other))
            if either and both / either >= threshold - 1e-9 and both / either > alike + 1e-9:
                best, alike = j, both / either
        nearest.append((best, alike))
    return nearest


def nearest(texts, threshold, rows=None, among=None):
    everything = np.arange(len(texts))
    rows, among = (everything if given is None else np.array(given, dtype=np.intp) for given in (rows, among))
    return WeightedSets.of(texts).nearest_before(rows, among, threshold)


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_nearest_is_that_of_comparing_all(texts, threshold):
    texts = [normalised(text) for text in texts]
    found, similarity = nearest(texts, threshold)
    expected = brute_force(texts, threshold)
    assert similarity == pytest.approx([alike for _, alike in expected])
    assert [(i >= 0) for i in found] == [(i >= 0) for i, _ in expected]


def test_similarity_by_hand():
    """Shingles abcde bcdef, abcde bcdeg, abcde: n = 3.

    One in all three weighs log(1 + 3/2)^2 = 0.8396, one in a single text log(1 + 3/1)^2 = 1.9218. The first two share
    0.8396 of 0.8396 + 2 x 1.9218; the first and the third 0.8396 of 0.8396 + 1.9218.
    """
    sets = WeightedSets.of(["abcdef", "abcdeg", "abcde"])
    assert sets.similarity(np.array([0, 1, 0]), np.array([1, 0, 2])) == pytest.approx(
        [0.1793, 0.1793, 0.3040], abs=1e-4
    )


def test_what_two_share_counts_like_what_one_has():
    """abcde is in both, bcdef and bcdeg in one each: a plain Jaccard index of 1/3, whatever other texts there are."""
    for n_others in (0, 10, 100):
        sets = WeightedSets.of(["abcdef", "abcdeg", *(f"{i:05}" for i in range(n_others))])
        assert sets.similarity(np.array([0]), np.array([1])) == pytest.approx([1 / 3])


def test_a_template_is_not_similarity_but_a_shared_question_is():
    template = "answer the following multiple choice question and explain step by step why it is right: "
    questions = [f"{word} {word[::-1]} {word.upper()}" for word in ("river", "garden", "planet", "violin", "copper")]
    texts = [normalised(template + question) for question in questions]
    found, _ = nearest([*texts, texts[0] + " please"], 0.5)
    assert found.tolist() == [-1, -1, -1, -1, -1, 0]


def test_only_earlier_ones_among_the_given_count():
    texts = ["a long enough sentence", "a long enough sentence!", "a long enough sentence?"]
    assert nearest(texts, 0.5)[0].tolist() == [-1, 0, 0]
    assert nearest(texts, 0.5, rows=[0, 2], among=[1])[0].tolist() == [-1, 1]


@pytest.mark.parametrize("texts", [[], [""], ["", "x"]])
def test_what_has_no_shingles_is_near_nothing(texts):
    assert nearest(texts, 0.1)[0].tolist() == [-1] * len(texts)


def test_blocks_of_texts_give_the_same_pairs(monkeypatch):
    texts = [f"{'the sum of the number seven and a river'[: 10 + i]} {i % 4}" for i in range(25)]
    whole = nearest(texts, 0.3)
    monkeypatch.setattr(weighted_sets, "_TEXTS_AT_ONCE", 7)
    assert [found.tolist() for found in nearest(texts, 0.3)] == [found.tolist() for found in whole]
    assert (whole[0] >= 0).sum() > 10


def test_limits_keep_a_twin_in_a_table_of_one_template(monkeypatch):
    monkeypatch.setattr(weighted_sets, "MOST_SHARING", 3)
    monkeypatch.setattr(weighted_sets, "MOST_COMPARED", 2)
    texts = [f"the one sentence that all of these prompts have in common, number {i}" for i in range(50)]
    found, similarity = nearest(texts, 0.5)
    assert (found[1:] >= 0).all()
    assert (similarity[1:] >= 0.5).all()
