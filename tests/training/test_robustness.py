import json

import numpy as np
import pytest
from click.testing import CliRunner
from simulated_world import outcomes_in, simulate

from router_model import TableError
from router_model.training.commands.evaluate import command
from router_model.training.measuring.evaluate import seen_before
from router_model.training.measuring.rewordings import REWORDINGS, Rewording
from router_model.training.measuring.robustness import choose, measure_robustness, reword_all

MUSE = Rewording("muse", "template", lambda _: "rose moon river verse rhyme autumn silence wind lantern petals dusk")


@pytest.fixture(scope="module")
def outcomes():
    return outcomes_in(simulate(200, seed=8))


def test_case_and_white_space_flip_next_to_nothing_where_words_decide(trained, outcomes):
    """The simulated world's tasks differ by their words alone; ties go either way, and cost next to nothing."""
    result = measure_robustness(trained.router, outcomes)
    by_kind = {flips.name: flips for flips in result.kinds}
    assert result.n_prompts == 200
    assert by_kind["case"].flipped <= 0.05
    assert by_kind["case"].costly <= 0.005
    assert by_kind["whitespace"].flipped <= 0.01
    assert by_kind["typos"].flipped <= 0.1  # a typo takes a word from the few that decide
    assert result.chance > 0.3  # and it is not that there was nothing to flip
    assert result.robustness == pytest.approx(1 - np.mean([f.flipped for f in result.rewordings]))


def test_flips_and_their_price_are_those_of_the_decisions(trained, outcomes):
    """The oracle: every prompt becomes a poem, and each decision is looked up by hand."""
    (flips,) = measure_robustness(trained.router, outcomes, rewordings=[MUSE]).rewordings
    columns = {model: column for column, model in enumerate(outcomes.models)}
    before = [columns[d.model] for d in trained.router.route_batch(outcomes.prompts)]
    after = columns[trained.router.route(MUSE.apply("")).model]
    rows = np.arange(len(outcomes))
    assert flips.flipped == pytest.approx(np.mean(np.array(before) != after))
    assert flips.flipped > 0.2
    change = outcomes.quality[:, after].mean() - outcomes.quality[rows, before].mean()
    assert flips.quality_change == pytest.approx(change)
    assert flips.cost_change > 0.1
    assert 0 < flips.costly <= flips.flipped


def test_unreworded_prompts_never_flip_and_large_tables_are_sampled(trained, outcomes):
    same = Rewording("same", "case", lambda text: text)
    result = measure_robustness(trained.router, outcomes, rewordings=[same], max_prompts=50)
    assert (result.n_prompts, result.robustness, result.rewordings[0].cost_change) == (50, 1.0, 0.0)
    assert len(choose(trained.router, outcomes.prompts, trained.router.rule())[1]) == 200


def test_only_the_last_user_message_is_reworded():
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    (body,) = reword_all([{"messages": chat, "max_tokens": 5}], str.upper)
    assert [message["content"] for message in body["messages"]] == ["a", "b", "C"]
    assert chat[2]["content"] == "c"


def test_a_table_of_training_prompts_is_refused(trained):
    table = outcomes_in(simulate(500))
    seen = table.take(np.flatnonzero(seen_before(trained.router, table.prompts)))
    with pytest.raises(TableError, match="no prompt left to reword"):
        measure_robustness(trained.router, seen)
    assert measure_robustness(trained.router, seen, rewordings=REWORDINGS[:1], include_seen=True).n_prompts == len(seen)


@pytest.mark.slow
def test_evaluate_reports_robustness_on_request(trained, tmp_path):
    path = tmp_path / "unseen.parquet"
    simulate(40, seed=9).write_parquet(path)
    runner = CliRunner()
    shown = runner.invoke(command, [str(trained.path), str(path), "--robustness"], catch_exceptions=False).output
    assert "of the decisions on 40 prompts flip under rewording" in shown
    assert all(rewording.name in shown for rewording in REWORDINGS)
    said = runner.invoke(command, [str(trained.path), str(path), "--robustness", "--json"], catch_exceptions=False)
    measured = json.loads(said.output)["robustness"]
    assert measured["n_prompts"] == 40
    assert [kind["name"] for kind in measured["kinds"]] == ["case", "whitespace", "typos", "template", "all"]
    plain = runner.invoke(command, [str(trained.path), str(path), "--json"], catch_exceptions=False)
    assert "robustness" not in json.loads(plain.output)
