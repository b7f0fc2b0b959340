from dataclasses import replace

import numpy as np
import pytest
from simulated_world import simulate

from router_model.errors import TableError
from router_model.training.measuring.evaluate import near_seen, seen_before
from router_model.training.measuring.regrets import Regret, Regrets, worst_regrets
from router_model.training.table.outcomes import read_outcomes


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    path = tmp_path_factory.mktemp("regrets") / "outcomes.parquet"
    simulate(120, seed=9).write_parquet(path)
    return read_outcomes(path)


def test_regrets_are_what_the_best_choice_had_over_the_chosen_one(trained, unseen):
    """Quality 1 is worth 1 USD: a failure where another succeeded gives up 1 USD plus the difference in cost."""
    found = worst_regrets(trained.router, unseen, n_worst=5, quality_value_usd=1.0)
    assert found
    assert [regret.regret_usd for regret in found] == sorted((r.regret_usd for r in found), reverse=True)
    for regret in found:
        gained = regret.quality_better - regret.quality_chosen
        saved = regret.cost_chosen_usd - regret.cost_better_usd
        assert regret.regret_usd == pytest.approx(gained + saved)
        assert regret.chosen != regret.better


def test_worthless_quality_leaves_no_regret_but_cost(trained, unseen):
    """At 0 USD the cheapest model is chosen, and is best: nothing was given up."""
    assert worst_regrets(trained.router, unseen, quality_value_usd=0.0) == ()


@pytest.mark.parametrize(
    ("p_chosen", "p_better", "kind"), [(0.9, 0.99, "unlucky"), (0.6, 0.65, "misjudged"), (0.6, 0.64, "not known")]
)
def test_a_regret_says_why(p_chosen, p_better, kind):
    one = Regret(0.5, "Why?", "", "small", "large", p_chosen, p_better, 0.0, 1.0, 0.001, 0.01)
    assert one.kind == kind
    assert repr(Regrets([one])).startswith(f"<The 1 worst decisions: 1 {kind}>")


def test_without_complete_outcomes_there_is_nothing_to_look_at(trained, unseen):
    blank = replace(unseen, quality=np.full_like(unseen.quality, np.nan))
    with pytest.raises(TableError, match="no prompt left to look at: the router was trained on all 120, or"):
        worst_regrets(trained.router, blank)


def test_prompts_the_router_was_trained_on_are_left_out(trained, table):
    outcomes = read_outcomes(table)
    seen = outcomes.take(np.flatnonzero(seen_before(trained.router, outcomes.prompts)))
    twins = replace(seen, prompts=[f"{prompt} Thanks." for prompt in seen.prompts])
    near = near_seen(trained.router, twins.prompts)
    assert near.mean() > 0.5  # " Thanks." is much of a short prompt
    for known in (seen, twins.take(np.flatnonzero(near))):
        with pytest.raises(TableError, match="no prompt left to look at"):
            worst_regrets(trained.router, known)
