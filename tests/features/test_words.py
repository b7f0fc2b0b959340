from importlib.resources import files

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from router_model.features import tokenise
from router_model.features.words import WordPieces

TOKENISER = Tokenizer.from_buffer(files("router_model.features").joinpath("assets/word_pieces.json").read_bytes())
TOKENISER.no_truncation()
WORDS = WordPieces(TOKENISER)
PARTS = [
    "the", "Routing", "xyzzy12", "don't", "caf\u00e9", "e\u0301", "=\u0338", "\u6570\u5b66", "[MASK]", "x[SEP]y",
    "[", "a\x00b", "\x0b", "\u2019", "\u00a0", "\u0130", "q" * 101, "\U0001f600", "\u037e", "##ing", "\u200b",
    "\ufffd", "_", "-",
]  # fmt: skip


def whole(text: str) -> list[int]:
    return list(TOKENISER.encode(text, add_special_tokens=False).ids)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS), max_size=12), st.sampled_from(["", " ", "\n"]))
def test_pieces_of_words_are_the_texts_pieces(parts, between):
    text = between.join(parts)
    assert list(WORDS.of_text(text)) == whole(text)


@settings(max_examples=300)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
@example("A\u030angstr\u00f6m \u212b")
def test_any_text_gives_the_tokenisers_pieces(text):
    assert list(WORDS.of_text(text)) == whole(text)


@pytest.mark.parametrize("word", ["routing", "Internationalisation", "x9", "q" * 100, "q" * 101, "zzqj0"])
def test_plain_words_are_split_as_the_tokeniser_does(word):
    assert list(WordPieces(TOKENISER)[word]) == whole(word)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("router_model.features.words._MAX_REMEMBERED", 10)
    words = WordPieces(TOKENISER)
    assert list(words.of_text(" ".join(map(str, range(100))))) == whole(" ".join(map(str, range(100))))
    assert len(words) <= 10
    assert list(words.of_text("y" * 90)) == whole("y" * 90)
    assert "y" * 90 not in words


def test_lone_surrogates_are_replaced():
    assert tokenise(["a\ud800b"]).pieces[0].tolist() == whole("a?b")


def test_a_memory_that_is_emptied_within_a_text_changes_no_piece(monkeypatch):
    """A word of the text that was remembered, and is not plain ASCII, is forgotten for a new one before it is read."""
    monkeypatch.setattr("router_model.features.words._MAX_REMEMBERED", 1)
    words = WordPieces(TOKENISER)
    alone = [list(words.of_text(word)) for word in ("na\u00efve", "caf\u00e9")]
    assert list(words.of_text("na\u00efve caf\u00e9")) == alone[0] + alone[1]
