import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import tokenise
from router_model.training.measuring.rewordings import REWORDINGS, double_letter, drop_letter, swap_letters, with_typos

BY_KIND = {kind: [r for r in REWORDINGS if r.kind == kind] for kind in ("case", "whitespace", "typos", "template")}
TEXTS = st.text(alphabet=st.one_of(st.sampled_from("abcdeXYZ 0123.\n\t"), st.characters()), max_size=200)
CODE = """[PYTHON]
def function(numbers):
    return sorted(numbers, reverse=True)
assert function([1, 1, 3]) == ??
[/PYTHON]"""


def digits(text: str) -> list[str]:
    return [character for character in text if character.isdecimal()]


def test_every_rewording_is_of_a_known_kind_and_has_its_own_name():
    assert sum(map(len, BY_KIND.values())) == len(REWORDINGS)
    assert len({r.name for r in REWORDINGS}) == len(REWORDINGS)


@pytest.mark.parametrize("rewording", REWORDINGS, ids=lambda r: r.name)
@given(text=TEXTS)
def test_digits_are_kept_and_the_same_text_gives_the_same_rewording(rewording, text):
    reworded = rewording.apply(text)
    assert digits(reworded) == digits(text)
    assert rewording.apply(text) == reworded


@pytest.mark.parametrize("rewording", BY_KIND["whitespace"], ids=lambda r: r.name)
@given(text=TEXTS)
def test_white_space_is_all_that_differs(rewording, text):
    assert rewording.apply(text).split() == text.split()


@pytest.mark.parametrize("rewording", BY_KIND["case"], ids=lambda r: r.name)
def test_case_is_all_that_differs(rewording):
    text = "What is the DNA of Émile's 3 cats? x_1 = iPhone"
    assert rewording.apply(text) != text
    assert rewording.apply(text).casefold() == text.casefold()


@pytest.mark.parametrize("rewording", [*BY_KIND["case"], *BY_KIND["whitespace"]], ids=lambda r: r.name)
def test_word_pieces_are_blind_to_case_and_white_space(rewording):
    before, after = tokenise([CODE, rewording.apply(CODE)]).pieces
    assert before.tolist() == after.tolist()


@pytest.mark.parametrize("slip", [swap_letters, drop_letter, double_letter])
def test_typos_come_at_about_their_rate_and_one_a_word(slip):
    """5,000 words of 8 letters at 2 % a letter: 800 slips, give or take three standard deviations of 26."""
    words = " ".join(["question"] * 5000)
    reworded = with_typos(words, slip).split(" ")
    wrong = [word for word in reworded if word != "question"]
    assert 722 <= len(wrong) <= 878
    assert {word[0] for word in wrong} == {"q"}
    assert {len(word) for word in wrong} == {len(slip("question", 2))}


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "the cat sat on 1234 and 5678",
        "\\begin{align} \\frac{1}{2}",
        "snake_case camelCase HTTPServer config.yaml /usr/local/share call(x) width=",
        "See ```some fenced words that stay as they are```",
    ],
)
def test_short_words_numbers_and_code_have_no_typos(text):
    assert with_typos(text, drop_letter, rate=1.0) == text


def test_prose_beside_code_has_typos_and_the_seed_draws_them():
    text = "Complete the following function please, thank you.\n```\nsome fenced words\n```\nand return nothing else"
    assert with_typos(text, drop_letter, rate=1.0).split("```")[1] == text.split("```")[1]
    drawn = {with_typos(text, swap_letters, seed=seed, rate=0.05) for seed in range(20)}
    assert len(drawn) > 5


@pytest.mark.parametrize("rewording", BY_KIND["template"], ids=lambda r: r.name)
@given(text=TEXTS)
def test_templates_keep_the_text_as_it_is(rewording, text):
    reworded = rewording.apply(text)
    assert text in reworded
    assert re.search(r"[A-Za-z]{4}", reworded.replace(text, "", 1))
