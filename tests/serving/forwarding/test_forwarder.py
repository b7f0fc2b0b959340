import asyncio
from decimal import Decimal

import anyio
import pytest
from scripted_provider import Says, World, broken, refused, status, stream, text, whole
from virtual_time import run

from router_model.catalog import ModelCard
from serving.errors import EmptyPlanError, InvalidRequestError, UpstreamError
from serving.forwarding.breakers import BreakerState
from serving.forwarding.rules import BreakerRules, Rules
from serving.providers.provider import Deadlines


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


def test_a_lone_candidate_without_retry_after_is_asked_again_with_backoff():
    """0.25, 0.5, 1, 2 s between five attempts; then the breaker is open, and the caller told."""
    world = World({"a:m": [status(429)]})
    assert failed(world).status == 429
    assert world.times == [0.0, 0.25, 0.75, 1.75, 3.75]


def test_a_call_waits_for_a_key_that_another_call_found_limited():
    """The key is limited at 0 for 4 s; a second call waits for it instead of failing."""
    world = World({"a:m": [status(429, retry_after=4), whole()]}, keys={"a": ["k1"]})

    async def main():
        with pytest.raises(UpstreamError, match="a:m did not answer"):
            await world.forward(total_s=1.0)
        await world.forward()

    run(main())
    assert world.times == [0.0, 4.05]


def test_a_call_that_cannot_wait_for_a_key_is_told_when():
    world = World({"a:m": [status(429, retry_after=40), whole()]}, keys={"a": ["k1"]})

    async def main():
        for _ in range(2):
            with pytest.raises(UpstreamError, match="try again|did not answer") as caught:
                await world.forward(total_s=10.0)
        assert (caught.value.status, caught.value.headers) == (429, {"retry-after": "41"})

    run(main())
    assert len(world.sent) == 1


def test_a_dead_key_does_not_use_up_the_second_attempt():
    world = World({"a:m": [status(401), status(500), whole()]}, keys={"a": ["k1", "k2"]})
    assert forwarded(world).n_attempts == 3


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_is_dead_and_another_is_used(code):
    world = World({"a:m": [status(code), whole()]}, keys={"a": ["k1", "k2"]})
    forwarded(world)
    assert [key for _, _, key in world.sent] == ["k1", "k2"]
    assert world.keys(world.targets[0].provider).dead == ["k1"]


def test_dead_keys_leave_an_attempt_for_the_next_candidate():
    """Of nine dead keys five are found out, then b answers with the sixth attempt."""
    world = World({"a:m": [status(401)], "b:m": [whole()]}, keys={"a": [f"k{i}" for i in range(9)]})
    assert forwarded(world).target.provider.name == "b"
    assert world.asked == {"a:m": 5, "b:m": 1}


def test_a_refused_key_of_ours_does_not_look_like_the_callers():
    body = b'{"message": "Incorrect API key provided: sk-secret"}'
    world = World({"a:m": [status(401, body=body)]}, keys={"a": ["k1"]})

    async def main():
        errors = []
        for _ in range(2):
            with pytest.raises(UpstreamError, match="key") as caught:
                await world.forward()
            errors.append(caught.value)
        return errors

    refused_key, none_left = run(main())
    assert (refused_key.status, none_left.status) == (502, 503)
    assert "secret" not in f"{refused_key.message}{refused_key.metadata}"
    assert "no key is left for a:m" in none_left.message
    assert len(world.sent) == 1


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
    assert (error.status, error.code) == (413, "context_length_exceeded")


def test_what_cannot_be_translated_goes_to_the_next_that_can():
    world = World({"a:m": [whole()], "b:m": [whole()]}, upstream={"a:m": "untranslatable"})
    assert forwarded(world).target.provider.name == "b"
    world = World({"a:m": [whole()]}, upstream={"a:m": "untranslatable"})
    with pytest.raises(InvalidRequestError, match="a:m cannot be asked this"):
        run(world.forward())


def test_an_order_without_candidates_is_an_empty_plan():
    with pytest.raises(EmptyPlanError, match="no provider serves any model that was asked for"):
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


def test_a_breaker_that_is_open_spares_the_candidate():
    world = World({"a:m": [status(500)], "b:m": [whole()]})

    async def main():
        for _ in range(10):
            await world.forward()
        return world.forwarder.breakers.states(asyncio.get_running_loop().time())

    states = run(main())
    assert world.asked == {"a:m": 5, "b:m": 10}
    assert states == {("a", "m"): BreakerState.OPEN, ("b", "m"): BreakerState.CLOSED}


