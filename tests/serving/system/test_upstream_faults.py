"""Every fault of the scripted upstream, in each format, whole and streamed: the right answer or one clean error.

Each fault is played by a model's only provider (``alone``), by the first of two (``failover``), and, where it breaks a
stream after its first token, with the caller's leave to hold the stream back (``guarded``). All are asked at once; the
tests look at what came of each. `make test` plays each fault in two of the five pairs of formats, in turn, so that
each pair meets two fifths of the faults; `make test-all` plays all.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass

import httpx2
import pytest
from processes import eventually
from proxied import KEYS, KINDS
from proxy_calls import ask, heard
from scripted_faults import FAULTS

MAX_ATTEMPTS = 6
AT_ONCE = 80
TOTAL_S = 12  # `proxy_total_s` of the service
BOUND_S = TOTAL_S + 3  # and a busy machine
PAIRS = [*(("chat", kind) for kind in KINDS), ("messages", "anthropic"), ("generate", "gemini")]
CLEAN = {  # what a caller may be told when nobody answers
    **{name: {400} for name in ("status_400", "no_tools", "blocked")},
    "status_403": {400, 403, 502},
    "status_404": {404},
    "status_402": {429, 502},  # a quota that is used up, or only a refused key
    "status_413": {400},
    "status_422": {422},
    "status_429": {429},
    "status_429_long": {429},
    "status_503": {503, 529},
    **{name: {429, 502, 503, 529} for name in ("status_529", "error_event", "error_event_middle")},
}
UNAVAILABLE = {502, 503, 504}
FAILURES = {  # what the log may say of an attempt; `malformed` of the others
    "reset_early": {"connection"},
    "close_early": {"connection"},
    "silence": {"timeout"},
    "late_first_token": {"timeout"},
    "slow_head": {"timeout"},
    "slow_loris": {"timeout"},
    "stall": {"timeout"},
    "reset_middle": {"connection"},
    "cut_chunked": {"connection"},
    "long_length": {"connection"},
    "cut_stream": {"truncated", "malformed"},
    "html_502": {"server"},
    "redirect": {"malformed", "bad_request", "server"},
    **{name: {"malformed", "truncated"} for name in ("malformed", "malformed_middle", "empty_body", "empty_answer")},
    "error_in_200": {"server"},
    "wrong_type": {"malformed", "truncated"},
    "error_event": {"server", "rate_limited"},
    "error_event_middle": {"server", "rate_limited"},
    "status_401": {"key"},
    "tells_key": {"key"},
    "one_key": {"key"},
    "status_402": {"key"},
    "status_403": {"refused"},
    "status_404": {"model_gone"},
    "status_413": {"too_long"},
    "status_400": {"bad_request"},
    "no_tools": {"refused:tools"},
    "blocked": {"refused:content"},
    "status_422": {"bad_request"},
    "status_429": {"rate_limited"},
    "status_429_long": {"rate_limited"},
    "status_529": {"rate_limited", "server"},
    **{f"status_{status}": {"server"} for status in (500, 502, 503)},
}


@dataclass(frozen=True)
class Case:
    """How a fault is met: alone, failover or guarded; whole or stream; among few or all cases."""

    tier: str
    fault: str
    mode: str
    stream: bool
    surface: str
    kind: str

    @property
    def model(self):
        mode = "failover" if self.mode == "guarded" else self.mode
        how = "stream" if self.stream else "whole"
        return f"{self.kind}.{mode}.{self.fault}.{self.surface}-{self.mode}-{how}-{self.tier}"

    @property
    def breaks(self):
        """Whether the caller has seen a part of the answer when it breaks."""
        return self.stream and FAULTS[self.fault].late and self.mode != "guarded"

    @property
    def answers(self):
        """Whether the right answer comes."""
        fault = FAULTS[self.fault]
        return fault.harmless or (self.mode != "alone" and not fault.callers and not self.breaks)

    def __str__(self):
        return f"{self.fault}-{self.mode}-{'stream' if self.stream else 'whole'}-{self.surface}-{self.kind}"


def pairs_of(tier, place):
    """Return the pairs of formats in which the fault at this place of the table is met."""
    return PAIRS if tier == "all" else (PAIRS[place % len(PAIRS)], PAIRS[(place + len(PAIRS) // 2) % len(PAIRS)])


def cases(tier):
    for place, (name, fault) in enumerate(FAULTS.items()):
        modes = ["alone"] if fault.harmless else ["alone", "failover"]
        for surface, kind in pairs_of(tier, place):
            for mode in modes:
                yield from (
                    Case(tier, name, mode, stream, surface, kind)
                    for stream in (False, True)
                    if stream or not fault.streams_only
                )
            if fault.late:
                yield Case(tier, name, "guarded", stream=True, surface=surface, kind=kind)


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def outcomes(proxy, request):
    """What came of each case."""
    gate = asyncio.Semaphore(AT_ONCE)
    played = list(cases(request.param))

    async def play_all():
        limits, headers = httpx2.Limits(max_connections=AT_ONCE), {"authorization": f"Bearer {proxy.key}"}
        client = httpx2.AsyncClient(base_url=proxy.url, headers=headers, limits=limits, timeout=60, trust_env=False)
        async with client:
            huge = [await play(client, case) for case in played if case.fault == "huge"]  # alone: they take the core
            rest = await asyncio.gather(*(play(client, case) for case in played if case.fault != "huge"))
        return [huge.pop(0) if case.fault == "huge" else rest.pop(0) for case in played]

    async def play(client, case):
        guard = {"x_router_stream_guard": "buffer"} if case.mode == "guarded" else {}
        async with gate:
            return await ask(client, case.surface, case.model, stream=case.stream, **guard)

    return dict(zip(played, asyncio.run(play_all()), strict=True))


@pytest.fixture(scope="module")
def attempts(outcomes, proxy):
    """The rows of the attempt log by model, in the order of the calls."""
    found = {}

    def all_there():
        found.clear()
        for row in proxy.rows("attempts"):
            found.setdefault(row["model"], []).append(row)
        return {case.model for case in outcomes} <= set(found)

    eventually(all_there, "every call is in the log", limit_s=20)
    return found


def cases_of(outcomes, fault, wanted=lambda _: True):
    return [case for case in outcomes if case.fault == fault and wanted(case)]


def right_texts(case):
    """Return what the provider may say; it says a piece twice in ``duplicate_chunk``, and that is passed on."""
    said = heard(case.surface)
    text, pieces = said.text(), said.pieces()
    if case.fault == "duplicate_chunk":
        return {"".join([*pieces[:n], pieces[n], *pieces[n:]]) for n in range(len(pieces))}
    return {text + "x" * FAULTS[case.fault].changes.get("padding", 0)}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_caller_gets_the_right_answer_or_one_clean_error(outcomes, fault):
    for case in cases_of(outcomes, fault, lambda case: not case.breaks):
        outcome = outcomes[case]
        assert outcome.is_complete, case
        if not case.answers:
            assert outcome.status in CLEAN.get(fault, UNAVAILABLE), (case, outcome)
            assert (len(outcome.errors), outcome.text) == (1, ""), (case, outcome)
            continue
        assert (outcome.status, outcome.errors, outcome.ends) == (200, [], 1), (case, outcome)
        assert outcome.text in right_texts(case), case
        provider = f"{case.kind}-{fault}" if FAULTS[fault].harmless else f"{case.kind}-healthy"
        assert outcome.headers["x-router-provider"] == provider, case


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_say_what_was_wrong_and_no_more(outcomes, fault):
    for case in cases_of(outcomes, fault):
        for error in outcomes[case].errors:
            assert 0 < len(error["message"]) < 1000, (case, error)
            assert not any(secret in str(error) for secret in ("<html>", *KEYS.values())), (case, error)
        if not case.answers and fault.startswith("status_429"):
            assert int(outcomes[case].headers["retry-after"]) >= 1, case


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.late])
def test_a_stream_that_breaks_says_so(outcomes, fault):
    """After the first token: a part of the answer, one error, the end of the format, and no word that all was well."""
    for case in cases_of(outcomes, fault, lambda case: case.breaks):
        outcome = outcomes[case]
        assert (outcome.status, len(outcome.errors), outcome.ends) == (200, 1, 0), (case, outcome)
        assert outcome.is_complete, case
        assert outcome.text, case
        assert heard(case.surface).text().startswith(outcome.text), case


@pytest.mark.parametrize("fault", FAULTS)
def test_attempts_are_few_and_logged(outcomes, attempts, fault):
    for case in cases_of(outcomes, fault):
        logged = attempts[case.model]
        failures = [row["error_type"] for row in logged]
        assert 1 <= len(logged) <= (1 if FAULTS[fault].callers else MAX_ATTEMPTS), case
        assert logged[0]["provider"] == f"{case.kind}-{fault}", case
        if case.answers:
            assert failures.pop() is None, case
            assert (logged[-1]["input_tokens"], logged[-1]["cached_input_tokens"]) == (31, 4), case
        assert bool(failures) != FAULTS[fault].harmless, case
        if not FAULTS[fault].silent and outcomes[case].seconds >= TOTAL_S and failures[-1:] == ["timeout"]:
            failures.pop()  # on a busy machine the call's own time can end during its last attempt
        assert set(failures) <= FAILURES.get(fault, {"malformed"}), (case, failures)
        if case.answers:
            assert int(outcomes[case].headers["x-router-attempts"]) == len(logged), case


@pytest.mark.parametrize("fault", FAULTS)
def test_the_log_has_every_request_that_was_sent(upstream, outcomes, attempts, fault):
    sent = Counter(
        f"{one.kind}-{one.play} {one.path if one.kind == 'gemini' else one.body['model']}"
        for one in upstream.received
        if "model" in one.body or one.kind == "gemini"
    )
    for case in cases_of(outcomes, fault):
        rest = case.model.split(".", 3)[3]
        n_logged = sum(row["provider"] == f"{case.kind}-{fault}" for row in attempts[case.model])
        n_sent = sum(n for name, n in sent.items() if name.startswith(f"{case.kind}-{fault} ") and rest in name)
        assert n_sent == n_logged, case


def test_nothing_takes_longer_than_the_total(outcomes):
    assert not {str(case): outcome.seconds for case, outcome in outcomes.items() if outcome.seconds > BOUND_S}


@pytest.mark.usefixtures("outcomes")
def test_no_response_is_left_open(upstream):
    """Each request was answered to its end, or hung up on; none is still being played."""
    eventually(lambda: all(one.is_answered or one.gone_s for one in upstream.received), "none is open", limit_s=5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_key_is_put_aside_by_a_second_refusal(proxy, upstream, kind):
    """Of two keys the first is refused in two calls, which go through with the other, as the next ones do at once."""
    model = f"two-{kind}/keys"
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    attempts = [int(proxy.call("POST", "/v1/chat/completions", body).headers["x-router-attempts"]) for _ in range(4)]
    assert attempts == [2, 2, 1, 1]
    eventually(lambda: len(proxy.rows("attempts", model=model)) == 6, "all are logged")
    assert sum(not one.is_answered for one in upstream.of("keys")) == 0
