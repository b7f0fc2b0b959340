"""What comes as a stream is put together to what would have come whole."""

import json
from dataclasses import replace

import pytest
from anthropic_examples import MESSAGE_START, STREAM, events_as_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_streams import chunk, target_at
from scripted_answers import events as scripted_events
from scripted_answers import whole as scripted_whole
from scripted_request import Heard

from router_model.serving.formats.assembling import joined_texts, streams_say_all
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.provider import Kind

SURFACES = {Kind.OPENAI: Surface.CHAT, Kind.ANTHROPIC: Surface.MESSAGES, Kind.GEMINI: Surface.GENERATE}


def sse(events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def assembled(kind, content, n_bytes=None):
    """Return the whole answer that a provider's stream is put together to, and the facts of both."""
    adapter, target = adapter_for(SURFACES[kind], kind), target_at(kind=kind)
    stream = adapter.assembly(target)
    for start in range(0, len(content), n_bytes or len(content)):
        assert stream.feed(content[start : start + (n_bytes or len(content))]) == []
    body = b"".join(stream.end({}))
    return json.loads(body), stream.facts, adapter.provider.read_answer("application/json", body)[1]


TEXTS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["0", " "]), min_size=4, max_size=12
)
BESIDE = {  # what adds up beside the text, and what does not
    "nothing": {},
    "role and null": {"delta": {"role": "assistant", "refusal": None}, "logprobs": None},
    "logprobs": {"logprobs": {"content": [{"token": "0", "logprob": 0.0}]}},
    "reasoning": {"delta": {"reasoning_content": "-"}},
    "arguments": {"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": " "}}]}},
    "a second choice": {},
}


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.booleans(), st.sampled_from([0, 1, 3]), st.sampled_from([*BESIDE]))
def test_texts_that_come_at_once_are_read_as_if_each_had_come_alone(texts, ascii_only, other_at, beside):
    """Every text of JSON, with its escapes; another choice, and what adds up beside a text, come in between."""
    events = []
    for i, one in enumerate(["a", *texts]):
        choice = {"index": int(i % 4 == other_at), "delta": {"content": one}, "finish_reason": None, **BESIDE[beside]}
        choice["delta"] = {"content": one, **BESIDE[beside].get("delta", {})}
        other = [{"index": 2, "delta": {"content": " "}}] if beside == "a second choice" else []
        events.append({"id": "c", "choices": [choice, *other]})
    ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1, 2)]
    events += [{"id": "c", "choices": ends, "usage": {"prompt_tokens": 7, "completion_tokens": 9}}]
    content = b"".join(b"data: %b\n\n" % json.dumps(event, ensure_ascii=ascii_only).encode() for event in events)
    at_once, one_by_one = assembled(Kind.OPENAI, content), adapter_for(Surface.CHAT, Kind.OPENAI).assembly(target_at())
    for event in content.split(b"\n\n")[:-1]:
        one_by_one.feed(event + b"\n\n")
    created = at_once[0].pop("created")
    alone = json.loads(b"".join(one_by_one.end({})))
    assert alone.pop("created") == pytest.approx(created, abs=2)
    assert alone == at_once[0]
    assert replace(one_by_one.facts) == at_once[1]


def test_texts_of_a_burst_are_read_as_one():
    said = [b'{"delta":{"content":"%d\\n"},"x":1}' % number for number in range(50)]
    burst, texts = b"".join(b"data: %b\n\n" % one for one in said), b"".join(b"%d\\n" % number for number in range(50))
    assert joined_texts(burst) == b'data: {"delta":{"content":"%b"},"x":1}\n\n' % texts
    # Joined up to an escape that may be half a character, and behind it; what is not whole stays as it is.
    half = b'data: {"delta":{"content":"\\ud83d"},"x":1}\n\n'
    cut = b'data: {"delta":{"content":"b"'
    assert joined_texts(burst + half + burst + cut) == joined_texts(burst) + half + joined_texts(burst) + cut


def put_together(kind, events, reason=None):
    """Return what an assembler makes of events; some of them are no complete answers."""
    assembler = adapter_for(SURFACES[kind], kind).provider.assembler()
    for event in events:
        assembler.add(event)
    return assembler.answer(Facts(finish_reason=reason))


HEARD = Heard("openai", "m", stream=True, said=(("user", "text", "Hi"),), knobs={}, wants_usage=True)
CALLED = {"tools": {"look": "at"}, "call": "look"}


