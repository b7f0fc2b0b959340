"""Deadlines that follow what a model has lately needed."""

import asyncio
from random import Random

import pytest
from anthropic_examples import ANTHROPIC, CLAUDE
from hypothesis import given
from hypothesis import strategies as st
from scripted_provider import END, Says, World, stream, text
from virtual_time import run

from router_model.serving.formats.format import Call, Surface
from router_model.serving.forwarding.patience import Patience
from router_model.serving.forwarding.rules import PatienceRules
from router_model.serving.forwarding.thinking import Thinking, thinking_of
from router_model.serving.providers.provider import Deadlines, Kind, Provider, Target

pytestmark = pytest.mark.virtual_time

CALL = Call(Surface.CHAT, {})
SILENT = Says(before=[1000.0])


def target(model="small", **limits):
    return Target(model, Provider("p", Kind.OPENAI, "https://p.example/v1", deadlines=Deadlines(**limits)), model)


def after(n, seconds):
    """Return what is answered so many times after so long, and then a silence of 20 s before an answer."""
    return [*[stream(seconds, text("a"), END)] * n, stream(20.0, text("late"), END)]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_20_s_of_silence_of_a_model_that_answers_in_1_fail_over_at_once(streams):
    """Ten answers within 1 s: 4 x (1 + 5 / 10) x 1 s = 6 s are waited for the eleventh, then b answers."""
    world = World({"a:m": after(10, 1.0), "b:m": [stream(text("b"), END)]})
    for _ in range(10):
        await world.read() if streams else await world.forward()
    began = asyncio.get_running_loop().time()
    await world.read() if streams else await world.forward()
    took_s = asyncio.get_running_loop().time() - began
    print(f"failed over after {took_s:g} s")
    assert took_s == pytest.approx(6.0, abs=0.01)
    assert (world.outcomes[-2:], world.asked["b:m"]) == (["timeout", None], 1)


async def test_a_model_that_has_nobody_beside_it_is_waited_for():
    """Nothing is gained by leaving early: 20 s of silence, and the answer."""
    world = World({"a:m": after(10, 1.0)})
    assert [(await world.forward()).body["text"] for _ in range(11)][-1] == "late"


def test_a_stall_after_the_first_token_is_left_as_early():
    """Pauses of 1 s were the longest: 10 s, the floor, are waited under the guard; without it 60 s, as all is lost."""
    paced = stream(text("a"), 1.0, text("b"), END)
    stalled = stream(text("a"), 1000.0)
    for buffer, left_s in ((True, 10.0), (False, 60.0)):
        world = World({"a:m": [*[paced] * 10, stalled], "b:m": [paced]})

        async def main(world=world, buffer=buffer):
            for _ in range(11):
                await world.read(buffer=buffer)

        run(main())
        record = next(record for record in world.records if record.error_type)
        assert (record.error_type, round(record.latency_s, 1)) == ("timeout", left_s)


async def test_a_model_that_becomes_slower_is_waited_for_again():
    """From 1 s to 12 s to the first token: it is cut at 5, 7.5 and 11.25 s, and then waited for."""
    world = World(
        {"a:m": [*[stream(1.0, text("a"), END)] * 20, stream(12.0, text("a"), END)], "b:m": [stream(text("b"), END)]}
    )
    for _ in range(30):
        await world.forward()
    late = [record for record in world.records if record.provider == "a"][20:]
    assert [record.error_type for record in late] == ["timeout"] * 3 + [None] * 7


def test_calls_that_were_cut_at_once_widen_the_deadline_once():
    patience, small = Patience(), target()
    waits = [patience.of(small, CALL, 0, has_others=True).first for _ in range(50)]
    for wait in waits:
        wait.ran_out()
    assert patience.of(small, CALL, 0, has_others=True).first.seconds == 45.0


def share_cut(patience, times):
    """Return the share of calls that are cut, where each would take so long."""
    n_cut = 0
    for seconds in times:
        wait = patience.of(target(), CALL, 0, has_others=True).first
        if seconds > wait.seconds:
            wait.ran_out()
            n_cut += 1
        else:
            wait.took(seconds)
    return n_cut / len(times)


@given(st.floats(0.01, 50.0), st.floats(0.01, 250.0), st.integers())
def test_two_kinds_of_answers_do_not_lock_the_deadline_in(quick_s, slow_s, seed):
    """A tenth of the calls takes longer, however much: soon they are waited for, too."""
    rng = Random(seed)
    times = [slow_s if rng.random() < 0.1 else quick_s for _ in range(2000)]
    assert share_cut(Patience(), times) < 0.03


def test_in_balance_one_call_in_a_hundred_is_cut():
    """Times without any mean (Pareto with exponent 0.9) are not waited for at any price."""
    rng = Random(0)
    assert 0.0 < share_cut(Patience(), [rng.paretovariate(0.9) for _ in range(20_000)]) < 0.02


def test_what_providers_toml_says_is_what_is_waited():
    patience, said = Patience(), target(first_token_s=300.0, idle_s=7.0)
    for _ in range(50):
        patience.of(said, CALL, 10**6, has_others=True).first.took(0.1)
    waits = patience.of(said, CALL, 10**6, has_others=True)
    assert (waits.first.seconds, waits.idle.seconds) == (300.0, 7.0)


