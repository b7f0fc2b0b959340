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
from base64 import b64encode
from itertools import permutations

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

letters = st.characters(exclude_categories=["Cs"])
texts = st.text(letters, min_size=1, max_size=12).filter(str.strip)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,11}", fullmatch=True)
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=3)
base64s = st.binary(min_size=3, max_size=9).map(lambda data: b64encode(data).decode())
images = st.sampled_from(["https://example.com/a.png", "https://example.com/b.png?x=1"]) | st.builds(
    lambda kind, data: f"data:image/{kind};base64,{data}", st.sampled_from(["png", "jpeg", "webp"]), base64s
)
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


@pytest.mark.parametrize(("origin", "other"), permutations(VALID, 2))
@given(turns=conversations())
def test_a_conversation_is_kept(origin, other, turns):
    body = written(origin, turns)
    VALID[origin](body)
    assert said(origin, body) == flat(turns)

    there = translated(body, origin, other)
    VALID[other](there)
    assert said(other, there) == flat(turns)

    back = translated(there, other, origin)
    VALID[origin](back)
    assert said(origin, back) == flat(turns)
