"""What follows a refusal, now and later; the clock is virtual."""

import asyncio
import json
from decimal import Decimal

import pytest
from scripted_provider import Says, World, refuses, status, stream, whole
from virtual_time import run

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import UpstreamError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.forwarding.refusals import Refusals, Wishes
from router_model.serving.forwarding.rules import RefusalRules, Rules
from router_model.serving.providers.failures import Refusal
from router_model.serving.providers.provider import Kind, Provider, Target

pytestmark = pytest.mark.virtual_time

TOOLS = {"messages": [], "tools": [{"type": "function"}]}
NO_TOOLS = refuses("this model does not support tools")


def forwarded(world, **fields):
    reply = run(world.forward(**fields))
    world.assert_clean()
    return reply


def model(name, *, provider="p", kind=Kind.OPENAI, upstream=None):
    return Target(name, Provider(provider, kind, "https://p.example/v1"), upstream or name)


def test_the_next_candidate_answers_and_the_record_says_what_was_refused():
    world = World({"a:m": [NO_TOOLS], "b:m": [whole("from b")]})
    assert forwarded(world, body=TOOLS).target.provider.name == "b"
    assert world.outcomes == ["refused:tools", None]


def test_all_refuse_alike():
    """The first one's 400 with its words, and the others' beside it; no breaker counts it, and no key."""
    world = World({f"{name}:m": [NO_TOOLS] for name in "abc"}, keys={"a": ["k1", "k2"]})
    for _ in range(6):
        with pytest.raises(UpstreamError, match="^this model does not support tools$") as caught:
            run(world.forward(body=TOOLS))
    error = caught.value
    assert (error.status, error.type, error.code) == (400, "invalid_request_error", "unsupported_parameter")
    assert [one["error_type"] for one in error.metadata["previous_errors"]] == ["refused:tools"] * 2
    assert set(world.keys(world.targets[0].provider).states().values()) == {"ok"}
    assert forwarded(World({"a:m": [whole()]})).n_attempts == 1


def test_a_plain_bad_request_is_asked_of_nobody_else():
    world = World({"a:m": [refuses("messages: field required")], "b:m": [whole()]})
    with pytest.raises(UpstreamError, match="field required") as caught:
        run(world.forward(body=TOOLS))
    assert (caught.value.status, len(world.sent)) == (400, 1)


