import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router_model.features import Prompt, surface_features
from router_model.features.plain_text import plain_text
from router_model.training.measuring.rewordings import REWORDINGS

WHITE_SPACE = [r for r in REWORDINGS if r.kind == "whitespace" and r.name != "wrapped lines"]
CODE = "Complete this:\n\ndef f(x):\n    y = x\n\treturn  y\n\nThank you. "


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("", ""),
        (" \n\t\n", ""),
        ("  a  b\t c \r\n\n\nd", "a b c\nd"),
        ("a\n b", "a\nb"),
        ("a\n    b\n\tc\n      d", "a\n  b\n  c\n  d"),
        (CODE, "Complete this:\ndef f(x):\n  y = x\n  return y\nThank you."),
    ],
)
def test_surplus_white_space_goes_and_indentation_stays(text, plain):
    assert plain_text(text) == plain


@given(st.text(alphabet=st.one_of(st.sampled_from("ab \n\t"), st.characters()), max_size=100))
def test_words_are_kept_and_nothing_is_left_to_take_out(text):
    assert plain_text(text).split() == text.split()
    assert plain_text(plain_text(text)) == plain_text(text)


@pytest.mark.parametrize("rewording", WHITE_SPACE, ids=lambda r: r.name)
@given(text=st.text(alphabet="ab1.\u2003 \n\t", max_size=100))
def test_texts_that_differ_in_white_space_alone_look_the_same(rewording, text):
    """But for lines that begin with a single blank: doubled, or made a tab, it does indent."""
    assume(not re.search(r"\n[ \t](?![ \t])", text))
    assert plain_text(rewording.apply(text)) == plain_text(text)


@pytest.mark.parametrize("rewording", WHITE_SPACE, ids=lambda r: r.name)
def test_surface_features_are_blind_to_surplus_white_space(rewording):
    before, after = surface_features([Prompt.parse(CODE), Prompt.parse(rewording.apply(CODE))])
    assert after == pytest.approx(before, abs=1e-6)
