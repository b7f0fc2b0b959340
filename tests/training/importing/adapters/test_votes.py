"""Votes between two models: Chatbot Arena, AlpacaEval, MT-Bench."""

import json

import polars as pl
import pytest

from router_model.errors import TableError
from router_model.training.importing import import_sources


def turns(*texts):
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


def battle(winner="model_a", **changes):
    return {
        "question_id": "q1",
        "model_a": "a",
        "model_b": "b",
        "winner": winner,
        "conversation_a": turns("Hi", "Hello"),
        "conversation_b": turns("Hi", "Yo"),
        "turn": 1,
        "language": "English",
        "tstamp": 1740823200.1,
    } | changes


def annotation(preference, **changes):
    return {
        "instruction": "Hi", "output_1": "x", "output_2": "y", "generator_1": "a", "generator_2": "b",
        "annotator": "judge", "preference": preference, "dataset": "vicuna",
    } | changes  # fmt: skip


JUDGE_PROMPT = "[User Question]\nHi\n\n[The Start of Assistant A's Answer]\nHello\n[The End of Assistant A's Answer]"


def pair(g1, g2, **changes):
    return {
        "question_id": 81, "model_1": "a", "model_2": "b", "g1_winner": g1, "g2_winner": g2, "judge": ["j", "pair-v2"],
        "g1_user_prompt": JUDGE_PROMPT, "g1_judgment": "", "g2_user_prompt": "", "g2_judgment": "", "turn": 1,
        "tstamp": 1740823200.1,
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("record", "qualities"),
    [
        (battle(), (1, 0)),
        (battle("model_b"), (0, 1)),
        (battle("tie"), (0.5, 0.5)),
        (battle("tie (bothbad)"), (0, 0)),
        (battle("both_bad"), (0, 0)),
        (annotation(1), (1, 0)),
        (annotation(2.0), (0, 1)),
        (annotation(1.8), (0.2, 0.8)),
        (annotation(1.5), (0.5, 0.5)),
        (annotation(0), (0.5, 0.5)),
        (pair("model_1", "model_1"), (1, 0)),
        (pair("model_2", "model_2"), (0, 1)),
        (pair("model_1", "tie"), (0.75, 0.25)),
        (pair("model_1", "model_2"), (0.5, 0.5)),
        (pair("model_2", "error"), (0, 1)),
    ],
)
def test_vote_becomes_a_quality_of_both(imported, record, qualities):
    found = imported({"v.jsonl": [record]})
    assert found.column("prompt") == ["Hi", "Hi"]
    assert dict(zip(found.column("model"), found.column("quality"), strict=True)) == dict(
        zip("ab", qualities, strict=True)
    )


def test_votes_for_the_same_prompt_and_model_are_averaged_in_all_files(imported):
    """Model a wins, loses and ties: (1 + 0 + 0.5) / 3; b and c have two votes and one."""
    files = {"1.jsonl": [battle(), battle("model_b")], "2.jsonl": [battle("tie", model_b="c")]}
    found = imported(files)
    assert dict(zip(found.column("model"), found.column("quality"), strict=True)) == {"a": 0.5, "b": 0.5, "c": 0.5}
    assert found.skipped == {"answers averaged with others of the same prompt and model": 3}


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (battle("", winner_model_a=0), "votes without a winner"),
        (annotation(None), "votes without a preference"),
        (pair("error", "error"), "judgments without a winner"),
        (battle(model_b="a"), "votes between a model and itself"),
    ],
)
def test_votes_that_say_nothing_are_skipped(imported, record, what):
    good = battle(conversation_a=turns("Another")) if "model_a" in record else None
    good = good or (annotation(1, instruction="Another") if "preference" in record else pair("tie", "tie"))
    assert imported({"v.jsonl": [record, good]}).skipped == {what: 1}


FULL = [
    {"user": {"role": "user", "content": [{"type": "text", "text": "Hi", "image": None}]},
     "model_side_a": {"role": "assistant", "content": []}, "model_side_b": {"role": "assistant", "content": []}},
    {"user": {"role": "user", "content": [{"type": "text", "text": "More", "image": None}]},
     "model_side_a": {}, "model_side_b": {}},
]  # fmt: skip
BOTH = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "More"}]


