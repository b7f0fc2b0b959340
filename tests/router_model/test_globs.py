from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router_model.errors import RequestError
from router_model.screening.globs import MAX_PATTERN_CHARS, Globs

short = st.text(st.sampled_from("ab*?[]!-\n"), max_size=6)


@given(st.lists(short, max_size=4), short)
@example(["[[]a"], "[a")
@example(["[*]"], "*")
@example(["[*]*"], "*b")
@example(["*"], "")
@example(["a[?*"], "a[xb")
def test_globs_match_as_each_of_them_would(globs, name):
    found = Globs(globs)
    matching = [glob for glob in globs if fnmatchcase(name, glob)]
    assert found.match(name) == bool(matching)
    assert found.first_match(name) in (matching or [None])


def test_only_ids_and_prefixes_may_be_many():
    many = Globs([f"vendor/{n}" for n in range(100_000)] + [f"v{n}/*" for n in range(1000)])
    assert (many.first_match("vendor/99999"), many.first_match("v7/x")) == ("vendor/99999", "v7/*")
    with pytest.raises(RequestError, match=f"have 4200 characters together; expected at most {MAX_PATTERN_CHARS}"):
        Globs(["*a?b*c-"] * 600)
