"""Any conversation, in any format, keeps who says what on its way into another format, and back.

That is roles, ids of tools, arguments, images, files and order. Some of it can be told in other places only:

- Instructions stand first in Anthropic's and Google's formats, so those further down move up.
- Anthropic's format has no two neighbours of one role, and no text of blanks alone; its ids have letters, digits,
  ``_`` and ``-``.
- Images of tools' results follow in a user's message where results are text (chat).
- The name of a file, and how closely an image is to be looked at (``detail``), do not exist at Google; whether a result
  is an error (``is_error``) exists at Anthropic alone, so elsewhere the text says it.
- Integers beyond 64 bits are floats for most parsers of JSON.
"""

import json
from itertools import pairwise

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from conversations import flat, said, written
from google.genai import types as google
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses.response_input_param import ResponseInputParam
from pydantic import TypeAdapter

from router_model.serving.formats.format import KIND_OF_SURFACE, Surface
from router_model.serving.formats.registry import adapter_for

CHAT = TypeAdapter(list[ChatCompletionMessageParam])
MESSAGES = TypeAdapter(MessageCreateParamsNonStreaming)
ITEMS = TypeAdapter(ResponseInputParam)
CONTENTS = TypeAdapter(list[google.Content])
VALID = {
    Surface.CHAT: lambda body: CHAT.validate_python(body["messages"]),
    Surface.MESSAGES: lambda body: MESSAGES.validate_python({"model": "m", "max_tokens": 9, **body}),
    Surface.GENERATE: lambda body: CONTENTS.validate_python(body["contents"]),
    Surface.RESPONSES: lambda body: ITEMS.validate_python(body["input"]),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
names = st.sampled_from(["look", "get_weather", "mcp__files-read", "_x9"])
ids = st.text("abcXYZ0189_-", min_size=1, max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9), texts)
objects = st.dictionaries(texts, scalars | st.lists(scalars, max_size=2) | st.just({"in": {"side": []}}), max_size=3)
URLS = ("https://example.com/a.png", "https://example.com/b.png?x=1", "data:image/png;base64,iVBORw==")
images = st.sampled_from([*URLS, "data:image/jpeg;base64,/9j/4A==", "data:image/webp;base64,UklG"])
base64s = st.sampled_from(["JVBERi0=", "JVBERi0xLjc="])
parts = st.one_of(
    st.tuples(st.just("text"), texts), st.tuples(st.just("image"), images), st.tuples(st.just("file"), base64s)
)
users = st.tuples(st.just("user"), st.lists(parts, min_size=1, max_size=3))
calls = st.lists(st.tuples(ids, names, objects), min_size=1, max_size=3, unique_by=lambda call: call[0])
outputs = st.just("") | texts | objects.map(json.dumps) | st.just('{"output": "21 C"}')


@st.composite
def answers(draw):
    """What an assistant says, perhaps after calls of tools, whose results come in any order."""
    turns = []
    while draw(st.integers(0, 2)) == 0 and len(turns) < 4:
        made = draw(calls)
        turns.append(("assistant", draw(st.just("") | texts), made))
        answered = draw(st.permutations([identifier for identifier, *_ in made]))
        turns.append(("results", [(one, draw(outputs), draw(st.none() | images)) for one in answered]))
        if draw(st.booleans()):
            turns.append(draw(users))  # agents add a word of their own behind results
    return [*turns, ("assistant", draw(texts), [])]


@st.composite
def conversations(draw):
    turns = [("system", draw(texts))] if draw(st.booleans()) else []
    seen = set()
    for _ in range(draw(st.integers(1, 3))):
        answer = draw(answers())
        made = [one for turn in answer if turn[0] == "assistant" for one, *_ in turn[2]]
        turns += [*draw(st.lists(users, min_size=1, max_size=2))]
        if seen.isdisjoint(made) and len(set(made)) == len(made):
            turns += answer
            seen.update(made)
        else:
            turns.append(answer[-1])
    return turns


def translated(body, origin, target):
    translation = adapter_for(origin, KIND_OF_SURFACE[target]).translation
    return translation.request(body)


@pytest.mark.parametrize("origin", VALID)
@given(turns=conversations())
def test_a_conversation_is_kept_in_every_other_format_and_back(origin, turns):
    body = written(origin, turns)
    VALID[origin](body)
    assert said(origin, body) == flat(turns)
    for other in VALID.keys() - {origin}:
        there = translated(body, origin, other)
        VALID[other](there)
        assert said(other, there) == flat(turns), other
        if other is Surface.MESSAGES:
            assert all(one["role"] != following["role"] for one, following in pairwise(there["messages"]))

        back = translated(there, other, origin)
        VALID[origin](back)
        assert said(origin, back) == flat(turns), other
