import asyncio
from decimal import Decimal

import anyio
import pytest
from scripted_provider import Says, World, broken, refused, status, stream, text, whole
from virtual_time import run

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, UpstreamError
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.health import HealthRules, HealthState
from router_model.serving.providers.provider import Deadlines

pytestmark = pytest.mark.virtual_time


def forwarded(world, **fields):
    reply = run(world.forward(**fields))
    world.assert_clean()
    return reply


def failed(world, **fields):
    with pytest.raises(UpstreamError, match=".") as caught:
        run(world.forward(**fields))
    world.assert_clean()
    return caught.value


def test_the_first_candidate_answers():
    world = World({"a:m": [whole("hi", delay=1.5)], "b:m": [whole()]})
    reply = forwarded(world)
    assert reply.body == {"text": "hi", "model": "m", "cost": None}
    assert (reply.target.provider.name, reply.n_attempts, reply.stream) == ("a", 1, None)
    assert reply.attempts == world.records
    (record,) = world.records
    assert (record.model, record.provider, record.status, record.error_type) == ("m", "a", 200, None)
    assert (record.input_tokens, record.output_tokens, record.latency_s) == (7, 2, 1.5)
    assert (record.decision_id, record.key_id, record.attempt_id[:4]) == ("dec_1", "key_1", "att_")


@pytest.mark.parametrize(
    "fault",
    [
        refused(),
        status(500),
        status(503),
        Says([b"<html>"], headers={"content-type": "text/html"}),
        Says([b"{", broken()], headers={"content-type": "application/json"}),
        Says([b"{"], headers={"content-type": "application/json"}),
    ],
    ids=["refused", "500", "503", "html", "reset", "no JSON"],
)
def test_a_fault_that_may_pass_is_tried_again_after_a_pause_then_the_next(fault):
    """Attempts at 0 and 0.25 s (half of 0.5 s) at a, at once at b, which answers."""
    world = World({"a:m": [fault], "b:m": [whole("from b")]})
    reply = forwarded(world)
    assert reply.body["text"] == "from b"
    assert [(at, name) for at, (_, name, _) in zip(world.times, world.sent, strict=True)] == [
        (0.0, "a:m"),
        (0.25, "a:m"),
        (0.25, "b:m"),
    ]
    assert world.outcomes[2] is None


def test_a_fault_that_passed_costs_one_attempt():
    assert forwarded(World({"a:m": [status(502), whole()]})).n_attempts == 2


def test_six_attempts_are_all():
    """2 at a, 2 at b, 1 at c and 1 at d: the last one goes to a candidate that was not tried."""
    world = World({f"{name}:m": [status(500)] for name in "abcdef"})
    error = failed(world)
    assert world.asked == {"a:m": 2, "b:m": 2, "c:m": 1, "d:m": 1}
    assert (error.status, error.type, error.code) == (502, "server_error", "upstream_error")
    assert error.metadata["error_type"] == "server"
    assert [one["provider"] for one in error.metadata["previous_errors"]] == ["a", "b", "b", "c", "d"]


def test_a_limited_key_gives_way_to_another_at_once():
    world = World({"a:m": [status(429, retry_after=9), whole()]}, keys={"a": ["k1", "k2"]})
    forwarded(world)
    assert world.sent == [(0.0, "a:m", "k1"), (0.0, "a:m", "k2")]


def test_a_limited_candidate_gives_way_to_the_next_and_is_asked_again_at_the_end():
    """a is limited for 3 s; b fails at 0 and 0.25 s; a again at 3 + 0.25 s of spread."""
    world = World({"a:m": [status(429, retry_after=3), whole()], "b:m": [status(500)]})
    assert forwarded(world).target.provider.name == "a"
    assert world.times == [0.0, 0.0, 0.25, 3.25]


def test_a_retry_after_that_does_not_fit_the_deadline_is_told_to_the_caller():
    world = World({"a:m": [status(429, retry_after=30)]}, keys={"a": ["k1"]})
    error = failed(world, total_s=20.0)
    assert (error.status, error.code, error.headers) == (429, "rate_limit_exceeded", {"retry-after": "30"})
    assert (len(world.sent), error.metadata["provider_code"]) == (1, "theirs")


