"""Shingles: what two texts have in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.near_duplicates.shingles import SHINGLE_CHARS, normalised, shingle_sets


def plain_sets(texts):
    """The plain reference for texts without option labels: Python sets of character windows."""
    joined = [text.replace(" ", "").replace("\0", "") for text in texts]
    return [
        {text[i : i + SHINGLE_CHARS] for i in range(len(text) - SHINGLE_CHARS + 1)} or ({text} if text else set())
        for text in joined
    ]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("What IS it?", "what is it?"),
        ("  what\tis\r\n\n it? ", "what is it?"),
        ("\ufb01ve \uff28\uff12\uff2f", "five h2o"),
        ("STRASSE", "straße"),
        ("e\u0301tude", "étude"),
        ("", " \n\t\u3000 "),
    ],
)
def test_trivial_edits_are_the_same_text(text, same):
    assert normalised(text) == normalised(same)


@given(st.text())
def test_normalising_again_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)


@given(st.lists(st.text(alphabet="abcdeqrs \0数学ไทย\U0001f600", max_size=30), max_size=8))
def test_sets_are_those_of_plain_windows(texts):
    """Letters from "q" on and no ".", ")" or ":", so that nothing is taken for an option's label."""
    texts = [normalised(text) for text in texts]
    found, expected = shingle_sets(texts), plain_sets(texts)
    shared = (found @ found.T).toarray()
    assert shared.tolist() == [[len(first & second) for second in expected] for first in expected]


@pytest.mark.parametrize("alphabet", ["abcdefghijklmnopqrstuvwxyz", "数学是研究数量结构变化空间以及信息等概念"])
def test_different_shingles_have_different_hashes(alphabet):
    """Letters at random, so that nearly all shingles of 400 texts differ: some hundred thousand."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(alphabet), size=400)) for _ in range(400)]
    distinct = set().union(*plain_sets(texts))
    assert len(distinct) > 100_000
    assert shingle_sets(texts).shape == (400, len(distinct))


@pytest.mark.parametrize("limit", ["_TEXTS_AT_ONCE", "_SHINGLES_AT_ONCE"])
def test_a_block_more_gives_the_same_sets(monkeypatch, limit):
    texts = [f"prompt number {i} of many" for i in range(7)]
    whole = shingle_sets(texts)
    monkeypatch.setattr(f"router_model.training.near_duplicates.shingles.{limit}", 3)
    assert (shingle_sets(texts) != whole).nnz == 0


def test_options_in_another_order_are_the_same_set():
    first = normalised("Which is even?\nA. eleven\nB. twelve\n(c) 5/6")
    second = normalised("Which is even?\nA. 5/6\nB) eleven\nc: twelve")
    sets = shingle_sets([first, second])
    assert (sets[[0]] != sets[[1]]).nnz == 0


def test_a_letter_that_is_no_label_stays():
    """f(a) in code and "vitamin q." are text."""
    sets = shingle_sets(["f(a) == 1", "f(b) == 1", "vitamin q. why?", "vitamin r. why?"])
    assert len(np.unique(sets.toarray(), axis=0)) == 4


def test_no_texts_and_empty_texts_have_no_shingles():
    assert shingle_sets([]).shape == (0, 0)
    assert shingle_sets(["", ""]).shape == (2, 0)
    assert shingle_sets(["", "a", ""]).sum(axis=1).tolist() == [0, 1, 0]


def test_a_lone_surrogate_is_a_character():
    assert shingle_sets(["\ud800"]).nnz == 1


def test_of_many_shingles_some_stand_for_all():
    """A quarter of the shingles is kept, the same of equal stretches; short texts keep theirs."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    long = ["".join(rng.choice(letters, 2000)) for _ in range(4)]
    texts = [*long, long[0][:1500] + long[1][:500], "a short one"]
    whole, some = shingle_sets(texts), shingle_sets(texts, most=sum(map(len, texts)) // 4)
    assert 0.2 <= some.nnz / whole.nnz <= 0.3
    assert some[[5]].nnz == whole[[5]].nnz
    shared = [sets[[0]].multiply(sets[[4]]).sum() / sets[[4]].sum() for sets in (whole, some)]
    assert shared == pytest.approx([0.75, 0.75], abs=0.05)
