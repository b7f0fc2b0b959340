import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner

from router_model import Constraints, Explanation
from router_model.catalog import Catalog, ModelCard
from router_model.commands.route import command as route_command
from router_model.explanation.explain import cost_gap
from router_model.plan import PlanStep

POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


def test_an_explanation_changes_nothing_but_itself(trained):
    plain = trained.router.route_batch([SUM, POEM])
    explained = trained.router.route_batch([SUM, POEM], explain=True)
    assert [decision.explanation for decision in plain] == [None, None]
    assert all(isinstance(decision.explanation, Explanation) for decision in explained)
    assert [replace(decision, explanation=None) for decision in explained] == plain
    assert plain[0].as_dict()["explanation"] is None


def test_without_explain_nothing_is_explained(trained, monkeypatch):
    monkeypatch.setattr("router_model.router.explain_decisions", None)
    assert trained.router.route(SUM).explanation is None


@pytest.mark.parametrize("request_", [{"target_success": 0.6}, {"success_value_usd": 0.01}, {}])
def test_an_explanation_is_of_the_plan_s_first_two(trained, request_):
    decision = trained.router.route(SUM, explain=True, **request_)
    found, (first, second, *_) = decision.explanation, decision.plan
    assert (found.chosen.model, found.runner_up.model) == (first.model, second.model)
    assert found.chosen.p_success == pytest.approx(first.p_success, abs=1e-5)
    assert found.cost.difference_usd == pytest.approx(first.expected_cost_usd - second.expected_cost_usd)
    assert found.cost.from_prices_usd + found.cost.from_tokens_usd == pytest.approx(found.cost.difference_usd)


def test_a_stated_success_value_flips_the_decision(trained):
    """A hair beyond it the runner-up is first, a hair short of it is not."""
    two = Constraints(deny=("coder",))
    decision = trained.router.route(POEM, success_value_usd=0.0001, constraints=two, explain=True)
    change = decision.explanation.changes.success_value_usd
    up = 1 if change.direction == "above" else -1
    beyond, short = (
        trained.router.route(POEM, success_value_usd=change.flips_at * (1 + up * hair), constraints=two)
        for hair in (1e-6, -1e-6)
    )
    assert beyond.model == decision.plan[1].model
    assert short.model != beyond.model


def test_a_stated_cost_factor_flips_the_decision(trained):
    """So many times all prices of the runner-up, less a hair."""
    router, request = trained.router, {"success_value_usd": 0.005, "constraints": Constraints(deny=("coder",))}
    decision = router.route(SUM, **request, explain=True)
    runner_up, change = decision.plan[1].model, decision.explanation.changes.cost_factor

    def at(factor):
        card = router.catalog[runner_up]
        priced = replace(
            card,
            usd_per_mtok_input=card.usd_per_mtok_input * Decimal(factor),
            usd_per_mtok_output=card.usd_per_mtok_output * Decimal(factor),
        )
        other = replace(router, catalog=Catalog({**router.catalog.cards, runner_up: priced}))
        return other.route(SUM, **request).model

    assert at(change.flips_at * (1 - 1e-6)) == runner_up
    assert at(change.flips_at * (1 + 1e-6)) == decision.model


def test_a_single_candidate_has_no_runner_up(trained):
    found = trained.router.route(SUM, constraints=Constraints(allow=("coder",)), explain=True).explanation
    assert found.chosen.model == "coder"
    assert (found.runner_up, found.cost, found.changes) == (None, None, None)


def test_fees_count_as_prices():
    """No tokens at all: 0.01 USD a request against nothing."""
    catalog = Catalog(
        {
            "a": ModelCard("a", Decimal(1), Decimal(1), usd_per_request=Decimal("0.01")),
            "b": ModelCard("b", Decimal(1), Decimal(1)),
        }
    )
    gap = cost_gap(PlanStep("a", 0.9, 0.01, 0.0), PlanStep("b", 0.9, 0.0, 0.0), catalog, n_input_tokens=np.zeros(2))
    assert (gap.difference_usd, gap.from_prices_usd, gap.from_tokens_usd) == (0.01, 0.01, 0.0)


@pytest.mark.parametrize("prompt", ["?", "\ud800", "数学", [{"role": "user", "content": "x"}, {"role": "user"}]])
def test_any_prompt_is_explained_and_json(trained, prompt):
    said = trained.router.route(prompt, explain=True).as_dict()
    assert json.loads(json.dumps(said, allow_nan=False))["explanation"]["chosen"]["model"] == said["model"]


def route(*arguments):
    done = CliRunner().invoke(route_command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_command_says_why(trained):
    said = " ".join(route(trained.path, SUM, "--target-success", "0.6", "--explain").split())
    assert "nearest logged prompts" in said
    assert "log odds of success" in said
    assert "similar logged prompts" in said
    assert "would be first if" in said
    assert "nearest logged prompts" not in route(trained.path, SUM)


def test_the_command_explains_in_json_as_the_library_does(trained):
    said = json.loads(route(trained.path, SUM, "--explain", "--json"))
    assert said == json.loads(json.dumps(trained.router.route(SUM, explain=True).as_dict()))


def test_the_command_explains_a_bar_between_learned_ones_and_the_only_candidate(graded):
    assert "(" in route(graded.path, POEM, "--explain", "--quality-bar", "0.65")
    assert "would be first" not in route(graded.path, POEM, "--explain", "--allow", "large")