def test_a_lone_candidate_without_retry_after_is_asked_again_after_pauses_that_double():
    """1, 2 and 4 s between attempts; 8 s are more than a call waits without being told to: the caller is told."""
    world = World({"a:m": [status(429)]})
    assert failed(world).status == 429
    assert world.times == [0.0, 1.0, 3.0, 7.0]


async def test_a_call_waits_for_a_limit_that_another_call_found():
    """Limited at 0 for 4 s; three more calls wait for that. At 4 s one looks whether it is over, then all go."""
    world = World({"a:m": [status(429, retry_after=4), whole(delay=0.25)]}, keys={"a": ["k1"]})
    with pytest.raises(UpstreamError, match="a:m did not answer"):
        await world.forward(total_s=1.0)
    await asyncio.gather(*(world.forward() for _ in range(3)))
    assert world.times == [0.0, 4.0, 4.3, 4.3]


@pytest.mark.parametrize("retry_after", [40, 999_999, 2.3e9])
async def test_a_call_that_cannot_wait_for_a_limit_asks_at_once(retry_after):
    """Within 10 s a limit of 40 s, 12 days or until 2099 is not over. It may be all the same: it is asked."""
    world = World({"a:m": [status(429, retry_after=retry_after), whole()]}, keys={"a": ["k1"]})
    with pytest.raises(UpstreamError, match="did not answer") as caught:
        await world.forward(total_s=10.0)
    assert int(caught.value.headers["retry-after"]) == min(retry_after, 300)
    assert (await world.forward(total_s=10.0)).body["text"] == "hi"
    assert world.times == [0.0, 0.0]


def two_models(says, **given):
    """Two models at one provider, with one key."""
    return World({"a:m": says, "a:n": [whole("from n")]}, keys={"a": ["k1"]}, **given)


@pytest.mark.parametrize("fault", [status(403), status(429), status(429, retry_after=999_999)], ids=str)
async def test_what_one_model_says_leaves_the_others_of_the_key_alone(fault):
    """The fallback at the same provider answers with the same key, in the same call and in the next ones."""
    world = two_models([fault])
    for _ in range(3):
        assert (await world.forward()).body["text"] == "from n"
    assert {key for _, _, key in world.sent} == {"k1"}
    assert world.times == [0.0] * len(world.sent)


def test_a_limit_of_the_whole_key_is_kept_to_for_all_its_models():
    """A limit that the provider says is the key's: n waits for its end, too."""
    world = two_models([status(429, retry_after=3, scope="key"), whole()])
    assert forwarded(world).body["text"] == "from n"
    assert world.times == [0.0, 3.0]


async def test_a_refusal_of_one_prompt_says_nothing_of_the_key():
    """A hundred 403s of one caller: another caller's calls go to the first candidate, at once."""
    world = World({"a:m": [status(403)] * 100 + [whole()]}, keys={"a": ["k1"]})
    for _ in range(100):
        with pytest.raises(UpstreamError, match="status 403"):
            await world.forward(key_id="hostile")
    assert (await world.forward(key_id="healthy")).n_attempts == 1


def test_a_dead_key_does_not_use_up_the_second_attempt():
    world = World({"a:m": [status(401), status(500), whole()]}, keys={"a": ["k1", "k2"]})
    assert forwarded(world).n_attempts == 3


@pytest.mark.parametrize("code", [401, 402])
async def test_a_refused_key_gives_way_to_another_and_a_second_refusal_puts_it_aside(code):
    """k1 is refused in the first call and in the second; the third uses k2 alone. After 5 s k1 is probed."""
    world = World({"a:m": [status(code), whole(), status(code), whole()]}, keys={"a": ["k1", "k2"]})
    ring = world.keys(world.targets[0].provider)
    states = []
    for _ in range(3):
        await world.forward()
        states.append(ring.states()["K1"])
    await asyncio.sleep(5.0)
    await world.forward()
    assert [*states, ring.states()["K1"]] == ["suspected", "refused", "refused", "ok"]
    assert [key for _, _, key in world.sent] == ["k1", "k2", "k1", "k2", "k2", "k1"]


