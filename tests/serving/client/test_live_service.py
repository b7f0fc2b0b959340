"""The client and the real service, over real sockets; a relay between them loses answers."""

import asyncio

import pytest
from processes import eventually
from relay import relay

from router_model.serving.client import (
    AsyncRouterClient,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    Retries,
    RouteAnswer,
    RouterClient,
)

pytestmark = pytest.mark.slow

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


@pytest.fixture(scope="module")
def router(live_service):
    with RouterClient(live_service.url, live_service.key, timeout=20, deadline=60) as client:
        yield client


def test_route_answers_with_the_whole_plan(router):
    """In the simulated world 'small' does sums, at a fiftieth of the price of 'large'."""
    answer = router.route(SUM, target_success=0.6, deny=["coder"], session_id="s-17")
    assert (answer.model, answer.models, answer.reason) == ("small", ("small", "large"), "cheapest_above_bar")
    assert [model for model, _ in answer.excluded] == ["coder"]
    assert (answer.degraded, answer.session_id) == (False, "s-17")
    assert sum(step.propensity for step in answer.plan) == pytest.approx(1.0)
    low, high = answer.plan[0].p_interval
    assert 0 <= low <= answer.plan[0].p_success <= high <= 1
    assert answer.plan[0].expected_cost_usd < answer.plan[1].expected_cost_usd
    assert answer.policy["artifact"]


def test_batch_has_an_answer_or_an_error_each(router):
    good, bad = router.route_batch([SUM, {"messages": [], "router": {"quality_bar": 7}}])
    assert isinstance(good, RouteAnswer)
    assert isinstance(bad, BadRequestError)


def test_decision_can_be_read_again(router):
    answer = router.route(SUM)
    assert router.decision(answer.decision_id)["model"] == answer.model
    with pytest.raises(NotFoundError, match="404: this key has no decision with that id"):
        router.decision("dec_none")


def test_models_and_health(router):
    assert sorted(model.id for model in router.models()) == ["coder", "large", "small"]
    assert router.models()[0].pricing
    assert router.healthy()


def test_errors_are_the_service_s_own(router, live_service):
    with pytest.raises(BadRequestError, match="400: .*quality_bar"):
        router.route(SUM, quality_bar=7)
    with pytest.raises(NotFoundError, match="404: ") as caught:
        router.route(SUM, allow=["nobody/*"])
    assert caught.value.code == "no_candidate"
    with RouterClient(live_service.url, "not-a-key") as other, pytest.raises(AuthenticationError, match="401: "):
        other.route(SUM, fallback="large")


@pytest.mark.parametrize("report", ["feedback", "outcome"])
def test_report_whose_answer_is_lost_is_in_the_log_once(live_service, report):
    """The service takes it, twice, and its answers get lost on the way; the third one arrives."""
    with (
        relay(live_service.url) as wire,
        RouterClient(
            wire.url, live_service.key, timeout=20, deadline=60, retries=Retries(limit=3, backoff_s=0.0)
        ) as client,
    ):
        answer = client.route(SUM)
        wire.n_lost_answers = 2
        if report == "feedback":
            receipt = client.feedback(decision_id=answer.decision_id, score=0.25, source="judge", comment="so so")
        else:
            receipt = client.outcome(answer.decision_id, model=answer.model, status=200, input_tokens=14, cost_usd=2e-6)
        assert wire.n_lost_answers == 0
    later = RouterClient(live_service.url, live_service.key)
    after = later.feedback(decision_id=answer.decision_id, thumb="up", metric="later")
    later.close()
    eventually(lambda: live_service.rows("feedback", feedback_id=after.id), "the later record in the log")
    table, name = ("feedback", "feedback_id") if report == "feedback" else ("attempts", "attempt_id")
    (row,) = (row for row in live_service.rows(table, decision_id=answer.decision_id) if row.get("metric") != "later")
    assert row[name] == receipt.id
    assert row["score"] == 0.25 if report == "feedback" else row["input_tokens"] == 14


async def test_many_at_once(live_service):
    """Fifty decisions over one client: each has an id of its own."""
    async with AsyncRouterClient(live_service.url, live_service.key, timeout=20, deadline=60) as client:
        answers = await asyncio.gather(*(client.route(f"{SUM} #{n}") for n in range(50)))
    assert len({answer.decision_id for answer in answers}) == 50