@pytest.mark.parametrize("kind", list(SURFACES))
@pytest.mark.parametrize(
    "asked",
    [{}, CALLED, {"choices": 3}, {"logprobs": True, "choices": 2}, {"padding": 1000}],
    ids=["text", "tool", "3 choices", "logprobs", "long"],
)
@pytest.mark.parametrize("n_bytes", [None, 7])
def test_a_stream_is_put_together_to_the_whole_answer(kind, asked, n_bytes):
    """The same request, heard as a stream and whole."""
    if kind is Kind.ANTHROPIC and "choices" in asked:
        asked = {}
    heard = replace(HEARD, kind=kind.value, **asked)
    answer, of_stream, of_whole = assembled(kind, b"".join(scripted_events(heard)), n_bytes)
    assert answer == (whole := scripted_whole(heard))
    assert assembled(kind, sse(adapter_for(SURFACES[kind], kind).provider.as_stream(whole)), n_bytes)[0] == whole
    assert of_stream.usage == of_whole.usage
    assert (of_stream.finish_reason, of_stream.response_id) == (of_whole.finish_reason, of_whole.response_id)


# OpenAI


def said(*deltas, **fields):
    """Return the choice that deltas become."""
    answer = put_together(Kind.OPENAI, [*(chunk(delta, **fields) for delta in deltas), chunk({}, "stop")])
    return answer["choices"][0]["message"]


def test_every_field_of_a_chunk_is_kept_as_the_whole_answer_has_it():
    """Azure's first chunk has no choices, id or model; padding and repeated messages are of streams only."""
    first = {"choices": [], "id": "", "model": "", "created": 0, "prompt_filter_results": [{"prompt_index": 0}]}
    repeated = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "message": {"content": "Hi"}}
    filters = {"content_filter_results": {"hate": {"filtered": False}}}
    last = chunk({}, "stop", system_fingerprint="fp_1", citations=["https://a.example"], service_tier="default")
    last["choices"][0] |= filters | {"native_finish_reason": "STOP"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "cost": 0.1}
    assert put_together(
        Kind.OPENAI,
        [
            first,
            chunk(obfuscation="xyz", usage=None, system_fingerprint=None) | {"choices": [repeated]},
            last,
            chunk(usage=usage) | {"choices": []},
        ],
    ) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "small-2026-01-01",
        "prompt_filter_results": [{"prompt_index": 0}],
        "system_fingerprint": "fp_1",
        "citations": ["https://a.example"],
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "logprobs": None,
                "finish_reason": "stop",
                "native_finish_reason": "STOP",
            }
            | filters
        ],
        "usage": usage,
    }


def detail(**fields):
    return {"reasoning_details": [{"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"} | fields]}


NOTE = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([{"role": "assistant", "content": ""}], {"content": ""}),
        ([{"content": "a"}, {"content": None}, {"content": "b"}], {"content": "ab"}),
        ([{"content": "", "refusal": None}, {"refusal": "I "}, {"refusal": "won't"}],
         {"refusal": "I won't", "content": None}),
        ([{"reasoning_content": "h"}, {"reasoning_content": "m", "content": None}, {"content": "a"}],
         {"reasoning_content": "hm", "content": "a"}),
        ([{"reasoning": "h"} | detail(text="h"), {"reasoning": "m"} | detail(text="m"),
          detail(signature="c2ln"), {"content": "a"}],
         {"reasoning": "hm", "content": "a"} | detail(text="hm", signature="c2ln")),
        ([detail(type="reasoning.summary", summary="s"), detail(type="reasoning.encrypted", data="d"),
          {"content": "a"}],
         {"content": "a", "reasoning_details": detail(type="reasoning.summary", summary="s")["reasoning_details"]
          + detail(type="reasoning.encrypted", data="d")["reasoning_details"]}),
        ([{"content": "a", "annotations": [NOTE]}, {"annotations": [NOTE, {**NOTE, "n": 2}]}],
         {"content": "a", "annotations": [NOTE, {**NOTE, "n": 2}]}),
        ([{"content": ""}, {"images": [IMAGE]}], {"content": None, "images": [IMAGE]}),
        ([{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": '{"a"'}},
          {"function_call": {"arguments": ":1}"}}],
         {"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}),
        ([{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]},
          {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]},
          {"content": "a"}, {"content": "b"}],
         {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                      {"type": "text", "text": "ab"}]}),
        ([{"content": "a", "mood": "gl"}, {"mood": "ad", "score": 2}], {"content": "a", "mood": "glad", "score": 2}),
    ],
    ids=["empty", "null between", "refusal", "reasoning", "signed", "summaries", "annotations", "image", "function",
         "parts", "unknown"],
)  # fmt: skip
def test_deltas_become_a_message(deltas, expected):
    assert said(*deltas) == {"role": "assistant"} | expected