IMAGE = {"type": "image", "image": "u"}
TEXT = {"type": "text", "text": "Hi"}
IMAGE_AND_TEXT = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, TEXT]}]


@pytest.mark.parametrize(
    ("changes", "prompt", "messages"),
    [
        ({"conversation_a": turns("Hi", "x", "More", "y"), "turn": 2}, None, BOTH),
        ({"conversation_a": turns("Hi", "x", "More", "y"), "turn": 1}, "Hi", None),
        ({"full_conversation": FULL}, None, BOTH),
        ({"conversation_a": json.dumps(turns("Hi", "x"))}, "Hi", None),
        ({"conversation_a": None, "turn": None, "prompt": '["Hi", "More"]'}, None, BOTH),
        ({"conversation_a": None, "turn": None, "prompt": "Hi"}, "Hi", None),
        ({"conversation_a": [{"role": "user", "content": [IMAGE, TEXT]}]}, None, IMAGE_AND_TEXT),
    ],
)  # fmt: skip
def test_prompt_of_a_battle_is_what_the_user_wrote(imported, changes, prompt, messages):
    """Both models have the same prompt, whatever they answered in between."""
    rows = imported({"v.jsonl": [battle(**changes)]}).rows
    assert [(row["prompt"], row["messages"]) for row in rows] == [(prompt, messages)] * 2


def test_battles_of_kaggle_and_of_parquet_are_read(tmp_path):
    """The winner in three columns; a tie. The tokens of a side are those of its model."""
    flags = {"winner_model_a": 0, "winner_model_b": 0, "winner_tie": 1}
    tokens = {"sum_user_tokens": 3, "sum_assistant_a_tokens": 5, "sum_assistant_b_tokens": 7}
    kaggle = {"id": 1, "model_a": "a", "model_b": "b", "prompt": '["Kaggle"]', **flags}
    pl.DataFrame([kaggle]).write_csv(tmp_path / "k.csv")
    pl.DataFrame([battle(conv_metadata=tokens)]).write_parquet(tmp_path / "b.parquet")
    import_sources([tmp_path / "k.csv", tmp_path / "b.parquet"], tmp_path / "o.parquet")
    frame = pl.read_parquet(tmp_path / "o.parquet")
    assert frame["quality"].to_list() == [0.5, 0.5, 1.0, 0.0]
    assert frame["output_tokens"].to_list() == [None, None, 5, 7]
    assert frame["input_tokens"].to_list() == [None, None, 3, 3]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (battle("x"), "'x' in a battle of Chatbot Arena, expected one of model_a, model_b"),
        (battle(conversation_a=None), "a battle of Chatbot Arena without what was asked"),
        (
            {key: value for key, value in battle().items() if key != "winner"},
            "a battle of Chatbot Arena without a winner",
        ),
        (
            {key: value for key, value in annotation(1).items() if key != "preference"},
            "AlpacaEval without a preference",
        ),
        (annotation(3), "3 in an annotation of AlpacaEval, expected a number from 1 to 2"),
        (annotation("better"), "'better' in an annotation of AlpacaEval"),
        (annotation(1, generator_2=None), "an annotation of AlpacaEval without 'generator_1' or 'generator_2'"),
        (pair("A", "B"), "'A' in a judgment of MT-Bench, expected one of model_1"),
        (pair("tie", "tie", g1_user_prompt="?"), "a judgment of MT-Bench whose question is not in the judge's prompt"),
    ],
)
def test_what_is_missing_or_unknown_is_named(imported, record, message):
    with pytest.raises(TableError, match=message):
        imported({"v.jsonl": [record]})


@pytest.mark.parametrize(
    ("field", "winner", "qualities"),
    [
        ("winner", "b", [0, 1]),  # the model itself
        ("preference", "A", [1, 0]),
        ("choice", "response_b", [0, 1]),
        ("vote", "draw", [0.5, 0.5]),
    ],
)
def test_votes_in_tables_of_ones_own_name_the_winner_in_other_words(tmp_path, field, winner, qualities):
    models = {"model_a": "A" if field == "winner" else "m1", "model_b": "b"}
    (source := tmp_path / "v.jsonl").write_text(json.dumps({"prompt": "Hi", **models, field: winner}))
    import_sources([source], tmp_path / "o.parquet")
    assert pl.read_parquet(tmp_path / "o.parquet")["quality"].to_list() == qualities
