"""A conversation of Responses that goes to chat and back is what it was; so is a chat that goes to Responses."""

import json

from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_input_param import ResponseInputParam
from pydantic import TypeAdapter

from router_model.serving.formats.translations.chat_to_responses import CHAT_TO_RESPONSES
from router_model.serving.formats.translations.responses_to_openai import RESPONSES_TO_OPENAI

ITEMS = TypeAdapter(ResponseInputParam)

texts = st.text(min_size=1, max_size=12).filter(str.strip)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
arguments = st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3).map(json.dumps)
text_parts = st.builds(lambda text: {"type": "input_text", "text": text}, texts)
image_parts = st.builds(
    lambda url, detail: {"type": "input_image", "image_url": url, "detail": detail},
    st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AAAA"]),
    st.sampled_from(["low", "high", "auto"]),
)
file_parts = st.builds(
    lambda name: {"type": "input_file", "filename": f"{name}.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    names,
)
users = st.builds(
    lambda content: {"type": "message", "role": "user", "content": content},
    texts | st.lists(text_parts | image_parts | file_parts, min_size=2, max_size=4),
)
instructions = st.builds(
    lambda role, text: {"type": "message", "role": role, "content": text},
    st.sampled_from(["system", "developer"]),
    texts,
)
answers = st.builds(lambda text: {"type": "message", "role": "assistant", "content": text}, texts)
calls = st.builds(
    lambda call_id, name, given_: {"type": "function_call", "call_id": call_id, "name": name, "arguments": given_},
    names,
    names,
    arguments,
)


@st.composite
def turns(draw):
    """What one turn of the assistant says and calls, with the results; then what it says of them."""
    made = draw(st.lists(calls, max_size=3, unique_by=lambda call: call["call_id"]))
    said = [draw(answers)] if draw(st.booleans()) or not made else []
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": draw(st.just("") | texts)}
        for call in made
    ]
    return [*said, *made, *results, *([draw(answers)] if made else [])]


@st.composite
def conversations(draw):
    items = draw(st.lists(instructions, max_size=2))
    for _ in range(draw(st.integers(1, 3))):
        items += [draw(users), *draw(turns())]
    return items


@given(conversations())
def test_a_conversation_is_kept(items):
    """Roles, order, ids, arguments, images and files."""
    ITEMS.validate_python(items)
    chat = RESPONSES_TO_OPENAI.request({"input": items})
    assert CHAT_TO_RESPONSES.request(chat)["input"] == items


outputs = st.lists(
    st.builds(
        lambda text: {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        },
        texts,
    ),
    max_size=1,
).flatmap(lambda said: st.lists(calls, min_size=0 if said else 1, max_size=3).map(lambda made: said + made))


@given(outputs, st.sampled_from([("completed", None), ("incomplete", {"reason": "max_output_tokens"})]))
def test_an_answer_is_kept(output, ending):
    status, details = ending
    answer = {"id": "r", "created_at": 1, "status": status, "incomplete_details": details, "output": output}
    back = RESPONSES_TO_OPENAI.answer(CHAT_TO_RESPONSES.answer(answer))
    assert {name: back[name] for name in ("id", "created_at", "status", "incomplete_details")} == {
        name: answer[name] for name in ("id", "created_at", "status", "incomplete_details")
    }
    made_here = ("id", "status")
    assert [{k: v for k, v in one.items() if k not in made_here} for one in back["output"]] == [
        {k: v for k, v in one.items() if k not in made_here} for one in output
    ]


pieces = st.one_of(
    st.builds(lambda text: {"content": text}, texts),
    st.builds(lambda text: {"refusal": text}, texts),
    st.builds(lambda text: {"reasoning_content": text}, texts),
    st.builds(
        lambda place, text: {
            "tool_calls": [{"index": place, "id": f"t{place}", "function": {"name": "f", "arguments": text}}]
        },
        st.integers(0, 2),
        texts,
    ),
)


def chunk(delta, reason=None):
    return {"id": "c", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@given(st.lists(pieces, max_size=12), st.sampled_from(["stop", "length"]))
def test_the_events_of_a_stream_are_whole_and_in_order(deltas, reason):
    """Each item begins once, ends once, and its pieces joined are what its end and the whole response say."""
    stream = RESPONSES_TO_OPENAI.stream()
    events = [one for delta in deltas for one in stream.translate(chunk(delta))]
    events += stream.translate(chunk({}, reason))
    added = [one["output_index"] for one in events if one["type"] == "response.output_item.added"]
    done = {one["output_index"]: one["item"] for one in events if one["type"] == "response.output_item.done"}
    assert added == list(range(len(added))) == sorted(done)
    assert events[0]["type"] == "response.created"
    whole = events[-1]["response"]
    assert whole["output"] == [done[index] for index in added]
    assert whole["status"] == ("completed" if reason == "stop" else "incomplete")
    said = "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta")
    assert said == "".join(delta.get("content", "") for delta in deltas)
    for place in range(3):
        asked = [call for delta in deltas for call in delta.get("tool_calls", ()) if call["index"] == place]
        items = [item for item in whole["output"] if item.get("call_id") == f"t{place}"]
        assert "".join(item["arguments"] for item in items) == "".join(one["function"]["arguments"] for one in asked)


@given(outputs)
def test_a_stream_there_and_back_says_the_same(output):
    """A response in events, as chunks and as events again."""
    there, back = CHAT_TO_RESPONSES.stream(), RESPONSES_TO_OPENAI.stream()
    response = {"id": "r", "created_at": 1, "status": "completed"}
    events = [{"type": "response.created", "response": response}]
    events += [
        {"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(output)
    ]
    events.append({"type": "response.completed", "response": {**response, "output": output}})
    again = [one for event in events for part in there.translate(event) for one in back.translate(part)]
    kept = ("type", "content", "call_id", "name", "arguments")
    assert [{k: one[k] for k in kept if k in one} for one in again[-1]["response"]["output"]] == [
        {k: one[k] for k in kept if k in one} for one in output
    ]
