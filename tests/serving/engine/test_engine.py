import logging
import math
from dataclasses import replace

import pytest
from simulated_world import POEM, SUM

from router_model import Constraints
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, NotReadyError, SettingsError


async def test_a_decision_is_the_routers(bench, query, trained):
    async with bench() as b:
        routed = await b.engine.decide(query(SUM, target_success=0.6))
        direct = trained.router.route(SUM, target_success=0.6)
        assert routed.plan == direct.plan
        assert (routed.model, routed.reason) == ("small", "cheapest_above_bar")
        assert routed.propensities == [1, 0, 0]
        assert routed.providers == [None, None, None]
        assert (routed.artifact, routed.degraded, routed.predicted) == (direct.artifact, False, True)
        assert routed.policy_version == b.engine.policy_version
        assert routed.n_input_tokens == round(direct.n_input_tokens) > 10
        assert routed.decision_id.startswith("dec_")
        assert routed.created_at.timestamp() == b.clock.now
        assert routed.decision_s > 0
        assert b.seen == [(query(SUM, target_success=0.6), routed)]
        assert b.engine.ready
        assert b.engine.status["default_plan"] == list(b.engine.default_plan)


async def test_the_callers_faults_are_the_callers(bench, query):
    async with bench() as b:
        with pytest.raises(InvalidRequestError, match="quality_bar=7: the best|quality_bar=7; expected") as knob:
            await b.engine.decide(query(quality_bar=7))
        assert knob.value.param == "quality_bar"
        with pytest.raises(InvalidRequestError, match="messages\\[0\\] is int; expected an object") as body:
            await b.engine.decide(query([3]))
        assert body.value.param == "messages"
        with pytest.raises(EmptyPlanError, match="no candidate model is left") as empty:
            await b.engine.decide(query(constraints=Constraints(allow=("x/*",))))
        assert empty.value.param == empty.value.metadata["relax"] == "not_allowed"
        assert [one["model"] for one in empty.value.metadata["excluded"]] == ["coder", "large", "small"]
        assert b.log.records == []
        assert b.engine.status["degraded"] == {}


@pytest.mark.parametrize("said", [[], "", [{"role": "user", "content": None}]])
async def test_empty_bodies_are_the_callers_fault(bench, query, said):
    async with bench() as b:
        with pytest.raises(InvalidRequestError, match="the prompt is empty"):
            await b.engine.decide(query(said))


@pytest.mark.parametrize(
    "said",
    [
        [{"role": "assistant", "content": "no user"}],
        [{"role": "user", "content": None}, {"role": "user", "content": "?"}],
        [{"role": ["odd"], "content": "?"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}],
        "?",
        "\ud800 half a pair",
        "x" * 100_000,
    ],
)
async def test_odd_bodies_are_answered(bench, query, said):
    async with bench() as b:
        routed = await b.engine.decide(query(said))
        assert routed.plan
        assert len(b.log.decisions) == 1


def fails(*_args, **_fields):
    raise ValueError("cannot read: river moon verse")


def predicts_nan(decide):
    def decide_badly(*args, **fields):
        (decision,) = decide(*args, **fields)
        first = replace(decision.plan[0], p_success=math.nan)
        return [replace(decision, plan=(first, *decision.plan[1:]))]

    return decide_badly


async def test_what_the_predictor_cannot_do_is_answered_with_the_default_plan(bench, query, caplog):
    """'large' succeeds most often on all three tasks, then 'coder' (0.7, 0.15, 0.85) and 'small' (0.9, 0.3, 0.2)."""
    with caplog.at_level(logging.WARNING):
        async with bench() as b:
            b.replace_router(decide=fails)
            routed = await b.engine.decide(query(POEM))
            assert (routed.reason, routed.degraded, routed.degraded_by) == ("fallback_default", True, "predictor_error")
            assert [step.model for step in routed.plan] == ["large", "coder", "small"]
            assert all(math.isnan(step.p_success) and math.isnan(step.expected_cost_usd) for step in routed.plan)
            assert routed.propensities == [1, 0, 0]
            assert not routed.predicted
            record = b.log.decisions[0]
            assert record.degraded
            assert record.candidates[0].p_success is None
            for _ in range(50):
                await b.engine.decide(query(POEM))
            assert b.engine.status["degraded"] == {"predictor_error": 51}
    assert len(caplog.records) == 1
    assert "1 requests were answered by the default plan: predictor_error (ValueError at test_engine.py:" in caplog.text
    assert "river" not in caplog.text


async def test_a_defect_in_choosing_is_answered_with_the_default_plan(bench, query, monkeypatch):
    async with bench() as b:
        monkeypatch.setattr("router_model.serving.engine.decision_answers.choose", fails)
        routed = await b.engine.decide(query(SUM))
        assert (routed.reason, routed.degraded_by) == ("fallback_default", "predictor_error")
        assert len(b.log.decisions) == 1


async def test_numbers_that_are_none_are_an_error_of_the_predictor(bench, query, trained):
    async with bench() as b:
        b.replace_router(decide=predicts_nan(trained.router.decide))
        assert (await b.engine.decide(query())).degraded_by == "predictor_error"


