"""Requests that wait together are decided together, and as if each had come alone."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest
from simulated_world import SUM

from router_model.screening.constraints import Constraints
from router_model.screening.screening import NoCandidateError
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.engine.deciding import MOST_TOGETHER, decide_one, decide_together
from router_model.serving.engine.read_query import ReadQuery

TEXTS = [SUM, "Translate 'good morning' into French.", "Prove that 17 is prime.", "def f(x): return x + 1"]


@pytest.fixture(scope="session")
def warm(trained):
    return trained.router


def test_decisions_together_are_those_of_each_alone(warm, query):
    """Two kinds of knobs, in turns, and a session with a warm cache."""
    asked = [ReadQuery.read(query(text, quality_value_usd=value)) for text in TEXTS for value in (None, 0.01)]
    session = SessionRecord("key", warm.models[0], datetime.fromtimestamp(0, UTC), 50)
    asked[0] = asked[0].within(session, now=60.0, cache_ttl_s=300.0)
    assert [one.warm_cache for one in asked] == [{warm.models[0]: 50.0}, *[None] * 7]
    together = decide_together([(warm, one) for one in asked])
    own = warm.artifact.operating_point.quality_value_usd
    assert [one.quality_value_usd for one in together] == [own, 0.01] * 4
    for one, decision in zip(asked, together, strict=True):
        alone = decide_one(warm, one)
        assert [step.model for step in decision.plan] == [step.model for step in alone.plan]
        assert decision.plan[0].p_success == pytest.approx(alone.plan[0].p_success, rel=1e-6)
        assert decision.plan[0].expected_cost_usd == pytest.approx(alone.plan[0].expected_cost_usd, rel=1e-6)
        assert (decision.reason, decision.n_input_tokens) == (alone.reason, alone.n_input_tokens)


def test_what_is_wrong_with_one_spoils_no_other(warm, query):
    """The long one costs more than the others may, which have the same knobs."""
    limits = Constraints(max_cost_usd=max(step.expected_cost_usd for step in warm.route(SUM).plan))
    texts = [SUM, "x " * 2_000_000, SUM]
    outcomes = decide_together([(warm, ReadQuery.read(query(text, constraints=limits))) for text in texts])
    assert isinstance(outcomes[1], NoCandidateError)
    assert outcomes[0].model == outcomes[2].model == warm.route(SUM, constraints=limits).model


async def test_requests_that_wait_are_decided_in_few_goes(bench, query, trained):
    """The first is at work while 33 more come: 32 of them go together, in the order in which they came."""
    free, begun, sizes = threading.Event(), threading.Event(), []

    def decide(prompts, goal, **fields):
        sizes.append(len(prompts))
        begun.set()
        free.wait()
        return trained.router.decide(prompts, goal, **fields)

    async with bench() as b:
        b.replace_router(decide=decide)
        first = asyncio.create_task(b.engine.decide(query(SUM)))
        await asyncio.to_thread(begun.wait)
        rest = [asyncio.create_task(b.engine.decide(query(f"{SUM} {i}"))) for i in range(MOST_TOGETHER + 1)]
        await asyncio.sleep(0)
        b.engine._fast._mean_s = -1e9  # however long the first took, all that wait would be done in no time
        free.set()
        await asyncio.gather(first, *rest)
        assert sizes == [1, MOST_TOGETHER, 1]
        assert not any(task.result().degraded for task in rest)
