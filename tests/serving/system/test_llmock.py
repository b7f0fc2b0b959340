"""Every fault that llmock has, through the proxy, for each adapter; and what llmock thinks of how we took it.

llmock judges its client: whether ``Retry-After`` was waited for, nothing was repeated that cannot succeed, and no
stream that was cut was taken for an answer. All calls are made at once, each of a model of its own, at which its
faults aim. `make test` plays each fault in two of the five pairs of formats, in turn; `make test-all` plays all.
"""

import asyncio
import json
from dataclasses import dataclass, replace

import httpx2
import pytest
from proxied import KINDS, proxied
from proxy_calls import ask

pytest.importorskip("llmock", reason="needs the extra dev")

from llmock.ratelimit import LimitSettings
from llmock.scenarios import Delay, Fail, Match, Reply, SlowFirstToken, StreamFault, ToolFault
from llmock.verdict import judge

ANSWER = "one two three four five six seven eight nine ten"
PAIRS = [*(("chat", kind) for kind in KINDS), ("messages", "anthropic"), ("generate", "gemini")]
PATHS = {"openai": "", "anthropic": "/v1", "gemini": "/v1beta"}
STREAM_FAULTS = ("disconnect", "truncate", "malformed", "stall")
AFTER_THE_FIRST_TOKEN = 6
DEADLINES = {"connect_s": 2.0, "first_token_s": 1.5, "idle_s": 1.5, "total_s": 10.0}
BEFORE_ASKING_AGAIN_S = 0.5
"""llmock takes a call for a retry only if it has noticed that the one before has ended."""


@dataclass(frozen=True)
class Script:
    """Attributes
    ----------
    fault : what llmock does, if anything
    statuses : one of them the caller gets
    breaks : whether a stream breaks after its first token
    """

    fault: object = None
    statuses: tuple[int, ...] = (200,)
    breaks: bool = False


ANY = {
    "healthy": Script(),
    "bad_request": Script(Fail(400, times=None), (400,)),
    "unprocessable": Script(Fail(422, times=None), (400, 422)),
    "not_found": Script(Fail(404, times=None), (404,)),
    "too_long": Script(Fail(400, code="context_length_exceeded", message="prompt is too long", times=None), (400, 413)),
    "rate_limited": Script(Fail(429, retry_after=0.4)),
    "rate_limited_for_long": Script(Fail(429, retry_after=900, times=None), (429,)),
    **{f"once_{status}": Script(Fail(status)) for status in (408, 500, 502, 503, 504, 529)},
    "outage": Script(Fail(503, times=None), (502, 503, 529)),  # Anthropic's is "overloaded"
    "delay": Script(Delay(0.3)),
    "long_delay": Script(Delay(3.5)),
    "key_401": Script(Fail(401, times=None), (502, 503)),
    "key_402": Script(Fail(402, times=None), (429,)),  # the account's quota is used up
    "refused_403": Script(Fail(403, times=None), (400,)),  # this model, this prompt: the key is in order
}
STREAMED = {
    "slow_first_token": Script(SlowFirstToken(0.3)),
    "late_first_token": Script(SlowFirstToken(3)),
    **{f"{kind}_early": Script(StreamFault(kind, after_chunks=0, stall_seconds=30)) for kind in STREAM_FAULTS},
    **{
        f"{kind}_late": Script(StreamFault(kind, after_chunks=AFTER_THE_FIRST_TOKEN, stall_seconds=30), breaks=True)
        for kind in STREAM_FAULTS
    },
}
GUARDED = {name: replace(script, breaks=False) for name, script in STREAMED.items() if script.breaks}
MODES = {"whole": ANY, "stream": ANY | STREAMED, "guarded": GUARDED}


@dataclass(frozen=True)
class Case:
    """One script, for one surface before one kind of provider; streams may be guarded."""

    name: str
    mode: str
    surface: str
    kind: str

    @property
    def script(self):
        return MODES[self.mode][self.name]

    @property
    def upstream_model(self):
        return f"{self.name}.{self.mode}.{self.surface}"

    def __str__(self):
        return f"{self.upstream_model}-{self.kind}"


SCRIPTS = [(mode, name) for mode, scripts in MODES.items() for name in scripts]