def confirmed(callers, *, says, then):
    """A world with one key, which the first calls were refused with; then a call after `then` seconds."""
    world = World({"a:m": says}, keys={"a": ["k1"]})

    async def main():
        for caller in callers:
            with pytest.raises(UpstreamError, match="key"):
                await world.forward(key_id=caller)
        await asyncio.sleep(then)
        return world.keys(world.targets[0].provider).trouble(asyncio.get_running_loop().time())

    return world, run(main())


@pytest.mark.parametrize(
    ("callers", "aside_for"),
    [(["ann"], []), (["ann", "ann"], [["ann"]]), (["ann", "bob"], [None]), (["ann"] * 9, [["ann"]])],
)
def test_a_key_is_put_aside_by_a_second_sign_and_for_all_by_another_callers(callers, aside_for):
    """What one caller sends may be the reason: it cannot put the key aside for others."""
    _, trouble = confirmed(callers, says=[status(401)], then=1.0)
    assert [one["callers"] for one in trouble] == aside_for


async def test_an_answer_in_between_takes_the_first_sign_back():
    world = World({"a:m": [status(401), whole(), status(401), whole()]}, keys={"a": ["k1"]})
    for is_refused in (True, False, True, False):
        if is_refused:
            with pytest.raises(UpstreamError, match="key"):
                await world.forward()
        else:
            await world.forward()
    assert world.keys(world.targets[0].provider).states() == {"K1": "ok"}


def test_a_call_that_is_refused_twice_is_one_sign():
    """One call, two models at one provider: the key is tried with the second as nothing else is left."""
    world = World({"a:m": [status(401)], "a:n": [status(401)]}, keys={"a": ["k1"]})
    failed(world)
    assert world.asked == {"a:m": 1, "a:n": 1}
    assert world.keys(world.targets[0].provider).states() == {"K1": "suspected"}


def test_a_401_that_is_about_a_model_costs_one_attempt():
    world = two_models([status(401)])
    assert forwarded(world).body["text"] == "from n"


def test_dead_keys_leave_an_attempt_for_the_next_candidate():
    """Of nine dead keys five are found out, then b answers with the sixth attempt."""
    world = World({"a:m": [status(401)], "b:m": [whole()]}, keys={"a": [f"k{i}" for i in range(9)]})
    assert forwarded(world).target.provider.name == "b"
    assert world.asked == {"a:m": 5, "b:m": 1}


def test_a_refused_key_of_ours_does_not_look_like_the_callers():
    body = b'{"message": "Incorrect API key provided: sk-secret"}'
    world = World({"a:m": [status(401, body=body)]}, keys={"a": ["k1"]})
    for _ in range(3):
        with pytest.raises(UpstreamError, match="the provider refused the router's key") as caught:
            run(world.forward())
        assert caught.value.status == 502
        assert "secret" not in f"{caught.value.message}{caught.value.metadata}"
    assert len(world.sent) == 3


@pytest.mark.parametrize(("code", "answered"), [(400, 400), (422, 422), (418, 502)])
def test_a_bad_request_is_the_callers(code, answered):
    """No retry and no other candidate (418 is a server's failure in this format)."""
    world = World({"a:m": [status(code, body=b'{"message": "temperature must be below 2"}')], "b:m": [status(code)]})
    error = failed(world)
    assert error.status == answered
    if answered != 502:
        assert (error.message, len(world.sent)) == ("temperature must be below 2", 1)
        assert (error.type, error.code) == ("invalid_request_error", "invalid_request")


def test_a_model_that_is_gone_gives_way_at_once():
    world = World({"a:m": [status(404)], "b:m": [whole()]})
    forwarded(world)
    assert world.times == [0.0, 0.0]
    error = failed(World({"a:m": [status(404)]}))
    assert (error.status, error.code) == (404, "model_not_found")


