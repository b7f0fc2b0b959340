"""Answers and streams that go from one format to the other and back are what they were, as far as both can say it."""

from anthropic_examples import chunk
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.formats.format import Facts
from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC
from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI

texts = st.text(min_size=1, max_size=12).filter(str.strip)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
inputs = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, max_size=3)


@given(st.lists(texts, max_size=2), st.lists(st.tuples(names, names, inputs), max_size=3), st.booleans())
def test_an_answer_is_kept(said, used, is_cut):
    """Message to completion and back; texts that follow each other are one by then."""
    tools = [{"type": "tool_use", "id": id_, "name": name, "input": input_} for id_, name, input_ in used]
    content = [{"type": "text", "text": text} for text in said] + tools
    reason = "max_tokens" if is_cut else "tool_use" if tools else "end_turn"
    message = {"id": "msg_1", "model": "m", "content": content, "stop_reason": reason}

    back = MESSAGES_TO_OPENAI.answer(CHAT_TO_ANTHROPIC.answer(message))

    assert back["content"] == ([{"type": "text", "text": "".join(said)}] if said else []) + tools
    assert back["stop_reason"] == reason


pieces = st.one_of(
    st.builds(lambda text: {"content": text}, texts),
    st.builds(lambda text: {"reasoning_content": text}, texts),
    st.builds(
        lambda place, text: {"tool_calls": [{"index": place, "id": f"t{place}", "function": {"arguments": text}}]},
        st.integers(0, 2),
        texts,
    ),
)


@given(st.lists(pieces, max_size=12))
def test_a_stream_is_kept(deltas):
    """Chunks to events and back say the same text, reasoning and blocks in a right order."""
    there, back = MESSAGES_TO_OPENAI.stream(), CHAT_TO_ANTHROPIC.stream()
    chunks = [*map(chunk, deltas), chunk({}, "length")]

    events = [event for one in chunks for event in there.translate(one)] + [*there.end(Facts())]
    again = [one for event in events for one in back.translate(event)] + [*back.end(Facts())]

    for field in ("content", "reasoning_content"):
        assert joined(again, field) == joined(chunks, field)
    assert again[-1]["choices"][0]["finish_reason"] == "length"
    assert_blocks_in_order(events)


def joined(chunks, field):
    return "".join(one["choices"][0]["delta"].get(field) or "" for one in chunks)


def assert_blocks_in_order(events):
    started, stopped = [], set()
    for event in events:
        match event["type"]:
            case "content_block_start":
                started.append(event["index"])
            case "content_block_delta":
                assert event["index"] in started
                assert event["index"] not in stopped
            case "content_block_stop":
                assert event["index"] not in stopped
                stopped.add(event["index"])
    assert started == list(range(len(started)))
    assert stopped == set(started)