@pytest.mark.parametrize(
    ("message", "body", "sent"),
    [
        ("'temperature' is not supported with this model", {"temperature": 1, "n": 2}, {"n": 2}),
        ("Unknown parameter: 'store'", {"store": True}, {}),
        ("property 'user' is unsupported", {"user": "u", "stop": "x"}, {"stop": "x"}),
        ("parallel_tool_calls is not supported", {"parallel_tool_calls": False}, {}),
        ("body.max_completion_tokens: Extra inputs are not permitted", {"max_completion_tokens": 9}, {"max_tokens": 9}),
        (
            "'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            {"max_tokens": 9},
            {"max_completion_tokens": 9},
        ),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_what_changes_nothing_is_left_out_at_once(message, body, sent, streams):
    """The same model with the same key; so for a model that was named and has no other provider."""
    says = stream(b'data: {"text": "hi"}\n\ndata: {"done": "stop"}\n\n') if streams else whole()
    world = World({"a:m": [refuses(message), says]}, keys={"a": ["k1"]})
    run((world.read if streams else world.forward)(body={"messages": [], **body}))
    assert [json.loads(content) for content in world.contents] == [{"messages": [], **body}, {"messages": [], **sent}]
    assert [key for _, _, key in world.sent] == ["k1", "k1"]
    assert world.times == [0.0, 0.0]
    assert world.outcomes[1:] == [None]


async def test_what_is_left_out_once_is_not_sent_again():
    """One failing call is paid, not one a request."""
    world = World({"a:m": [refuses("Unknown parameter: 'store'"), whole()]})
    for _ in range(3):
        await world.forward(body={"messages": [], "store": True})
    assert len(world.sent) == 4


async def test_a_hint_that_is_refused_again_stays_left_out():
    """Calls: refused and taken; after ten minutes the same, as it was sent once; after that it is left out again."""
    no_store = refuses("Unknown parameter: 'store'")
    world = World({"a:m": [no_store, whole(), no_store, whole()]})
    await world.forward(body={"messages": [], "store": True})
    await asyncio.sleep(600)
    await world.forward(body={"messages": [], "store": True})
    await asyncio.sleep(600)
    await world.forward(body={"messages": [], "store": True})
    assert ["store" in json.loads(content) for content in world.contents] == [True, False, True, False, False]


def test_a_refusal_that_comes_again_without_its_cause_goes_to_the_next():
    world = World({"a:m": [refuses("Unknown parameter: 'store'")], "b:m": [whole()]})
    assert forwarded(world, body={"messages": [], "store": True}).target.provider.name == "b"
    assert world.asked == {"a:m": 2, "b:m": 1}


def test_no_more_than_the_attempts_there_are():
    world = World({"a:m": [refuses("Unknown parameter: 'store'")]}, rules=Rules(max_attempts=1))
    with pytest.raises(UpstreamError, match="store"):
        run(world.forward(body={"messages": [], "store": True}))
    assert len(world.sent) == 1


async def test_what_a_model_refused_is_asked_of_others_first_for_a_while():
    """Ten minutes; then one request finds out, and meanwhile the others go by what was known. A success forgets it."""
    world = World({"a:m": [NO_TOOLS, whole(), NO_TOOLS, whole()], "b:m": [whole()]})
    who = []

    async def ask(body=TOOLS):
        reply = await world.forward(body=body)
        who.append(f"{reply.target.provider.name}{reply.n_attempts}")

    await ask()  # a refuses
    await ask()
    await ask({"messages": []})  # asks for no tools
    await asyncio.sleep(600)
    await ask()  # a is asked again, and refuses again: twenty minutes
    await ask()
    await asyncio.sleep(601)
    await ask()
    await asyncio.sleep(600)
    await ask()  # a takes it
    await ask()
    assert who == ["b2", "b1", "a1", "b2", "b1", "b1", "a1", "a1"]


async def test_a_model_that_refused_is_asked_where_nobody_else_can():
    world = World({"a:m": [NO_TOOLS, whole()], "b:m": [status(500)]})
    with pytest.raises(UpstreamError, match="tools"):
        await world.forward(body=TOOLS)
    reply = await world.forward(body=TOOLS)
    assert (reply.target.provider.name, reply.n_attempts) == ("a", 3)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"messages": []}, Refusal(("tools",))),  # it is not in the request
        ({"messages": [{"role": "user", "content": "this model does not support tools"}], "tools": [{}]}, None),
        ({"messages": [], "tools": [{}]}, Refusal(("content",))),
        ({"messages": [], "reasoning_effort": "huge"}, Refusal(("reasoning_effort",), of_value=True)),
    ],
)
def test_no_caller_can_make_others_pay(body, refusal):
    """Nothing is learned of what was not asked, of the caller's own words, of contents, and of values nobody knows."""
    refusals, m = Refusals(RefusalRules()), model("m")
    refusal = refusal or Refusal(("tools",), "does not support tools")
    Wishes(Call(Surface.CHAT, body), refusals).note(m, refusal, json.dumps(body).encode(), now=0.0)
    assert list(refusals.knows(m)) == []


def test_a_value_that_is_refused_concerns_that_value_alone():
    refusals, m = Refusals(RefusalRules()), model("m")

    def wishes(effort):
        return Wishes(Call(Surface.CHAT, {"reasoning_effort": effort}), refusals)

    refusal = Refusal(("reasoning_effort",), of_value=True)
    assert not wishes("minimal").note(m, refusal, b'{"reasoning_effort": "minimal"}', now=0.0)
    assert wishes("minimal").refused(m, 1.0) == {"reasoning_effort=minimal"}
    assert wishes("low").refused(m, 1.0) == set()


def test_memory_is_bounded():
    refusals = Refusals(RefusalRules(most_targets=3))
    for i in range(9):
        refusals.note(model(f"m{i}"), ["tools"], now=0.0)
        refusals.note(model(f"x{i}"), [], now=0.0)
    assert [i for i in range(9) if refusals.knows(model(f"m{i}"))] == [6, 7, 8]