def card(window):
    return ModelCard("m", Decimal(1), Decimal(2), context_window=window)


def test_a_prompt_that_is_too_long_goes_to_a_larger_window_only():
    """a has 8k: b (8k) and c (4k) are passed over, d (16k) is asked; one whose window is unknown would be, too."""
    cards = {"a:m": card(8000), "b:m": card(8000), "c:m": card(4000), "d:m": card(16000)}
    world = World({"a:m": [status(413)], **{f"{name}:m": [whole()] for name in "bcd"}}, cards=cards)
    assert forwarded(world).target.provider.name == "d"
    world = World({"a:m": [status(413)], "b:m": [whole()]}, cards={"a:m": card(8000)})
    assert forwarded(world).target.provider.name == "b"
    error = failed(World({"a:m": [status(413)], "b:m": [whole()]}, cards=cards))
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_what_cannot_be_translated_goes_to_the_next_that_can():
    world = World({"a:m": [whole()], "b:m": [whole()]}, upstream={"a:m": "untranslatable"})
    assert forwarded(world).target.provider.name == "b"
    world = World({"a:m": [whole()]}, upstream={"a:m": "untranslatable"})
    with pytest.raises(InvalidRequestError, match="a:m cannot be asked this"):
        run(world.forward())


def test_an_order_without_candidates_is_an_empty_plan():
    with pytest.raises(EmptyPlanError, match="no provider serves any of the requested models"):
        run(World({}).forward())


def test_the_total_deadline_is_for_all_attempts():
    """20 s of the order: a takes half of them, b half of the rest, c the rest."""
    world = World({f"{name}:m": [whole(delay=100.0)] for name in "abc"})
    error = failed(world, total_s=20.0)
    assert (error.status, error.code) == (504, "upstream_timeout")
    assert [record.latency_s for record in world.records] == [10.0, 5.0, 5.0]
    assert "no first token within 10 s" in error.message


def test_a_deadline_of_the_provider_fails_over():
    """a may take 20 s, and is not asked again while b is there."""
    world = World({"a:m": [whole(delay=100.0)], "b:m": [whole()]}, deadlines=Deadlines(total_s=20.0))
    forwarded(world)
    assert world.times == [0.0, 20.0]
    assert world.outcomes == ["timeout", None]


def test_a_slow_loris_is_bounded():
    """A byte every 10 s: cut at 30 s."""
    drip = Says([b"{", *[10.0, b" "] * 50], headers={"content-type": "application/json"})
    world = World({"a:m": [drip]}, deadlines=Deadlines(total_s=30.0))
    assert failed(world, total_s=30.0).status == 504


def test_an_answer_without_end_is_bounded():
    endless = Says([b"x" * 600] * 3, headers={"content-type": "application/json"})
    world = World({"a:m": [endless]}, rules=Rules(max_answer_bytes=1500))
    assert "longer than 1500 bytes" in failed(world).message


def test_an_error_whose_body_does_not_come_is_known_by_its_status():
    """5 s are waited for the body of each error."""
    world = World({"a:m": [Says([1000.0], 400, {})]})
    assert failed(world).status == 400
    assert world.records[0].latency_s == 5.0


@pytest.mark.parametrize("close", [[ValueError("a secret")], [1000.0]], ids=["raises", "hangs"])
def test_a_response_that_cannot_be_closed_does_not_matter(close, caplog):
    says = whole()
    says.close = close
    assert forwarded(World({"a:m": [says]})).body["text"] == "hi"
    assert "a secret" not in caplog.text


def test_an_observer_that_fails_does_not_matter(caplog):
    def observe(record):
        raise ValueError(record)

    world = World({"a:m": [whole()]})
    assert run(world.forward(observe=observe)).body["text"] == "hi"
    assert "could not be observed" in caplog.text


