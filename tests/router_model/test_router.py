import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from simulated_world import P_SUCCESS, simulate

from router_model import Catalog, CatalogError, Constraints, NoCandidateError, Reason, RequestError, Router
from router_model.features import PromptError
from router_model.policy import OperatingPoint

POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


def test_the_cheap_model_gets_what_it_can_do(trained):
    """In the simulated world 'small' does sums (0.9) and not poems (0.3), at a fiftieth of the price of 'large'."""
    router = trained.router
    assert router.route(SUM, target_success=0.6).model == "small"
    assert router.route(POEM, target_success=0.6).model == "large"


def test_predict_is_the_seam_for_outside_evaluations(trained):
    table = trained.router.predict([SUM, POEM], quality_bar=0.5)
    assert table.models == ("coder", "large", "small")
    assert table.p_success.shape == table.expected_cost_usd.shape == (2, 3)
    assert table.p_success.dtype == np.float64
    assert np.all((table.p_success > 0) & (table.p_success < 1))
    assert np.all(table.expected_cost_usd > 0)


def test_predictions_are_near_the_true_probabilities(trained):
    """On 300 new prompts of the simulated world, per model: no bias, and a root mean squared error of 0.1."""
    new = simulate(300, seed=9).unique("prompt_id", maintain_order=True)
    truth = np.array([[P_SUCCESS[task][model] for model in trained.router.models] for task in new["task"]])
    error = trained.router.predict(new["prompt"].to_list()).p_success - truth
    assert np.abs(error.mean(axis=0)).max() < 0.05
    assert np.sqrt((error**2).mean(axis=0)).max() < 0.1


def test_expected_cost_is_tokens_at_prices(trained):
    """'small' writes about 74 tokens for a sum and 300 for a poem: 14 x 0.1 + tokens x 0.3, per million."""
    router = trained.router
    table = router.predict([SUM, POEM])
    tokens = table.expected_output_tokens[:, 2]
    assert tokens == pytest.approx([74, 300], rel=0.25)
    input_tokens = 14  # as the table says for 13-16 word pieces
    expected = (input_tokens * 0.1 + tokens * 0.3) / 1e6
    assert table.expected_cost_usd[:, 2] == pytest.approx(expected, rel=0.1)


def test_plan_is_ranked_and_whole(trained):
    decision = trained.router.route(SUM, target_success=0.6)
    assert decision.reason is Reason.CHEAPEST_ABOVE_BAR
    assert decision.model == "small"
    assert sorted(step.model for step in decision.plan) == ["coder", "large", "small"]
    assert decision.plan[0].p_success >= 0.6
    assert decision.excluded == ()
    assert decision.artifact == trained.report.content_hash
    assert decision.as_dict()["reason"] == "cheapest_above_bar"


def test_without_a_likely_model_the_likeliest_is_chosen(trained):
    decision = trained.router.route(POEM, target_success=0.999)
    assert (decision.model, decision.reason) == ("large", Reason.NONE_ABOVE_BAR)


def test_value_decides_how_much_quality_is_bought(trained):
    worthless, precious = (trained.router.route(POEM, success_value_usd=value) for value in (0.0, 100.0))
    assert (worthless.model, precious.model) == ("small", "large")
    assert precious.reason is Reason.BEST_TRADEOFF


def test_expected_quality_decides_where_its_value_is_asked_for(graded):
    """The best step has the highest ``expected quality x value - cost``; with value 0 the cheapest is first."""
    decision = graded.router.route(POEM, quality_value_usd=0.05)
    net = [step.expected_quality * 0.05 - step.expected_cost_usd for step in decision.plan]
    assert net == sorted(net, reverse=True)
    assert (decision.quality_value_usd, decision.success_value_usd, decision.threshold) == (0.05, None, None)
    assert decision.reason is Reason.BEST_TRADEOFF
    free = graded.router.route(POEM, quality_value_usd=0.0)
    assert free.plan[0].expected_cost_usd == min(step.expected_cost_usd for step in free.plan)
    change = graded.router.route(POEM, quality_value_usd=0.05, explain=True).explanation.changes.expected_quality
    first, second = decision.plan[:2]
    assert change.now == second.expected_quality
    level = first.expected_quality + (second.expected_cost_usd - first.expected_cost_usd) / 0.05
    assert (change.flips_at, change.direction) == (pytest.approx(level), "above")


def test_expected_quality_of_right_or_wrong_outcomes_is_the_probability_of_success(trained):
    plan = trained.router.route(POEM).plan
    assert [step.expected_quality for step in plan] == pytest.approx([step.p_success for step in plan])