def test_a_refusal_that_is_confirmed_is_kept_twice_as_long_up_to_a_limit():
    refusals, m, now, pauses = Refusals(RefusalRules(first_s=10, longest_s=30, probe_s=1)), model("m"), 0.0, []
    for _ in range(4):
        refusals.note(m, ["tools"], now)
        began = now
        while refusals.of(m, ["tools"], now):
            now += 1
        pauses.append(now - began)
    assert pauses == [10, 20, 30, 30]


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({"stop": ["END"]}, "openai/gpt-4o"),
        ({"stop": [str(i) for i in range(5)]}, "llama"),
        ({"logprobs": True}, "openai/gpt-4o"),
        ({"tools": [{}], "tool_choice": "required"}, "openai/gpt-5"),
        ({"temperature": 0.2}, "openai/gpt-5"),
    ],
)
def test_candidates_that_have_what_is_needed_go_first(body, first):
    """A preference is no reason to ask another model than the router chose; it is left out, and told."""
    targets = [model("openai/gpt-5"), model("openai/gpt-4o"), model("llama")]
    wishes = Wishes(Call(Surface.CHAT, body), Refusals(RefusalRules()))
    assert wishes.arranged(targets, 0.0)[0].model == first


FILTERED = Says(
    [json.dumps({"text": "", "usage": [7, 0], "finish": "content_filter"}).encode()],
    headers={"content-type": "application/json"},
)
FILTERED_STREAM = stream(b'data: {"usage": [7, 0]}\n\ndata: {"done": "content_filter"}\n\n')


@pytest.mark.parametrize(("says", "streams"), [(FILTERED, False), (FILTERED_STREAM, True)])
async def test_a_filter_that_says_nothing_leaves_the_word_to_the_next(says, streams):
    """What it read is counted: 7 tokens."""
    answer = stream(b'data: {"text": "hi"}\n\ndata: {"done": "stop"}\n\n') if streams else whole()
    world = World({"a:m": [says], "b:m": [answer]})
    reply = await world.forward(streams=streams)
    if streams:
        async for _ in reply.stream:
            pass
    assert reply.target.provider.name == "b"
    assert (world.outcomes, world.records[0].input_tokens) == (["refused:content", None], 7)


@pytest.mark.parametrize(("says", "streams"), [(FILTERED, False), (FILTERED_STREAM, True)])
def test_a_filter_is_told_where_nobody_else_is_left(says, streams):
    world = World({"a:m": [says]})
    assert forwarded(world, streams=streams).facts.finish_reason == "content_filter"
    assert world.outcomes == [None]


def test_an_effort_of_a_candidate_that_was_refused_is_asked_of_others_first():
    """The caller's body says nothing of it: what the candidate puts there counts. The model without it stays first."""
    card = ModelCard("m:high", Decimal(1), Decimal(1), base_model="m", reasoning_effort="high")
    refuses_effort = refuses("reasoning_effort is not supported with this model")
    world = World({"a:m:high": [refuses_effort], "b:x": [whole("from b")]}, cards={"a:m:high": card})
    for _ in range(3):
        assert forwarded(world).target.provider.name == "b"
    assert world.asked == {"a:m:high": 1, "b:x": 3}
    assert json.loads(world.contents[0]) == {"messages": [], "reasoning_effort": "high"}


def test_calls_of_one_model_are_one_for_its_breaker_and_two_for_what_it_refuses():
    """What a model takes depends on its effort: GPT-5.1 takes a temperature only where it does not reason."""
    low, high = (
        ModelCard(f"m:{effort}", Decimal(1), Decimal(1), base_model="m", reasoning_effort=effort)
        for effort in ("low", "high")
    )
    world = World(
        {"a:m:high": [status(500)], "a:m:low": [status(500)], "b:x": [whole("from b")]},
        cards={"a:m:high": high, "a:m:low": low},
    )
    for _ in range(12):
        assert forwarded(world).target.provider.name == "b"
    assert next(iter(world.forwarder.health.items()))[0] == ("a", "m")
    assert world.asked["a:m:low"] == 0, "it is the model that failed"
