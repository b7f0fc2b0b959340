"""MT-Bench: ratings from 1 to 10, and where their questions come from."""

import pytest

from router_model.errors import TableError

ONE = "[Instruction]\nRate it.\n\n[Question]\nHi\nthere\n\n[The Start of Assistant's Answer]\nHello"
TWO = (
    "<|The Start of Assistant A's Conversation with User|>\n\n### User:\nHi\n\n### Assistant A:\nHello\n\n"
    "### User:\nMore\n\n### Assistant A:\nWell\n\n<|The End of Assistant A's Conversation with User|>"
)
BOTH = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "More"}]


def rating(score=8, **changes):
    return {
        "question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1"], "user_prompt": ONE,
        "judgment": "Rating: [[8]]", "score": score, "turn": 1, "tstamp": 1740823200.1,
    } | changes  # fmt: skip


@pytest.mark.parametrize(("score", "quality"), [(1, 0.0), (10, 1.0), (8, 7 / 9), (5.5, 0.5)])
def test_rating_from_1_to_10_becomes_a_quality(imported, score, quality):
    (row,) = imported({"gpt-4_single.jsonl": [rating(score)]}).rows
    assert (row["prompt"], row["model"], row["quality"]) == ("Hi\nthere", "m", pytest.approx(quality))
    assert row["extra"] == {"question_id": 81, "judge": ["gpt-4", "single-v1"], "turn": 1}


def test_second_turn_has_both_questions(imported):
    assert imported({"j.jsonl": [rating(user_prompt=TWO, turn=2)]}).column("messages") == [BOTH]


def test_folder_of_the_benchmark_gives_the_questions(imported):
    question = {"question_id": 81, "category": "writing", "turns": ["Hi", "More"]}
    answer = {"question_id": 81, "answer_id": "x", "model_id": "m", "choices": [], "tstamp": 1.0}
    files = {
        "mt_bench/model_judgment/single.jsonl": [rating(user_prompt="?"), rating(user_prompt="?", turn=2)],
        "mt_bench/question.jsonl": [question],
        "mt_bench/model_answer/m.jsonl": [answer],
        "other_bench/question.jsonl": [question | {"turns": ["another", "question"]}],
    }
    found = imported(files)
    assert (found.column("prompt"), found.column("messages")) == (["Hi", None], [None, BOTH])
    assert found.skipped == {"questions of MT-Bench": 2, "answers of MT-Bench": 1}


def test_judge_that_failed_is_skipped(imported):
    assert imported({"j.jsonl": [rating(), rating(-1)]}).skipped == {"judgments without a rating": 1}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (rating(80), "80 in a judgment of MT-Bench, expected a rating from 1 to 10"),
        (rating(None), "nothing in a judgment of MT-Bench"),
        (rating(user_prompt="?"), "whose question is not in the judge's prompt.*import question.jsonl"),
    ],
)
def test_what_is_missing_is_named(imported, record, message):
    with pytest.raises(TableError, match=message):
        imported({"j.jsonl": [record]})