def test_the_dial_goes_from_the_likeliest_to_the_cheapest_model(trained):
    """POEM: 'large' is the likeliest, 'small' the cheapest; 7 decides as no knob does."""
    router = trained.router
    quality, default, cost = (router.route(POEM, cost_quality_tradeoff=position) for position in (0, 7, 10))
    assert (quality.model, cost.model, cost.quality_value_usd) == ("large", "small", 0.0)
    assert default == router.route(POEM)


def test_a_bar_alone_or_with_the_dial_weighs_success(graded):
    """Without a bar, the default and the dial weigh expected quality."""
    value = graded.router.artifact.operating_point.quality_value_usd
    for knobs in ({}, {"cost_quality_tradeoff": 7}, {"cost_quality_tradeoff": 6}):
        assert graded.router.route(POEM, **knobs).quality_value_usd is not None
        barred = graded.router.route(POEM, quality_bar=0.8, **knobs)
        assert (barred.quality_value_usd, barred.success_value_usd is None) == (None, False)
    assert graded.router.route(POEM, quality_bar=0.8).success_value_usd == value


def test_a_router_that_was_not_shown_to_pay_calls_the_best_single_model(trained):
    """The others follow as the plan for a failure, by their value; a constraint still rules the model out."""
    artifact = replace(trained.router.artifact, operating_point=OperatingPoint(0.5, 0.0, always_model="large"))
    router = Router.assemble(artifact, trained.router.encoder)
    decision = router.route(POEM)
    assert (decision.model, decision.reason) == ("large", Reason.BEST_SINGLE_MODEL)
    costs = [step.expected_cost_usd for step in decision.plan[1:]]
    assert costs == sorted(costs)
    assert router.route(POEM, cost_quality_tradeoff=7).model == "large"
    assert router.route(POEM, cost_quality_tradeoff=10).model == "small"
    without = router.route(POEM, constraints=Constraints(deny=("large",)))
    assert without.model != "large"
    assert without.reason is Reason.BEST_TRADEOFF


@pytest.mark.parametrize("knob", ["target_success", "success_value_usd", "quality_value_usd"])
def test_the_dial_and_another_knob_are_refused(trained, knob):
    with pytest.raises(RequestError, match=f"not more; got {knob}=0.5 and cost_quality_tradeoff=5"):
        trained.router.route(SUM, cost_quality_tradeoff=5, **{knob: 0.5})


def test_constraints_exclude_with_reasons(trained):
    decision = trained.router.route(SUM, constraints=Constraints(deny=("small",)))
    assert decision.as_dict()["excluded"] == ({"model": "small", "reason": "denied", "detail": "matches small"},)
    assert "small" not in [step.model for step in decision.plan]
    only = trained.router.route(SUM, constraints=Constraints(allow=("coder",)))
    assert only.reason is Reason.ONLY_CANDIDATE
    with pytest.raises(NoCandidateError, match=r"not_allowed \(3 of 3\)"):
        trained.router.route(SUM, constraints=Constraints(allow=("gpt-*",)))


def test_tools_in_a_chat_body_rule_out_a_model_without_them(trained):
    body = {"messages": [{"role": "user", "content": SUM}], "tools": [{"type": "function"}]}
    assert "small" in [e.model for e in trained.router.route(body).excluded]


def test_requested_output_caps_what_is_expected(trained):
    """A poem of 'small' is 300 tokens; asked for 50, it costs 14 x 0.1 + 50 x 0.3 per million."""
    body = {"messages": [{"role": "user", "content": POEM}], "max_tokens": 50}
    table = trained.router.predict([POEM, body])
    assert table.expected_output_tokens[0].min() > 50
    assert table.expected_output_tokens[1].tolist() == [50, 50, 50]
    assert table.expected_cost_usd[1, 2] == pytest.approx((14 * 0.1 + 50 * 0.3) / 1e6, rel=0.1)
    assert np.array_equal(table.p_success[0], table.p_success[1])
    step = trained.router.route(body, constraints=Constraints(max_output_tokens=20)).plan[0]
    assert step.expected_output_tokens == 20
    cap = float(table.expected_cost_usd[1, 1]) * 1.01  # 'large' fits under it only because its answer is cut short
    assert trained.router.route(body, constraints=Constraints(allow=("large",), max_cost_usd=cap)).model == "large"
    with pytest.raises(NoCandidateError, match=r"max_cost_usd \(1 of 3\)"):
        trained.router.route(POEM, constraints=Constraints(allow=("large",), max_cost_usd=cap))


def test_fees_of_the_catalog_are_expected_and_decide(trained, catalog):
    """A cent a request makes 'small' dearer than 'coder'; an image costs its fee where the prompt has one."""
    fee = "usd_per_mtok_output = 0.3\nusd_per_request = 0.01\nusd_per_image = 0.02"
    router = Router.load(
        trained.path, catalog=Catalog.parse(catalog.dump().replace("usd_per_mtok_output = 0.3", fee), origin="fees")
    )
    image = [{"role": "user", "content": [{"type": "text", "text": SUM}, {"type": "image_url"}]}]
    more = router.predict([SUM, image]).expected_cost_usd - trained.router.predict([SUM, image]).expected_cost_usd
    assert more[:, :2].tolist() == [[0, 0], [0, 0]]
    assert more[:, 2] == pytest.approx([0.01, 0.03])
    assert router.route(SUM, target_success=0.6).model != "small"


