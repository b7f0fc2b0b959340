import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import Prompt, PromptError
from router_model.features.prompt import MAX_ENCODED_CHARS, clip


def test_plain_string_and_single_user_message_are_the_same_text():
    assert Prompt.parse("hi").text == Prompt.parse([{"role": "user", "content": "hi"}]).text


def test_chat_body_tells_turns_tools_images_and_format():
    body = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url"}]},
        ],
        "tools": [{"type": "function"}],
        "response_format": {"type": "json_object"},
    }
    prompt = Prompt.parse(body)
    assert prompt.text == "Be brief.\n\nWhat is this?"
    assert (prompt.n_turns, prompt.has_system, prompt.has_tools, prompt.has_images, prompt.wants_json) == (
        1,
        True,
        True,
        True,
        True,
    )


def test_images_are_counted_and_audio_is_heard():
    parts = [
        {"type": "image_url"},
        {"type": "input_image"},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    ]
    prompt = Prompt.parse([{"role": "user", "content": parts}])
    assert (prompt.n_images, prompt.has_images, prompt.has_audio) == (2, True, True)
    silent = Prompt.parse([{"role": "user", "content": [{"type": "text", "text": "audio of an image"}]}])
    assert (silent.n_images, silent.has_images, silent.has_audio) == (0, False, False)


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": 20}, 20),
        ({"max_completion_tokens": 10, "max_tokens": 20}, 10),
        ({"max_completion_tokens": None, "max_tokens": 20}, 20),
    ],
)
def test_requested_output_is_read_from_a_chat_body(knobs, limit):
    assert Prompt.parse({"messages": [{"role": "user", "content": "x"}], **knobs}).max_output_tokens == limit


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "10", True, float("nan")])
def test_an_impossible_requested_output_is_refused(name, value):
    with pytest.raises(PromptError, match=f"{name}=.*; expected a whole number, 1 or more, or leave it out"):
        Prompt.parse({"messages": [{"role": "user", "content": "x"}], name: value})


def test_tool_calls_count_as_text():
    prompt = Prompt.parse([{"role": "assistant", "content": None, "tool_calls": [{"name": "search"}]}])
    assert "search" in prompt.text


def test_the_last_user_turn_survives_a_long_system_prompt_and_a_long_tool_result():
    prompt = Prompt.parse(
        [
            {"role": "system", "content": "s" * 10_000},
            {"role": "user", "content": "Fix the parser. " + "q" * 5000},
            {"role": "user", "content": "commit it"},
            {"role": "tool", "content": "t" * 20_000},
        ]
    )
    assert "commit it" in prompt.text
    assert len(prompt.text) <= MAX_ENCODED_CHARS + 10
    short = Prompt.parse([{"role": "system", "content": "s" * 10_000}, {"role": "user", "content": "q" * 6000}])
    assert "q" * 6000 in short.text


def test_long_text_keeps_beginning_and_end():
    prompt = Prompt.parse("a" * 50_000 + "z" * 50_000)
    assert prompt.n_chars == 100_000
    assert prompt.text == "a" * (MAX_ENCODED_CHARS // 2) + "\n" + "z" * (MAX_ENCODED_CHARS // 2)


@given(st.text(max_size=50), st.integers(2, 20))
def test_clip_never_exceeds_its_bound_by_more_than_the_joint(text, bound):
    assert len(clip(text, bound)) <= bound + 1


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (3, "got int"),
        (b"bytes", "got bytes"),
        (["text"], r"messages\[0\] is str"),
        ([{"role": "user", "content": 7}], r"messages\[0\].content is int"),
        ({"prompt": "x"}, "needs a list 'messages'; got only the keys 'prompt'"),
        ({"messages": "hello"}, "needs a list 'messages'; got str there"),
        ({}, "needs a list 'messages'; got an empty object"),
    ],
)
def test_anything_else_is_one_clear_error(value, match):
    with pytest.raises(PromptError, match=match):
        Prompt.parse(value)


def part(kind):
    return [{"role": "user", "content": [{"type": kind, kind: {}}]}]


@pytest.mark.parametrize("asked", ["Hi", part("image_url"), part("input_audio"), part("file"), part("document")])
def test_a_prompt_that_asks_something_has_content(asked):
    prompt = Prompt.parse(asked)
    assert prompt.require_content() is prompt


@pytest.mark.parametrize(
    "asked", ["", " \n\t", "\u200b \ufeff", "\0", [], part("text"), [{"role": "user", "content": None}]]
)
def test_a_prompt_that_asks_nothing_is_an_error(asked):
    with pytest.raises(PromptError, match="the prompt is empty; expected text, an image, audio or a file"):
        Prompt.parse(asked).require_content()