def test_long_prompts_take_longer():
    """Each 32 kB may take as long once more; what long ones took is kept as of short ones."""
    patience, small = Patience(), target()
    assert [patience.of(small, CALL, n, has_others=True).first.seconds for n in (31_999, 32_000)] == [30.0, 60.0]
    for _ in range(100):
        patience.of(small, CALL, 96_000, has_others=True).first.took(8.0)
    seconds = [patience.of(small, CALL, n, has_others=True).first.seconds for n in (0, 96_000, 10**9)]
    assert seconds == pytest.approx([8.4, 33.6, 84.0])  # 4 x 1.05 x 8 s / 4, and x 4, and x 10, which is the most


def test_memory_is_bounded():
    patience = Patience(PatienceRules(most_candidates=10, window=7))
    for number in range(100):
        for _ in range(20):
            patience.of(target(f"m{number}"), CALL, 0, has_others=True).first.took(1.0)
    assert len(patience._seen) <= 10
    assert {len(seen.first.times) for _, seen in patience._seen.items()} == {7}


def test_names_that_nobody_answered_drive_nobody_out():
    patience = Patience(PatienceRules(most_candidates=10, at_least=1))
    patience.of(target("real"), CALL, 0, has_others=True).first.took(1.0)
    learned = patience.of(target("real"), CALL, 0, has_others=True).first.seconds
    for number in range(100):
        patience.of(target(f"made up {number}"), CALL, 0, has_others=True)
    assert patience.of(target("real"), CALL, 0, has_others=True).first.seconds == learned


THINKING = [
    ("gpt-4o", {}, "none"),
    ("openai/o3", {}, "some"),
    ("o4-mini-2025-04-16", {}, "some"),
    ("gpt-5.1", {}, "some"),
    ("gpt-5-chat-latest", {}, "none"),
    ("gpt-5.2-pro", {}, "deep"),
    ("o3-deep-research", {}, "deep"),
    ("google/gemini-2.5-pro", {}, "some"),
    ("gemini-2.0-flash", {}, "none"),
    ("deepseek/deepseek-r1:free", {}, "some"),
    ("qwen3-30b-a3b-instruct-2507", {}, "none"),
    ("kimi-k2-thinking", {}, "some"),
    ("claude-sonnet-4-5", {}, "none"),
    ("gpt-5.1", {"reasoning_effort": "none"}, "none"),
    ("gpt-5.1", {"reasoning": {"effort": "xhigh"}}, "deep"),
    ("any", {"reasoning": {"enabled": False}}, "none"),
    ("any", {"reasoning": {"max_tokens": 2000}}, "some"),
    ("any", {"thinking": {"type": "enabled", "budget_tokens": 20_000}}, "deep"),
    ("any", {"thinking": {"type": "adaptive"}}, "some"),
    ("any", {"output_config": {"effort": "max"}}, "deep"),
]


@pytest.mark.parametrize(("model", "body", "expected"), THINKING)
def test_who_thinks_gets_minutes(model, body, expected):
    assert thinking_of(Call(Surface.CHAT, body), target(model)) == expected
    seconds = Patience().of(target(model), Call(Surface.CHAT, body), 0, has_others=True).first.seconds
    assert seconds == {"none": 30.0, "some": 300.0, "deep": 600.0}[expected]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": -1}, "some"),
        ({"thinkingLevel": "HIGH"}, "deep"),
        ({}, "some"),
    ],
)
def test_google_names_its_budgets_otherwise(config, expected):
    call = Call(Surface.GENERATE, {"generationConfig": {"thinkingConfig": config}})
    assert thinking_of(call, target("gemini-2.5-flash")) == Thinking(expected)


def test_a_model_that_thinks_is_not_measured_by_its_easy_answers():
    """Fifty answers within 1 s: a minute of silence is still no sign of anything."""
    patience, thinks = Patience(), target("openai/o3")
    for _ in range(50):
        patience.of(thinks, CALL, 0, has_others=True).first.took(1.0)
    assert patience.of(thinks, CALL, 0, has_others=True).first.seconds == 60.0


@given(st.integers(1, 5), st.floats(10.0, 600.0), st.booleans(), st.sampled_from([SILENT, stream(text("a"), 1000.0)]))
def test_no_candidate_takes_more_than_half_of_what_is_left(n_silent, total_s, buffer, silent):
    """Whoever is silent or stalls, as a whole answer or under the guard: time is left for those who were not tried."""
    names = [f"p{number}:m" for number in range(n_silent)]
    world = World({**{name: [silent] for name in names}, "good:m": [stream(text("b"), END)]})

    run(world.read(buffer=True, total_s=total_s) if buffer else world.forward(total_s=total_s))
    left_s = total_s
    for record in world.records[:-1]:
        assert record.latency_s <= left_s / 2 + 1e-6
        left_s -= record.latency_s
    assert world.records[-1].error_type is None


def test_claude_thinks_where_it_is_asked_to():
    body = {"thinking": {"type": "enabled", "budget_tokens": 4000}}
    assert thinking_of(Call(Surface.MESSAGES, body), CLAUDE) == "some"
    assert thinking_of(Call(Surface.MESSAGES, {}), Target("c", ANTHROPIC, "claude-opus-4-1")) == "none"