def test_pieces_of_tool_calls_are_put_together_by_their_index():
    """Pieces of two calls in turn; the name is said again, and a vendor's field comes with the first piece."""

    def piece(index, arguments, **fields):
        return {
            "tool_calls": [
                {"index": index, "function": {"arguments": arguments} | fields.pop("function", {}), **fields}
            ]
        }

    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    message = said(
        piece(0, "", id="c0", type="function", function={"name": "f"}, **extra),
        piece(1, "", id="c1", function={"name": "g"}),
        piece(0, '{"a"', function={"name": "f"}),
        piece(1, "{}", id=None),
        piece(0, ":1}", id=""),
    )
    assert message["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}} | extra,
        {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


TEXTS = st.text(max_size=12)
CALLS = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=5), st.dictionaries(TEXTS, TEXTS, max_size=2)), max_size=3
)
MESSAGES = st.fixed_dictionaries(
    {"content": TEXTS, "calls": CALLS},
    optional={"reasoning_content": TEXTS.filter(bool), "refusal": TEXTS.filter(bool)},
)


def cut(text, at):
    """Cut a text into two pieces, somewhere."""
    where = at % (len(text) + 1)
    return [text[:where], text[where:]]


@settings(deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.integers(0, 50), st.randoms(use_true_random=False))
def test_any_chat_completion_survives_being_cut(messages, at, rng):
    """Every text is cut in two, and the pieces of all choices come in turn."""
    choices, queues = [], []
    for index, asked in enumerate(messages):
        fields, calls = dict(asked), []
        queue = [{"role": "assistant", "content": ""}]
        for name in ("reasoning_content", "refusal", "content"):
            queue += [{name: piece} for piece in cut(fields.get(name, ""), at)] if name in fields else []
        for number, (name, arguments) in enumerate(fields.pop("calls")):
            function = {"name": name, "arguments": json.dumps(arguments)}
            calls.append({"id": f"c{number}", "type": "function", "function": function})
            first, second = cut(function["arguments"], at)
            queue += [
                {"tool_calls": [calls[-1] | {"index": number, "function": function | {"arguments": first}}]},
                {"tool_calls": [{"index": number, "function": {"arguments": second}}]},
            ]
        said_else = calls or fields.get("refusal")
        message = {"role": "assistant", **fields, "content": fields["content"] or (None if said_else else "")}
        message |= {"tool_calls": calls} if calls else {}
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": "length"})
        queues.append([*((index, delta, None) for delta in queue), (index, {}, "length")])
    events = []
    while any(queues):
        events.append(rng.choice([queue for queue in queues if queue]).pop(0))
    answer = put_together(Kind.OPENAI, [chunk(delta, end, index=index) for index, delta, end in events])
    assert answer["choices"] == choices


# Anthropic


def test_anthropics_events_become_the_message():
    """10 + 600 + 40 tokens were read; the counts of the end go before those of the beginning."""
    answer, facts, _ = assembled(Kind.ANTHROPIC, events_as_bytes(STREAM), 11)
    assert answer == MESSAGE_START["message"] | {
        "content": [
            {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": MESSAGE_START["message"]["usage"]
        | {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 20}},
    }
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (650, 90)


def block(content, *deltas, index=0):
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def json_piece(piece):
    return {"type": "input_json_delta", "partial_json": piece}


CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u"}]}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (block({"type": "text", "text": "", "citations": []}, {"type": "citations_delta", "citation": CITATION},
               {"type": "text_delta", "text": "x"}), {"type": "text", "text": "x", "citations": [CITATION]}),
        (block({"type": "redacted_thinking", "data": "AA"}), {"type": "redacted_thinking", "data": "AA"}),
        (block({"type": "thinking", "thinking": "", "signature": ""}, {"type": "signature_delta", "signature": "s"}),
         {"type": "thinking", "thinking": "", "signature": "s"}),
        (block({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}, json_piece('{"query"'),
               json_piece(':"x"}')),
         {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}),
        (block(FOUND), FOUND),
        (block({"type": "later", "note": "a"}, {"type": "later_delta", "note": "b", "rank": 2}),
         {"type": "later", "note": "ab", "rank": 2}),
        (block({"type": "text", "text": ""}, {"type": "text_delta", "text": "no start"})[1:],
         {"type": "text", "text": "no start"}),
    ],
    ids=["citations", "redacted", "signature alone", "server tool", "its result", "unknown", "no start"],
)  # fmt: skip
def test_deltas_become_a_block(events, expected):
    answer = put_together(Kind.ANTHROPIC, [MESSAGE_START, *events], "end_turn")
    assert answer["content"] == [expected]