async def test_the_configured_default_plan_and_what_a_request_rules_out(bench, query):
    """The settings name 'small' and a model the router does not know; a request may leave neither of them."""
    async with bench(default_plan=["small", "other/model"]) as b:
        b.replace_router(decide=fails)
        assert b.engine.default_plan == ("small", "other/model")
        plain = await b.engine.decide(query())
        assert [step.model for step in plain.plan] == ["small", "other/model"]
        tools = await b.engine.decide(query(body={"tools": [{"type": "function"}]}))
        assert [step.model for step in tools.plan] == ["other/model"]
        assert [(one.model, one.reason) for one in tools.excluded] == [("small", "tools")]
        other = await b.engine.decide(query(constraints=Constraints(deny=("small", "other/*"))))
        assert [step.model for step in other.plan] == ["large", "coder"]
        with pytest.raises(EmptyPlanError, match="no candidate model is left"):
            await b.engine.decide(query(constraints=Constraints(allow=("none",))))
        with pytest.raises(InvalidRequestError, match="quality_bar=2"):
            await b.engine.decide(query(quality_bar=2))


async def test_a_prompt_too_long_for_all_is_still_answered_as_its_tokens_are_a_guess(bench, query):
    """900,000 characters may be 225,000 tokens, more than any window; 'small' is ruled out for it takes no tools."""
    async with bench() as b:
        b.replace_router(decide=fails)
        body = {"tools": [{"type": "function"}]}
        routed = await b.engine.decide(query("x" * 900_000, body=body))
        assert [step.model for step in routed.plan] == ["large", "coder"]


async def test_observers_and_the_log_cannot_break_a_decision(bench, query, caplog):
    async with bench() as b:
        b.engine._observers = (fails, *b.engine._observers)
        b.engine._decision_log = None
        for _ in range(3):
            assert (await b.engine.decide(query())).model
        assert len(b.seen) == 3
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "a decision could not be recorded",
        "an observer failed",
    ]


async def test_explanations_come_along(bench, query):
    async with bench() as b:
        assert (await b.engine.decide(query(explain=True))).explanation is not None
        assert (await b.engine.decide(query())).explanation is None


async def test_a_batch_is_answered_in_order_and_the_bad_ones_spoil_nothing(bench, query):
    queries = [
        query_of(query, SUM, target_success=0.6),
        query_of(query, POEM, target_success=0.6),
        query_of(query, SUM, quality_bar=7),
        query_of(query, [1]),
        query_of(query, SUM, target_success=0.6, constraints=Constraints(allow=("none",))),
        query_of(query, SUM, constraints=Constraints(max_cost_usd=1e-4)),
        query_of(query, POEM * 30, constraints=Constraints(max_cost_usd=1e-7)),
        query_of(query, POEM, explain=True),
    ]
    async with bench() as b:
        results = await b.engine.decide_batch(queries)
        single = await b.engine.decide(queries[0])
        assert results[0].plan[0].model == single.model == "small"
        assert results[1].model == "large"
        assert isinstance(results[2], InvalidRequestError)
        assert isinstance(results[3], InvalidRequestError)
        assert isinstance(results[4], EmptyPlanError)
        assert results[5].plan
        assert isinstance(results[6], EmptyPlanError)
        assert results[7].explanation is not None
        assert len({one.decision_id for one in results if not isinstance(one, Exception)}) == 4
        assert len(b.log.decisions) == 5
        assert await b.engine.decide_batch([]) == []


def query_of(make, said, **fields):
    return make(said, surface="batch", **fields)


async def test_one_of_a_group_that_fails_leaves_the_others(bench, query):
    """A poem is too dear for a limit that a sum keeps; both are of the same group."""
    async with bench() as b:
        plans = [(await b.engine.decide(query(said))).plan for said in (SUM, POEM)]
        cheapest = [min(step.expected_cost_usd for step in plan) for plan in plans]
        assert cheapest[0] < cheapest[1]
        limit = Constraints(max_cost_usd=(cheapest[0] + cheapest[1]) / 2)
        good, bad = await b.engine.decide_batch([query(said, constraints=limit) for said in (SUM, POEM)])
        assert good.model == "small"
        assert isinstance(bad, EmptyPlanError)
        assert bad.param == "max_cost_usd"


async def test_a_batch_whose_predictor_fails_gets_default_plans(bench, query):
    async with bench() as b:
        b.replace_router(decide=fails)
        results = await b.engine.decide_batch([query(SUM), query(POEM), query(SUM, quality_bar=5)])
        assert [one.degraded_by for one in results[:2]] == ["predictor_error"] * 2
        assert isinstance(results[2], InvalidRequestError)


async def test_settings_of_an_engine_are_checked_when_it_is_opened(bench, query):
    with pytest.raises(SettingsError, match="session_store: expected 'memory', 'log' or a redis:// URL") as refused:
        async with bench(session_store="reddis://:secret@host"):
            pass
    assert "secret" not in str(refused.value)
    async with bench() as b:
        b.engine._reloader._served = None
        assert (b.engine.ready, b.engine.policy_version, b.engine.default_plan) == (False, "", ())
        with pytest.raises(NotReadyError, match="has not been started"):
            await b.engine.decide(query())


async def test_the_policys_name_changes_with_what_decides(bench, catalog, tmp_path):
    dear = tmp_path / "dear.toml"
    dear.write_text(catalog.dump().replace("0.3", "0.4"))
    changes = [
        {},
        {"explore_share": 0.1},
        {"explore_max_p_drop": 0.2},
        {"explore_max_cost_ratio": 2.0},
        {"session_ttl_s": 10.0},
        {"session_cache_ttl_s": 10.0},
        {"default_plan": ["small"]},
        {"catalog": dear},
    ]
    names = []
    for change in changes:
        async with bench(**change) as b:
            names.append(b.engine.policy_version)
    async with bench(host="0.0.0.0", port=1, log_queue=5) as b:
        assert b.engine.policy_version == names[0]
    assert len(set(names)) == len(changes)
    assert {len(name) for name in names} == {12}