def test_reading_that_fails_unexpectedly_is_a_malformed_answer():
    world = World({"a:m": [Says([b'{"text": "hi"}'], headers={"content-type": "application/json"})]})
    error = failed(world)
    assert (error.status, error.metadata["error_type"]) == (502, "malformed")
    assert "could not be read (KeyError)" in error.message


async def test_a_candidate_that_is_put_aside_is_spared():
    world = World({"a:m": [status(500)], "b:m": [whole()]})
    for _ in range(10):
        await world.forward()
    now = asyncio.get_running_loop().time()
    states = {target: health.state(now) for target, health in world.forwarder.health.items()}
    assert world.asked == {"a:m": 5, "b:m": 10}
    assert states == {("a", "m"): HealthState.OPEN, ("b", "m"): HealthState.CLOSED}


async def test_prompts_that_make_a_provider_fail_put_it_aside_for_who_sends_them():
    """a fails for the hostile one's prompts only: the healthy one's calls are answered by a, whatever came before."""
    world = World({"a:m": [*[status(500)] * 5, whole("for you")], "b:m": [whole("from b")]})
    for _ in range(10):
        assert (await world.forward(key_id="hostile")).body["text"] == "from b"
    assert (await world.forward(key_id="healthy")).body["text"] == "for you"
    assert world.asked["a:m"] == 6


async def test_a_lone_candidate_that_is_put_aside_is_asked_by_one_call_at_a_time():
    """Put aside at 0.5 s; at 1 s five calls: one asks at once, the others wait for that, which works at 4 s."""
    world = World({"a:m": [status(500)] * 5 + [whole(delay=3.0)]})

    async def ask():
        try:
            return (await world.forward()).body["text"]
        except UpstreamError as error:
            return error.status

    assert [await ask() for _ in range(3)] == [502] * 3
    await asyncio.sleep(0.5)
    assert await asyncio.gather(*(ask() for _ in range(5))) == ["hi"] * 5
    assert world.times == [0.0, 0.25, 0.25, 0.5, 0.5, 1.0, 4.05, 4.05, 4.05, 4.05]


async def test_calls_at_once_ask_one_after_another_for_five_seconds():
    """Put aside; of five calls one asks at 0.5 s, the next ones when it has failed, at 2.5 and 4.5 s, then the rest."""
    world = World({"a:m": [status(500)] * 5 + [Says([b"{}"], 500, {}, before=[2.0])]})

    async def ask():
        with pytest.raises(UpstreamError, match="status 500"):
            await world.forward()

    for _ in range(3):
        await ask()
    await asyncio.gather(*(ask() for _ in range(5)))
    assert world.times[5:] == pytest.approx([0.5, 2.5, 4.5, 5.5, 5.5], abs=0.1)


@pytest.mark.parametrize("others", [{}, {"b:m": [status(500)] * 10 + [status(400)]}], ids=["alone", "two"])
async def test_a_callers_400_stays_one_while_breakers_are_open(others):
    """Ten calls open the breakers; the eleventh is bad, whoever is asked: 400, not 503."""
    world = World({"a:m": [status(500)] * 10 + [status(400)], **others}, rules=Rules(max_at_target=1))
    for _ in range(10):
        with pytest.raises(UpstreamError, match="did not answer"):
            await world.forward()
    with pytest.raises(UpstreamError, match=".") as caught:
        await world.forward()
    error = caught.value
    assert (error.status, error.code) == (400, "invalid_request")


async def test_a_call_that_failed_waits_for_a_limit_that_another_call_has_found():
    """One fails at 0 and would try again at 0.25 s; the other finds at 0 that a limit ends after 1 s."""
    world = World({"a:m": [status(500), status(429, retry_after=1), whole()]}, keys={"a": ["k1"]})
    assert [reply.n_attempts for reply in (await asyncio.gather(world.forward(), world.forward()))] == [2, 2]