def test_what_a_message_says_at_its_end_is_kept():
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_sequence": None, "container": {"id": "c"}},
        "usage": {"output_tokens": 3, "input_tokens": None},
        "context_management": {"applied_edits": []},
    }
    answer = put_together(Kind.ANTHROPIC, [MESSAGE_START, end])
    assert (answer["stop_reason"], answer["stop_sequence"], answer["container"]) == ("refusal", None, {"id": "c"})
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (10, 3)
    assert answer["context_management"] == {"applied_edits": []}


def test_half_an_input_is_a_failure_unless_the_answer_was_cut():
    events = [MESSAGE_START, *block({"type": "tool_use", "id": "t", "name": "f", "input": {}}, json_piece('{"a": '))]
    assert put_together(Kind.ANTHROPIC, events, "max_tokens")["content"][0]["input"] == {}
    with pytest.raises(UpstreamFailure, match="an input that is not a JSON object"):
        put_together(Kind.ANTHROPIC, events, "tool_use")


# Gemini


def google(*parts, index=0, **fields):
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": index} | fields],
        "responseId": "r",
    }


CALL = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ([[{"text": "h", "thought": True}], [{"text": "m", "thought": True}], [{"text": "a"}, {"text": "b"}]],
         [{"text": "hm", "thought": True}, {"text": "ab"}]),
        ([[{"text": "a"}], [{"text": "", "thoughtSignature": "c2ln"}], [{"text": "b"}]],
         [{"text": "a", "thoughtSignature": "c2ln"}, {"text": "b"}]),
        ([[{"text": "a"}], [CALL], [CALL], [{"text": "b"}]], [{"text": "a"}, CALL, CALL, {"text": "b"}]),
        ([[{"executableCode": {"code": "1"}}], [{"codeExecutionResult": {"output": "1"}}], [{"text": "1"}]],
         [{"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}, {"text": "1"}]),
    ],
    ids=["thoughts", "signature", "calls", "code"],
)  # fmt: skip
def test_pieces_become_parts(events, parts):
    answer = put_together(Kind.GEMINI, [google(*one) for one in events])
    assert answer["candidates"] == [{"content": {"role": "model", "parts": parts}, "index": 0}]


def test_googles_lists_go_on_and_counts_are_totals():
    """Two tokens with log probabilities of -1 and -0.5: their mean is -0.75."""

    def token(word, logprob):
        chosen = [{"token": word, "logProbability": logprob}]
        return {"logprobsResult": {"chosenCandidates": chosen}, "avgLogprobs": logprob}

    site = {"web": {"uri": "https://a.example"}}
    first = google({"text": "a"}, **token("a", -1.0), groundingMetadata={"webSearchQueries": ["q"]})
    second = google(
        {"text": "b"}, finishReason="STOP", **token("b", -0.5), groundingMetadata={"groundingChunks": [site]}
    )
    counts = {"promptTokenCount": 9, "totalTokenCount": 9}
    answer = put_together(
        Kind.GEMINI,
        [
            first | {"usageMetadata": counts},
            second | {"usageMetadata": {"candidatesTokenCount": 2, "totalTokenCount": 11}},
        ],
    )
    (candidate,) = answer["candidates"]
    assert (candidate["avgLogprobs"], len(candidate["logprobsResult"]["chosenCandidates"])) == (-0.75, 2)
    assert candidate["groundingMetadata"] == {"webSearchQueries": ["q"], "groundingChunks": [site]}
    assert answer["usageMetadata"] == {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}


def test_a_blocked_prompt_stays_one():
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    assert put_together(Kind.GEMINI, [blocked]) == blocked


# What streams do not say


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        (Surface.EMBEDDINGS, {"input": "a"}),
        (Surface.CHAT, {"modalities": ["text", "audio"], "audio": {"format": "wav", "voice": "alloy"}}),
        (Surface.GENERATE, {"generationConfig": {"responseModalities": ["AUDIO"]}}),
    ],
    ids=["embeddings", "speech", "Google's speech"],
)
def test_what_streams_do_not_say_is_asked_for_as_a_whole(surface, body):
    assert not streams_say_all(Call(surface, body))