@pytest.mark.parametrize("glob", ["small", "*l*", "coder"])
def test_an_excluded_model_is_never_in_the_plan(trained, glob):
    for decision in trained.router.route_batch([SUM, POEM, "x"], constraints=Constraints(deny=(glob,))):
        left_out = {exclusion.model for exclusion in decision.excluded}
        planned = {step.model for step in decision.plan}
        assert left_out
        assert left_out | planned == set(trained.router.models)
        assert not left_out & planned


def test_a_price_change_changes_cost_and_decision_without_retraining(trained, catalog):
    dear = catalog.dump().replace("usd_per_mtok_output = 0.3", "usd_per_mtok_output = 3000")
    router = Router.load(trained.path, catalog=Catalog.parse(dear, origin="dear"))
    assert router.route(SUM, target_success=0.6).model != "small"
    assert np.array_equal(router.predict([SUM]).p_success, trained.router.predict([SUM]).p_success)


def test_a_catalog_without_one_of_the_models_is_refused(trained):
    other = Catalog.parse("[models.x]\nusd_per_mtok_input=1\nusd_per_mtok_output=1", origin="other")
    with pytest.raises(CatalogError, match="no price for coder, large, small"):
        Router.load(trained.path, catalog=other)


def test_batch_equals_single_decisions(trained):
    prompts = [SUM, POEM, "def loop(): return list index", "?"]
    together = trained.router.route_batch(prompts)
    for decision, prompt in zip(together, prompts, strict=True):
        alone = trained.router.route(prompt)
        assert [step.model for step in decision.plan] == [step.model for step in alone.plan]
        assert [s.p_success for s in decision.plan] == pytest.approx([s.p_success for s in alone.plan], abs=1e-5)
    assert trained.router.route_batch([]) == []


@pytest.mark.parametrize("prompt", ["?", "\ud800\udfff", "x" * 1_000_000, "数学", "\x00?"])
def test_any_text_is_decided(trained, prompt):
    decision = trained.router.route(prompt)
    assert len(decision.plan) == 3 - len(decision.excluded)
    assert all(np.isfinite([step.p_success, step.expected_cost_usd]).all() for step in decision.plan)


def test_graded_qualities_answer_any_bar_between_and_never_more_for_more(graded):
    bars = (0.01, 0.3, 0.5, 0.55, 0.7, 0.8, 0.9, 0.99)
    p = np.stack([graded.router.predict([SUM, POEM], quality_bar=bar).p_success for bar in bars])
    assert np.all(np.diff(p, axis=0) <= 1e-7)
    with pytest.raises(RequestError, match=r"quality_bar=1: the best answer .* has quality 0.99"):
        graded.router.predict([SUM], quality_bar=1.0)


def test_binary_outcomes_answer_every_bar_alike(trained):
    assert np.array_equal(
        trained.router.predict([SUM], quality_bar=0.1).p_success,
        trained.router.predict([SUM], quality_bar=1.0).p_success,
    )


@pytest.mark.parametrize("prompt", [3, None, b"x"])
def test_no_prompt_is_one_clear_error(trained, prompt):
    with pytest.raises(PromptError, match="a prompt is text, a list of chat messages or a chat body; got"):
        trained.router.route(prompt)


def test_an_empty_prompt_is_refused(trained):
    with pytest.raises(PromptError, match="the prompt is empty"):
        trained.router.route([{"role": "user", "content": " "}])


def test_threads_share_a_router(trained):
    prompts = [f"{SUM} {i}" if i % 2 else f"{POEM} {i}" for i in range(40)]
    alone = [trained.router.route(prompt) for prompt in prompts]
    barrier = threading.Barrier(8)

    def work(prompt):
        barrier.wait(timeout=30)
        return trained.router.route(prompt)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, prompts)) == alone


def test_loads_in_a_second(trained):
    """A promise of the interface, with room for a busy machine; tests/performance has the figure."""
    started = time.perf_counter()
    Router.load(trained.path)
    assert time.perf_counter() - started < 5


def test_one_text_is_not_a_list_of_prompts(trained):
    with pytest.raises(RequestError, match="prompts is one text; expected a list of prompts"):
        trained.router.predict(SUM)


def test_a_bar_that_is_no_number_is_refused(trained):
    with pytest.raises(RequestError, match="quality_bar='0.5'; expected a quality above 0"):
        trained.router.route(SUM, quality_bar="0.5")