def test_a_lone_candidate_is_refused_quickly_then_probed():
    """Five failures at 0 to 0.5 s open it for 5 s; at 1 s: 503 with Retry-After; at 7 s one of five probes."""
    world = World({"a:m": [status(500)] * 5 + [whole(delay=3.0)]})

    async def ask():
        try:
            return (await world.forward()).body["text"]
        except UpstreamError as error:
            return error.status, error.headers.get("retry-after")

    async def main():
        for _ in range(3):
            assert await ask() == (502, None)
        await asyncio.sleep(1.0)
        assert await ask() == (503, "4")
        await asyncio.sleep(6.0)
        answers = await asyncio.gather(*(ask() for _ in range(5)))
        assert answers == ["hi", (503, "5"), (503, "5"), (503, "5"), (503, "5")]
        assert await ask() == "hi"

    run(main())
    assert world.asked == {"a:m": 7}


def test_calls_under_way_do_not_hammer_a_candidate_whose_breaker_opens():
    """4 of 20 calls fail at 0 and pause; the others fail at 0.1 s and open the breaker: nobody tries again."""
    world = World({"a:m": [status(500)] * 4 + [Says([b"{}"], 500, {}, before=[0.1])]})

    async def main():
        loop = asyncio.get_running_loop()
        times = []

        async def ask():
            with pytest.raises(UpstreamError, match="status 500"):
                await world.forward()
            times.append(round(loop.time() - 1000.0, 3))

        await asyncio.gather(*(ask() for _ in range(20)))
        return times

    assert run(main()) == [0.1] * 16 + [0.25] * 4
    assert len(world.sent) == 20


def test_a_probe_whose_caller_goes_away_is_followed_by_another():
    world = World({"a:m": [status(500), whole(delay=60.0), whole()]}, rules=Rules(breaker=BreakerRules(in_a_row=1)))

    async def main():
        with pytest.raises(UpstreamError, match="status 500"):
            await world.forward()
        await asyncio.sleep(5.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.forward(), 1.0)
        assert (await world.forward()).body["text"] == "hi"

    run(main())
    assert world.outcomes == ["server", "client_gone", None]


def test_a_short_deadline_of_the_caller_does_not_open_a_breaker():
    """Ten calls with 1 s each of a candidate that takes 2 s: it is slow for them, and not broken."""
    world = World({"a:m": [whole(delay=2.0)]})

    async def main():
        for _ in range(10):
            with pytest.raises(UpstreamError, match="no first token within 1 s"):
                await world.forward(total_s=1.0)

    run(main())
    assert len(world.sent) == 10


@pytest.mark.parametrize("says", [whole(delay=9.0), Says([9.0])], ids=["before the headers", "in the body"])
def test_a_caller_that_goes_away_ends_the_call_at_once(says):
    world = World({"a:m": [says], "b:m": [whole()]})

    async def main():
        task = asyncio.create_task(world.forward())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait({task})
        world.assert_clean()

    run(main())
    assert (world.outcomes, world.records[0].latency_s) == (["client_gone"], 1.0)


@pytest.mark.parametrize("streams", [False, True])
def test_a_server_that_cancels_again_and_again_does_not_interrupt_closing(streams):
    """Closing takes half a second; a cancelled scope of anyio cancels whatever its task awaits, each time."""
    world = World({"a:m": [stream(text("a"), 9.0, close=[0.5]) if streams else Says([9.0], close=[0.5])]})

    async def main():
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_later(1.0, scope.cancel)
            reply = await world.forward(streams=streams)
            async for _ in reply.stream:
                pass
        await asyncio.sleep(1.0)

    run(main())
    world.assert_clean()
    assert (world.outcomes, world.interrupted) == (["client_gone"], 0)


def test_records_say_what_came():
    """429 with a status, a refused connection without one, then the answer."""
    world = World({"a:m": [status(429)], "b:m": [refused(), whole()]})
    forwarded(world)
    said = [(record.status, record.error_type, record.provider) for record in world.records]
    assert said == [(429, "rate_limited", "a"), (None, "connection", "b"), (200, None, "b")]


def test_a_caller_that_goes_away_in_a_pause_leaves_nothing():
    world = World({"a:m": [status(500)]})

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.forward(), 0.1)

    run(main())
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


def test_another_model_than_asked_for_is_logged_seldom(caplog):
    world = World({"odd:m": [whole()]}, upstream={"odd:m": "claude-opus"})

    async def main():
        for _ in range(3):
            await world.forward()

    run(main())
    lines = [line.message for line in caplog.records if "maybe at another price" in line.message]
    (line,) = lines
    assert line.startswith("odd:m: asked for 'claude-opus', 'm' answered, maybe at another price; put the one that is")
