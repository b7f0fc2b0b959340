"""A pair of prompt and model counts once."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.importing import duplicates
from router_model.training.importing.duplicates import SeenPairs, find_duplicates


def frame_of(pairs, grades=None):
    frame = pl.DataFrame(pairs, schema={"prompt_id": pl.String, "model": pl.String}, orient="row")
    return frame.with_columns(pl.Series("quality", grades or [1.0] * len(pairs), dtype=pl.Float64))


def add(seen, pairs, first_row=1, file=0):
    return seen.add(frame_of(pairs), file, np.arange(first_row, first_row + len(pairs))).again


def test_find_duplicates_names_the_first_row():
    problems = find_duplicates(frame_of([("a", "m"), ("b", "m"), ("a", "m"), ("a", "m")]))
    assert [problem.index for problem in problems] == [2, 3]
    assert problems[0].reason == ("got 'a' with model 'm' again, first in row 1, expected each prompt and model once")


def test_pairs_are_told_across_batches_and_files():
    seen = SeenPairs()
    assert add(seen, [("a", "m"), ("a", "n")]) == []
    assert add(seen, [("b", "m"), ("a", "n"), ("b", "m")], file=1) == [(1, 0, 2), (2, 1, 1)]
    assert seen.n_prompts() == 2


def test_text_is_not_joined_across_columns():
    assert add(SeenPairs(), [("ab", "c"), ("a", "bc"), ("1:a", "b"), ("", "ab")]) == []


def test_nothing_seen_means_no_prompts():
    seen = SeenPairs()
    assert (add(seen, []), seen.n_prompts()) == ([], 0)


@pytest.mark.parametrize("largest", [4, 1 << 20])
@given(batches=st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("mno")), max_size=6)))
def test_streamed_answer_is_that_of_a_dictionary(batches, largest):
    """The plain reference: the first place of every pair, kept in a dict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_LARGEST_MERGED", largest)
        seen, first = SeenPairs(), {}
        for file, batch in enumerate(batches):
            expected = []
            for index, pair in enumerate(batch):
                if pair in first:
                    expected.append((index, *first[pair]))
                first.setdefault(pair, (file, index + 1))
            assert add(seen, batch, file=file) == expected
        assert seen.n_prompts() == len({prompt_id for prompt_id, _ in first})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("mn"))))
def test_whole_frame_answer_is_the_streamed_one(pairs):
    again = add(SeenPairs(), pairs)
    assert [problem.index for problem in find_duplicates(frame_of(pairs))] == [index for index, _, _ in again]


CALLS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 0.5])), max_size=6), max_size=5)


@pytest.mark.parametrize("largest", [4, 1 << 20])
@given(batches=CALLS)
def test_first_grade_of_a_pair_stays_in_whatever_order_they_come(batches, largest):
    """The plain reference: of the rows of a pair the first with a grade stays, or else the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_LARGEST_MERGED", largest)
        seen, table = SeenPairs(), []
        n_again = n_ungraded = 0
        for file, batch in enumerate(batches):
            frame = frame_of([(prompt, "m") for prompt, _ in batch], [grade for _, grade in batch])
            again, ungraded, replaced = seen.add(frame, file, np.arange(len(batch)))
            left_out = {index for index, _, _ in again} | set(ungraded)
            for number in replaced:
                table[number] = None
            table += [(*call, file, index) for index, call in enumerate(batch) if index not in left_out]
            n_again, n_ungraded = n_again + len(again), n_ungraded + len(ungraded) + len(replaced)
    calls = [(*call, file, index) for file, batch in enumerate(batches) for index, call in enumerate(batch)]
    expected = {
        min((call for call in calls if call[0] == prompt), key=lambda call: (call[1] is None, *call[2:]))
        for prompt, *_ in calls
    }
    assert {row for row in table if row} == expected
    n_grades = sum(grade is not None for _, grade, *_ in calls)
    assert n_again == n_grades - sum(grade is not None for _, grade, *_ in expected)
    assert n_again + n_ungraded == len(calls) - len(expected)
