"""Usage that cannot be, in whole answers and streams of each format: what callers are told of it."""

from decimal import Decimal

import orjson
import pytest

from router_model.catalog import ModelCard
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind, Provider, Target

CARD = ModelCard("m", Decimal(1), Decimal(10), context_window=100_000)
WORDS = "word " * 80
"""400 bytes: 100 tokens by estimate."""
KIND = {Surface.CHAT: Kind.OPENAI, Surface.MESSAGES: Kind.ANTHROPIC, Surface.GENERATE: Kind.GEMINI}
QUESTION = {"role": "user", "content": "Which rivers cross Vienna?"}
BODY = {
    Surface.CHAT: {"messages": [QUESTION]},
    Surface.MESSAGES: {"max_tokens": 200, "messages": [QUESTION]},
    Surface.GENERATE: {"contents": [{"role": "user", "parts": [{"text": QUESTION["content"]}]}]},
}


def chunk(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **fields}


def chat_events(*usages):
    """Return a stream that has such a usage on each of its chunks."""
    ends = ["stop" if index == len(usages) - 1 else None for index in range(len(usages))]
    words = WORDS[: len(WORDS) // len(usages)]
    return [
        chunk({"content": words}, end, **({} if usage is None else {"usage": usage}))
        for usage, end in zip(usages, ends, strict=True)
    ]


def claude_events(start, delta):
    message = {"id": "msg", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": start}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": delta},
        {"type": "message_stop"},
    ]


def gemini_events(usage):
    content = {"role": "model", "parts": [{"text": WORDS}]}
    counts = {} if usage is None else {"usageMetadata": usage}
    return [{"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], **counts}]


def counts(n_in, n_out):
    return {"prompt_tokens": n_in, "completion_tokens": n_out, "total_tokens": n_in + n_out}


def tokens(n_in, n_out):
    return {"input_tokens": n_in, "output_tokens": n_out}


def google(n_in, n_out):
    return {"promptTokenCount": n_in, "candidatesTokenCount": n_out, "totalTokenCount": n_in + n_out}


def play(surface, events):
    """Return what a stream sends, and its facts."""
    target = Target("m", Provider("p", KIND[surface], "https://p.example/v1"), "m", CARD)
    call = Call(surface, BODY[surface], stream=True)
    adapter = adapter_for(surface, KIND[surface])
    stream = adapter.stream(call, target, adapter.request(call, target, None).sent)
    sent = []
    for event in events:
        name = f"event: {event['type']}\n".encode() if "type" in event else b""
        sent += stream.feed(name + b"data: " + orjson.dumps(event) + b"\n\n")
    sent += stream.end({})
    return b"".join(sent), stream.facts


CASES = [
    pytest.param(Surface.CHAT, chat_events(None, None), None, "input_missing output_missing", id="chat without usage"),
    pytest.param(Surface.CHAT, chat_events(counts(0, 0)), None, "input_zero output_zero", id="chat, all zero"),
    pytest.param(Surface.CHAT, chat_events(counts(14, 0)), None, "output_zero", id="chat, output zero"),
    pytest.param(
        Surface.CHAT,
        chat_events(counts(14, 1), counts(14, 40), counts(14, 95)),
        (14, 95),
        "",
        id="chat, usage so far on each chunk: the last counts",
    ),
    pytest.param(
        Surface.CHAT, chat_events(counts(14, 95), counts(0, 0)), (14, 95), "", id="chat, zeros after the counts"
    ),
    pytest.param(
        Surface.MESSAGES,
        claude_events(tokens(0, 0), tokens(14, 95)),
        (14, 95),
        "",
        id="messages, zero at the start and right at the end",
    ),
    pytest.param(
        Surface.MESSAGES,
        claude_events(tokens(14, 1), tokens(0, 95)),
        (14, 95),
        "",
        id="messages, right at the start and zero at the end",
    ),
    pytest.param(
        Surface.MESSAGES, claude_events(tokens(14, 1), {"output_tokens": 95}), (14, 95), "", id="messages by the book"
    ),
    pytest.param(
        Surface.MESSAGES,
        claude_events(tokens(0, 0), tokens(0, 0)),
        None,
        "input_zero output_zero",
        id="messages, all zero",
    ),
    pytest.param(Surface.GENERATE, gemini_events(google(14, 95)), (14, 95), "", id="generate by the book"),
    pytest.param(
        Surface.GENERATE, gemini_events(google(0, 0)), None, "input_zero output_zero", id="generate, all zero"
    ),
    pytest.param(
        Surface.GENERATE, gemini_events(None), None, "input_missing output_missing", id="generate without usage"
    ),
]


@pytest.mark.parametrize(("surface", "events", "believed", "reasons"), CASES)
def test_a_stream_says_what_was_counted_and_whether_it_was_estimated(surface, events, believed, reasons):
    sent, facts = play(surface, events)
    assert " ".join(facts.estimate_reasons) == reasons
    assert (b'"estimated":[' in sent) is bool(reasons)
    if believed is None:
        assert facts.usage.output_tokens == 100
        assert 10 < facts.usage.input_tokens < 50
    else:
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == believed
    named = {Surface.CHAT: "completion_tokens", Surface.MESSAGES: "output_tokens"}.get(surface, "candidatesTokenCount")
    assert f'"{named}":{facts.usage.output_tokens}'.encode() in sent


def test_what_was_settled_is_not_estimated_again():
    _, facts = play(Surface.CHAT, chat_events(counts(0, 0)))
    assert facts.is_settled
    assert facts.budget_usd == pytest.approx(facts.cost_usd)
