import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import SURFACE_NAMES, Prompt, surface_features
from router_model.features.plain_text import plain_text
from router_model.features.surface import _ASCII_CLASSES, _BLOCKS, CHARACTER_CLASSES, MEANINGS


def named(text: str) -> dict[str, float]:
    return dict(zip(SURFACE_NAMES, surface_features([Prompt.parse(text)])[0].tolist(), strict=True))


def test_counts_are_logs_of_one_plus():
    """Three question marks: log(1 + 3)."""
    assert named("Why? How? When?")["log_question_marks"] == pytest.approx(np.log(4))


def test_answer_options_are_counted():
    assert named("Pick:\n(A) one\n(B) two\n(C) three\n")["log_answer_options"] == pytest.approx(np.log(4))


@pytest.mark.parametrize(
    ("text", "kind", "share"),
    [
        ("1234", "digit", 1.0),
        ("abCD", "upper", 0.5),
        ("数学问题", "han", 1.0),
        ("ひらがな", "kana", 1.0),
        ("한국어", "hangul", 1.0),
        ("Привет", "cyrillic", 1.0),
        ("مرحبا", "semitic", 1.0),
        ("हिन्दी", "indic", 1.0),
        ("αβγ", "greek", 1.0),
        ("∑∫√", "math_symbol", 1.0),
        ("😀😀", "emoji", 1.0),
        ("{x}", "code_symbol", 2 / 3),
    ],
)
def test_script_shares(text, kind, share):
    assert named(text)[f"share_{kind}"] == pytest.approx(share)


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_gives_finite_features_and_shares_that_sum_to_one(text):
    values = named(text)
    assert np.isfinite(list(values.values())).all()
    total = sum(values[f"share_{name}"] for name in CHARACTER_CLASSES)
    assert total == pytest.approx(1.0 if text.strip() else 0.0, abs=1e-5)


def class_of(character: str) -> str:
    """The class of one character, read off the tables it is defined by."""
    if character.isascii():
        return next((name for name, members in _ASCII_CLASSES.items() if character in members), "other")
    return [name for start, name in _BLOCKS if start <= ord(character)][-1]


@given(st.lists(st.text(alphabet=st.characters(), max_size=50), max_size=4))
def test_shares_are_counted_character_by_character(texts):
    """Also of texts that lie together with others; `plain_text` is what is counted."""
    rows = surface_features([Prompt.parse(text) for text in texts])
    for text, row in zip(map(plain_text, texts), rows, strict=True):
        found = dict(zip(SURFACE_NAMES, row.tolist(), strict=True))
        for name in CHARACTER_CLASSES:
            count = sum(class_of(character) == name for character in text)
            assert found[f"share_{name}"] == np.float32(count / max(len(text), 1))


def test_lone_surrogates_and_a_megabyte_are_fine():
    rows = surface_features([Prompt.parse("\ud800"), Prompt.parse("x " * 500_000), Prompt.parse("")])
    assert rows.shape == (3, len(SURFACE_NAMES))
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("unit", ["\n", " ", "1", "a_", '"', "$", "\\a", "1.", "- ", "\n  "])
def test_no_pattern_takes_quadratic_time(unit):
    """Five prompts of a bad kind; a quadratic pattern takes ten seconds, the bound leaves room for noise."""
    started = time.perf_counter()
    surface_features([Prompt.parse(unit * (8000 // len(unit)))] * 5)
    assert time.perf_counter() - started < 2


def test_a_batch_equals_its_prompts_one_by_one():
    prompts = [Prompt.parse(text) for text in ("def f():\n    return 1", "", "¿Qué es 3 + 4?", "数学")]
    together = surface_features(prompts)
    assert np.array_equal(together, np.concatenate([surface_features([prompt]) for prompt in prompts]))


def test_every_feature_is_explained():
    assert list(MEANINGS) == list(SURFACE_NAMES)


def test_no_prompts_give_no_rows():
    assert surface_features([]).shape == (0, len(SURFACE_NAMES))


@pytest.mark.processor
def test_no_logarithm_of_a_count_is_near_the_middle_of_two_float32_numbers():
    """Else libraries that differ in the last bits would round it to different ones."""
    logs = np.log1p(np.arange(1, 1_000_001))
    near = logs.astype(np.float32)
    below = np.where(near > logs, np.nextafter(near, np.float32(0)), near)
    share = (logs - below) / np.spacing(below)
    assert np.abs(share - 0.5).min() > 1e-7
