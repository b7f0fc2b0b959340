"""Bodies of requests and answers are read whole, if a field in them is named."""

import json

import pytest

from router_model.training.importing.bodies import read_whole
from router_model.training.importing.columns import ColumnMapping


def own_of(named, record):
    mapping = ColumnMapping(named)
    return read_whole(mapping.own_record(record), record, mapping.paths)


BODY = {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("named", "record"),
    [
        ({"messages": ["request.messages"]}, {"request": BODY}),
        ({"messages": ["request.messages"]}, {"request": json.dumps(BODY)}),
        ({"prompt": ["request"]}, {"request": json.dumps(BODY)}),
        ({"prompt": ["request"]}, {"request": BODY, "prompt": "another"}),
        (
            {"prompt": ["body.contents"]},
            {
                "body": {
                    "systemInstruction": {"parts": [{"text": "Be brief."}]},
                    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                    "generationConfig": {"maxOutputTokens": 9},
                }
            },
        ),
    ],
)
def test_named_request_gives_all_that_it_says(named, record):
    own = own_of(named, record)
    assert {key: own[key] for key in own if key not in record} == {"messages": CHAT, "max_output_tokens": 9}
    assert "prompt" not in own


def test_body_at_the_top_of_a_record_is_read_whole():
    contents, system = [{"role": "user", "parts": [{"text": "Hi"}]}], {"parts": [{"text": "Be brief."}]}
    record = {"contents": contents, "systemInstruction": system, "model": "g"}
    assert own_of({"messages": ["contents"]}, record)["messages"] == CHAT


def test_variables_of_a_template_become_one_prompt():
    own = own_of({"prompt": ["input"]}, {"input": {"topic": "cats", "tone": "dry", "trace_id": "7"}, "model": "a"})
    assert own == {"model": "a", "prompt": "topic: cats\n\ntone: dry", "joined": "topic, tone"}


def test_text_that_only_looks_like_a_request_stays_a_prompt():
    text = '{"messages": "none"}'
    assert own_of({"prompt": ["q"]}, {"q": text}) == {"prompt": text}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 2, "cache_read_input_tokens": 8, "output_tokens": 5}, (10, 5)),
        ({"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}, (3, 9)),
        ({"input_tokens": 2, "output_tokens": 5}, (2, 5)),
    ],
)
def test_named_count_has_what_the_provider_counts_beside_it(usage, counts):
    inputs, outputs = (next(name for name in usage if name.startswith(word)) for word in ("", ("output", "cand")))
    named = {"input_tokens": [f"r.{inputs}"], "output_tokens": [f"r.{outputs}"]}
    found = own_of(named, {"r": usage})
    assert (found["input_tokens"], found["output_tokens"]) == counts
