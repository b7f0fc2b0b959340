"""Texts made to be slow: the work they cause grows with their length, and a caller's slow ones slow nobody else's."""

import time
from random import Random

import pytest
from nasty_texts import NASTY
from tokenizers import Tokenizer

from router_model.features import Prompt, surface_features, tokenise
from router_model.features.word_pieces import load_tokeniser
from router_model.features.words import WordPieces

TOKENISER: Tokenizer = load_tokeniser()
MOST_LOOK_UPS = 6.0
"""A character, the worst text that could be made of the vocabulary's dead ends included."""


class CountingDict(dict):
    def __init__(self, known) -> None:
        super().__init__(known)
        self.n = 0

    def get(self, key, default=None):
        self.n += 1
        return super().get(key, default)


class CountingNormaliser:
    def __init__(self, normaliser) -> None:
        self.normaliser = normaliser
        self.n = self.n_chars = 0

    def normalize_str(self, text):
        self.n += 1
        self.n_chars += len(text)
        return self.normaliser.normalize_str(text)


WORDS = WordPieces(TOKENISER)


@pytest.fixture
def counted(monkeypatch):
    WORDS.clear()
    for name, counting in (("_first", CountingDict), ("_continued", CountingDict), ("_normaliser", CountingNormaliser)):
        monkeypatch.setattr(WORDS, name, counting(getattr(WORDS, name)))
    return WORDS


def dead_ends(words: WordPieces) -> str:
    """Return the continuation that costs the most look-ups for each character it takes."""
    known = words._continued

    def cost(beginning: str) -> float:
        taken = max((end for end in range(1, len(beginning)) if known[beginning[:end]] >= 0), default=0)
        return len(beginning) / taken if taken else 0.0

    return max(known, key=cost)


@pytest.mark.parametrize("kind", NASTY)
def test_splitting_a_text_costs_a_few_look_ups_a_character(kind, counted):
    text = NASTY[kind](8192, Random(1)).encode("utf-8", "replace").decode()
    list(counted.of_text(text))
    assert counted._first.n + counted._continued.n <= MOST_LOOK_UPS * len(text)
    assert counted._normaliser.n <= 1
    assert counted._normaliser.n_chars <= 2 * len(text)


def test_dead_ends_of_the_vocabulary_are_no_exception(counted):
    text = f"a{dead_ends(counted) * 100} "[:101] * 80
    list(counted.of_text(text))
    assert counted._first.n + counted._continued.n <= MOST_LOOK_UPS * len(text)


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_texts_have_the_tokenisers_pieces(kind):
    text = NASTY[kind](700, Random(2)).encode("utf-8", "replace").decode()
    WORDS.clear()
    assert list(WORDS.of_text(text)) == TOKENISER.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", NASTY)
def test_looks_are_counted_in_linear_time(kind):
    """Four times the text takes sixteen times as long where the time is quadratic; the threshold is between."""

    def seconds(n: int) -> float:
        text = NASTY[kind](n, Random(3))
        return min(_timed(lambda: surface_features([Prompt(text, len(text))])) for _ in range(3))

    assert seconds(32_000) <= 9 * seconds(8_000) + 0.001


@pytest.mark.parametrize("kind", NASTY)
def test_features_are_finite(kind):
    prompt = Prompt.parse(NASTY[kind](9000, Random(4)))
    assert (surface_features([prompt]) < 1e3).all()
    assert len(tokenise([prompt.text]).pieces[0]) <= len(prompt.text)


def _timed(work) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