def pairs_of(tier, place, name):
    """Return the pairs of formats in which the script at this place of the table is played."""
    if tier == "all" or name == "rate_limited_for_long":  # each kind's verdict on it is asked for
        return PAIRS
    return PAIRS[place % len(PAIRS)], PAIRS[(place + len(PAIRS) // 2) % len(PAIRS)]


def cases(tier):
    return [
        Case(name, mode, *pair) for place, (mode, name) in enumerate(SCRIPTS) for pair in pairs_of(tier, place, name)
    ]


def providers(server):
    """One provider a format; without a key, because one that is refused or limited once is so for all calls."""
    deadlines = json.dumps(DEADLINES).replace(":", " =")
    return "\n".join(
        f'[{kind}]\nkind = "{kind}"\nbase_url = "{server.base_url(kind)}{PATHS[kind]}"\n'
        f'models = {{ "{kind}/*" = "*" }}\ndeadlines = {deadlines}\n'
        for kind in KINDS
    )


async def play(client, server, case):
    """Return what the caller got; where its stream broke, also what it got when it asked again."""
    match = Match(provider=case.kind, model=case.upstream_model)
    server.state.scenarios.add(Reply(text=ANSWER, times=None, match=match))
    if case.script.fault is not None:
        server.state.scenarios.add(replace(case.script.fault, match=match))
    guard = {"x_router_stream_guard": "buffer"} if case.mode == "guarded" else {}
    got = []
    for n_asked in range(1 + case.script.breaks):
        await asyncio.sleep(n_asked * BEFORE_ASKING_AGAIN_S)
        model = f"{case.kind}/{case.upstream_model}"
        got.append(await ask(client, case.surface, model, stream=case.mode != "whole", **guard))
    return got


@pytest.fixture(scope="module")
def service(trained, llmock_server, tmp_path_factory):
    llmock_server.state.reset()
    with proxied(tmp_path_factory.mktemp("llmock") / "service", trained.path, providers(llmock_server)) as running:
        yield running


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def told(service, llmock_server, request):
    """What came of each case, and llmock's records of them by model and path."""
    played = cases(request.param)
    llmock_server.state.reset()
    llmock_server.state.stream_chaos = replace(llmock_server.state.stream_chaos, chunk_delay_ms=20)

    async def play_all():
        limits = httpx2.Limits(max_connections=40)
        headers = {"authorization": f"Bearer {service.key}"}
        async with httpx2.AsyncClient(
            base_url=service.url, headers=headers, limits=limits, timeout=60, trust_env=False
        ) as client:
            return await asyncio.gather(*(play(client, llmock_server, case) for case in played))

    outcomes = dict(zip(played, asyncio.run(play_all()), strict=True))
    records = llmock_server.state.journal.records(wait=5)
    llmock_server.state.reset()
    return outcomes, records


@pytest.mark.parametrize(("mode", "name"), SCRIPTS)
def test_the_caller_gets_the_answer_or_a_clean_error(told, mode, name):
    outcomes, _ = told
    for case in (one for one in outcomes if (one.mode, one.name) == (mode, name)):
        first, last = outcomes[case][0], outcomes[case][-1]
        if case.script.breaks:
            assert first.status == 200, case
            assert ANSWER.startswith(first.text.rstrip()), case
            assert first.text, case
            assert (len(first.errors), first.ends, first.is_complete) == (1, 0, True), (case, first)
        assert last.status in case.script.statuses, (case, last)
        if last.status == 200:
            assert (last.text.rstrip(), last.errors, last.ends) == (ANSWER, [], 1), (case, last)
        else:
            assert last.errors, case
            assert not last.text, case


def verdict_of(records, *, kind, hopeless):
    """Return llmock's verdict on a provider's calls: those that were to be waited for too long, or all others."""
    return judge(
        record
        for record in records
        if record.provider == kind and record.model.startswith("rate_limited_for_long") == hopeless
    )


@pytest.mark.parametrize("kind", KINDS)
def test_llmock_finds_nothing_wrong(told, kind):
    """Neither errors nor warnings: no retry too early or too often, no broken stream taken for an answer."""
    verdict = verdict_of(told[1], kind=kind, hopeless=False)
    assert verdict.faults >= sum(case.kind == kind and case.script.fault is not None for case in told[0]) / 2
    assert not verdict.findings, verdict.render()
    assert max(len(call.attempts) for call in verdict.calls) <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_waited_for_is_not_tried_again(told, kind):
    """A quarter of an hour is beyond the deadline: one attempt, and the caller is told how long (llmock warns)."""
    verdict = verdict_of(told[1], kind=kind, hopeless=True)
    assert {len(call.attempts) for call in verdict.calls} == {1}
    assert {finding.code for finding in verdict.findings} == {"gave_up"}
    waits = {int(asked[0].headers["retry-after"]) for case, asked in told[0].items() if "for_long" in case.name}
    assert waits <= {300}  # they say a quarter of an hour; after five minutes it is worth asking again


@pytest.mark.parametrize("kind", ["openai", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
def test_a_quota_is_waited_for(service, llmock_server, kind):
    """6,000 tokens a minute are 100 a second: after a call of 5,950 one of about 100 waits for half a second."""
    llmock_server.state.reset()
    llmock_server.state.limiter.configure(LimitSettings(tpm=6000))
    try:
        for n_tokens in (5950, 100):
            body = {"model": f"{kind}/quota", "messages": [{"role": "user", "content": "hi"}], "max_tokens": n_tokens}
            assert service.call("POST", "/v1/chat/completions", body).status_code == 200
        verdict = judge(llmock_server.state.journal.records(wait=2))
        assert {record.status for call in verdict.calls for record in call.attempts} == {200, 429}
        assert not verdict.findings, verdict.render()
    finally:
        llmock_server.state.limiter.configure(LimitSettings())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["malformed_arguments", "unknown_tool"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_tool_call_is_the_models_and_passes(service, llmock_server, kind, fault, stream):
    """What a model says is not ours to mend; it must neither break the service nor be hidden."""
    llmock_server.state.reset()
    llmock_server.state.scenarios.add(ToolFault(fault))
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    body = {
        "model": f"{kind}/{fault}",
        "messages": [{"role": "user", "content": "weather in Paris"}],
        "tools": tools,
        "stream": stream,
    }
    answer = service.call("POST", "/v1/chat/completions", body)
    assert answer.status_code == 200, answer.text
    assert '"tool_calls"' in answer.text
    assert not judge(llmock_server.state.journal.records(wait=2)).findings
