"""Exploration and sessions through the engine, where they meet."""

from collections import Counter
from random import Random

import pytest
from scipy.stats import chisquare
from simulated_world import SUM

FAR = {"explore_share": 0.5, "explore_max_p_drop": 1.0, "explore_max_cost_ratio": 1e9}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}


async def test_answers_come_as_often_as_their_logged_propensities_say(bench, query):
    """5,000 answers to one request: 0.5 + 0.5/3 for the rule's choice, 0.5/3 for the other two."""
    async with bench(rng=Random(7), **FAR) as b:
        plain = await b.engine.decide(query(SUM, target_success=0.6, explore=False))
        drawn = Counter()
        router = b.engine.router
        decision = router.route(SUM, target_success=0.6)
        b.replace_router(decide=lambda *_a, **_k: [decision])
        for _ in range(5000):
            routed = await b.engine.decide(query(SUM, target_success=0.6))
            drawn[routed.model] += 1
            by_model = dict(zip([step.model for step in routed.plan], routed.propensities, strict=True))
            assert by_model == pytest.approx({"small": 2 / 3, "coder": 1 / 6, "large": 1 / 6})
            assert routed.explored is (routed.model != plain.model) is (routed.reason == "explored")
            assert routed.certificate is None
        expected = [5000 * by_model[model] for model in sorted(drawn)]
        assert chisquare([drawn[model] for model in sorted(drawn)], expected).pvalue > 0.01
        record = b.log.decisions[-1]
        assert [one.propensity for one in record.candidates] == list(routed.propensities)


@pytest.mark.parametrize("why", ["asked not to", "tool loop", "warm session", "degraded"])
async def test_nothing_is_explored_where_it_would_hurt(bench, query, why):
    async with bench(rng=Random(0), **{**FAR, "explore_share": 1.0}) as b:
        named = {"session_id": "s", "target_success": 0.6}
        said = [{"role": "user", "content": SUM}]
        if why == "tool loop":
            said.append(CALL)
        if why == "warm session":
            await b.engine.decide(query(said, **named, explore=False))
        if why == "degraded":
            b.replace_router(decide=lambda *_a, **_k: 1 / 0)
        for _ in range(20):
            routed = await b.engine.decide(query(said, **named, explore=why != "asked not to"))
            assert (routed.explored, routed.propensities) == (False, [1, 0, 0])


async def test_a_session_whose_cache_is_cold_may_explore(bench, query):
    async with bench(rng=Random(0), **{**FAR, "explore_share": 1.0}) as b:
        named = {"session_id": "s", "target_success": 0.6}
        await b.engine.decide(query(SUM, **named, explore=False))
        b.clock.now += 301
        routed = await b.engine.decide(query(SUM, **named))
        assert routed.propensities == pytest.approx([1 / 3] * 3)