async def test_calls_under_way_do_not_hammer_a_candidate_whose_breaker_opens():
    """4 of 20 calls fail at 0 and pause; the others fail at 0.1 s and open the breaker: nobody tries again."""
    world = World({"a:m": [status(500)] * 4 + [Says([b"{}"], 500, {}, before=[0.1])]})
    loop = asyncio.get_running_loop()
    times = []

    async def ask():
        with pytest.raises(UpstreamError, match="status 500"):
            await world.forward()
        times.append(round(loop.time() - 1000.0, 3))

    await asyncio.gather(*(ask() for _ in range(20)))
    assert times == [0.1] * 16 + [0.25] * 4
    assert len(world.sent) == 20


async def test_a_probe_whose_caller_goes_away_is_followed_by_another():
    world = World({"a:m": [status(500), whole(delay=60.0), whole()]}, rules=Rules(health=HealthRules(in_a_row=1)))
    with pytest.raises(UpstreamError, match="status 500"):
        await world.forward()
    await asyncio.sleep(5.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.forward(), 1.0)
    assert (await world.forward()).body["text"] == "hi"
    assert world.outcomes == ["server", "client_gone", None]


async def test_a_short_deadline_of_the_caller_does_not_open_a_breaker():
    """Ten calls with 1 s each of a candidate that takes 2 s: it is slow for them, and not broken."""
    world = World({"a:m": [whole(delay=2.0)]})
    for _ in range(10):
        with pytest.raises(UpstreamError, match="no first token within 1 s"):
            await world.forward(total_s=1.0)
    assert len(world.sent) == 10


@pytest.mark.parametrize("says", [whole(delay=9.0), Says([9.0])], ids=["before the headers", "in the body"])
async def test_a_caller_that_goes_away_ends_the_call_at_once(says):
    world = World({"a:m": [says], "b:m": [whole()]})
    task = asyncio.create_task(world.forward())
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait({task})
    world.assert_clean()
    assert (world.outcomes, world.records[0].latency_s) == (["client_gone"], 1.0)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_server_that_cancels_again_and_again_does_not_interrupt_closing(streams):
    """Closing takes half a second; a cancelled scope of anyio cancels whatever its task awaits, each time."""
    world = World({"a:m": [stream(text("a"), 9.0, close=[0.5]) if streams else Says([9.0], close=[0.5])]})
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_later(1.0, scope.cancel)
        reply = await world.forward(streams=streams)
        async for _ in reply.stream:
            pass
    await asyncio.sleep(1.0)
    world.assert_clean()
    assert (world.outcomes, world.interrupted) == (["client_gone"], 0)


def test_records_say_what_came():
    """429 with a status, a refused connection without one, then the answer."""
    world = World({"a:m": [status(429)], "b:m": [refused(), whole()]})
    forwarded(world)
    said = [(record.status, record.error_type, record.provider) for record in world.records]
    assert said == [(429, "rate_limited", "a"), (None, "connection", "b"), (200, None, "b")]


async def test_a_caller_that_goes_away_in_a_pause_leaves_nothing():
    world = World({"a:m": [status(500)]})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.forward(), 0.1)
    world.assert_clean()


def test_extras_know_all_attempts():
    world = World({"a:m": [status(404)], "b:m": [whole()]})
    reply = forwarded(world, extras=lambda over: {"seen": [(one.provider, one.status) for one in over]})
    assert reply.body["seen"] == [("a", 404), ("b", 200)]


def test_cost_is_by_list_price():
    """7 x 1 + 2 x 2 USD per million = 0.000011."""
    world = World({"a:m": [whole()]}, cards={"a:m": card(8000)})
    assert forwarded(world).body["cost"] == 0.000011
    assert world.records[0].cost_usd == 0.000011


async def test_another_model_than_asked_for_is_logged_seldom(caplog):
    world = World({"odd:m": [whole()]}, upstream={"odd:m": "claude-opus"})
    for _ in range(3):
        await world.forward()
    lines = [line.message for line in caplog.records if "maybe at another price" in line.message]
    (line,) = lines
    assert line.startswith(
        "odd:m: 'claude-opus' was called, but 'm' answered, maybe at another price; put the model that you mean"
    )
