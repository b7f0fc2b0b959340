"""A model added to the simulated world: the router was trained on 'small' and 'large', 'coder' is new."""

import json
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from simulated_world import FEW_TREES, P_SUCCESS, outcomes_in, simulate

from router_model import Constraints, ModelCard, Router, TrainingError
from router_model.commands.inspect import _show, describe
from router_model.prediction.evidence import Bank
from router_model.saved.artifact import save_artifact
from router_model.training.fitting.kernel import fit_weights
from router_model.training.new_model.add_model import STEPS, add_model, bank_kernel
from router_model.training.new_model.new_model_outcomes import find_in_bank
from router_model.training.train import TrainConfig, train

CODER = ModelCard("coder", Decimal("0.5"), Decimal("1.5"), context_window=32000)
CODE = "def return import class loop list index function bug compile string array"


@pytest.fixture(scope="module")
def table():
    return simulate(500)


@pytest.fixture(scope="module")
def pair(table, catalog, tmp_path_factory):
    """A router that has never seen 'coder'."""
    folder = tmp_path_factory.mktemp("pair")
    table.filter(pl.col("model") != "coder").write_parquet(folder / "outcomes.parquet")
    train(folder / "outcomes.parquet", folder / "router", catalog=catalog, config=TrainConfig(fit=FEW_TREES))
    return folder / "router"


@pytest.fixture(scope="module")
def router(pair):
    return Router.load(pair)


def answers(frame, n, *, seed=0):
    """Draw n prompts and their outcomes of 'coder'."""
    only = frame.filter(pl.col("model") == "coder")
    return outcomes_in(only.sample(n, seed=seed))


@pytest.fixture(scope="module")
def added(router, table):
    return add_model(router, answers(table, 120), CODER, table_sha256="abc")


def test_its_probabilities_are_near_the_true_ones(added, router):
    """After 120 prompts: it does code (0.85) and sums (0.7), not poems (0.15), as no model before it."""
    new = simulate(300, seed=9).unique("prompt_id", maintain_order=True)
    extended = assembled(added, router)
    p = extended.predict(new["prompt"].to_list()).p_success[:, -1]
    truth = np.array([P_SUCCESS[task]["coder"] for task in new["task"]])
    assert abs((p - truth).mean()) < 0.1
    assert np.sqrt(((p - truth) ** 2).mean()) < 0.2


def test_it_can_be_routed_to_and_survives_a_round_trip(added, router, tmp_path):
    content_hash = save_artifact(added.artifact, tmp_path / "router")
    loaded = Router.load(tmp_path / "router", encoder=router.encoder)
    assert loaded.models == ("large", "small", "coder")
    decision = loaded.route(CODE, constraints=Constraints(deny=("large", "small")))
    assert (decision.model, decision.artifact) == ("coder", content_hash)
    assert np.array_equal(loaded.predict([CODE]).p_success, assembled(added, router).predict([CODE]).p_success)


def assembled(added, router):
    return Router.assemble(added.artifact, router.encoder)


def test_the_other_models_keep_their_evidence(added, router):
    before = router.artifact.predictor.evidence_model.bank
    after = added.artifact.predictor.evidence_model.bank
    assert np.array_equal(after.outcome[:, :2], before.outcome)
    assert np.array_equal(after.base[:2], before.base)


def test_of_many_graded_prompts_some_are_drawn(router, table, monkeypatch):
    """Time and memory grow with their product with the bank: 12,000 took more than 8 GB."""
    monkeypatch.setattr("router_model.training.new_model.add_model.MOST_PROMPTS", 60)
    told = []
    found = add_model(router, answers(table, 120), CODER, advance=told.append)
    assert tuple(told) == STEPS
    assert (found.n_prompts, found.n_left_out) == (60, 60)
    assert found.raw_record == pytest.approx(answers(table, 120).quality[:, 0].mean(), abs=0.2)


def test_the_change_is_recorded_and_promises_are_dropped(added):
    (change,) = added.artifact.provenance["changes"]
    assert (change["added"], change["table_sha256"], change["n_prompts"]) == ("coder", "abc", 120)
    assert change["record"] == pytest.approx(added.record, abs=1e-5)
    assert (added.artifact.certificates, dict(added.artifact.metrics)) == ((), {})
    assert added.artifact.spend_curve is not None


def test_inspect_counts_graded_prompts_not_what_was_carried_over(added, capsys):
    """300 logged prompts of the two; 'coder' has 120 graded ones, and an estimate of all others."""
    described = describe(added.artifact)
    n_bank = described["n_bank_prompts"]
    assert [(row["model"], row["n_outcomes"], row["carried_over"]) for row in described["models"]] == [
        ("large", n_bank, False), ("small", n_bank, False), ("coder", 120, True),
    ]  # fmt: skip
    _show(described)
    shown = capsys.readouterr().out
    assert "120 *" in shown
    assert f"{n_bank} *" not in shown
    assert "* graded prompts it was added from" in shown


def test_its_kernel_is_fitted_on_the_bank(added):
    """Of its outcomes in the bank, its own and those carried over, comes what training it alone would make."""
    model = added.artifact.predictor.evidence_model
    alone = Bank(*(of_models[..., -1:, :] for of_models in (model.bank.outcome, model.bank.weight, model.bank.base)))
    weights = fit_weights(bank_kernel(model), alone, model.kernel.penalties)
    assert model.kernel.weights[:, -1:] == pytest.approx(weights, abs=1e-3)


def test_own_answers_stand_in_the_bank(added):
    """Of the bank's prompts that were graded, the outcome is the real one; of others it is between 0 and 1."""
    outcome = added.artifact.predictor.evidence_model.bank.outcome[:, 2, 0]
    assert 0 < added.n_known < 120
    assert np.isin(outcome, [0.0, 1.0]).sum() >= added.n_known
    assert outcome.min() >= 0
    assert outcome.max() <= 1


def test_output_tokens_follow_its_answers(added, router):
    """'coder' writes about 74 tokens, and 300 for a poem."""
    extended = assembled(added, router)
    poem = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
    assert extended.predict([CODE, poem]).expected_output_tokens[:, -1] == pytest.approx([74, 300], rel=0.3)


def test_prompts_the_router_never_saw_are_enough(router):
    added = add_model(router, answers(simulate(200, seed=5), 150), CODER)
    assert (added.n_known, added.n_unseen) == (0, 150)
    assert added.auc is not None
    assert added.auc > 0.7
    seen = added.artifact.seen_prompts
    assert len(seen) == len(router.artifact.seen_prompts) + 150
    assert added.record == pytest.approx(np.mean([P_SUCCESS[task]["coder"] for task in P_SUCCESS]), abs=0.12)


def test_bank_prompts_are_found_by_text_not_by_order(router, table):
    from router_model.features.featuriser import featurise

    texts = table["prompt"].unique(maintain_order=True).to_list()[:40]
    features = featurise(texts, router.encoder)
    found = find_in_bank(router.artifact.predictor.evidence_model, features, np.arange(40) % 2 == 0)
    assert all(len(rows) == 0 for rows in found[1::2])
    assert sum(len(rows) for rows in found[::2]) > 0


@pytest.mark.parametrize(
    ("change", "card", "message"),
    [
        (lambda o: o, ModelCard("small", Decimal(1), Decimal(1)), "has small already"),
        (lambda o: o, ModelCard("typo", Decimal(1), Decimal(1)), "no outcomes of 'typo'; it has coder"),
        (lambda o: o.take(np.arange(49)), CODER, "49 graded prompts of coder; at least 50 are needed"),
    ],
)
def test_what_cannot_be_added_is_refused(router, table, change, card, message):
    with pytest.raises(TrainingError, match=message):
        add_model(router, change(answers(table, 60)), card)


def test_the_commands_add_announce_and_remove(pair, table, tmp_path):
    table.filter(pl.col("model") == "coder").sample(80, seed=3).write_parquet(tmp_path / "new.parquet")
    (tmp_path / "new.toml").write_text("[models.coder]\nusd_per_mtok_input = 0.5\nusd_per_mtok_output = 1.5\n")
    arguments = ("--model", "coder", "--catalog", tmp_path / "new.toml", "--json")
    announced = run("add-model", pair, "--out", tmp_path / "announced", *arguments)
    assert announced["announced"] == "coder"
    decision = run("route", tmp_path / "announced", CODE, "--json")
    assert decision["excluded"][0]["reason"] == "no_outcomes"
    known = run("add-model", tmp_path / "announced", tmp_path / "new.parquet", "--model", "coder", "--json")
    assert (known["n_prompts"], known["model"]) == (80, "coder")
    coder = run("inspect", tmp_path / "announced", "--json")["models"][-1]
    assert (coder["model"], coder["n_outcomes"], coder["carried_over"]) == ("coder", 80, True)
    removed = run("remove-model", tmp_path / "announced", "--model", "small", "--json")
    assert removed["models"] == ["large", "coder"]
    refused = run("add-model", pair, tmp_path / "new.parquet", "--model", "coder", check=False)
    assert "no price for coder" in refused


def test_an_accuracy_announces_a_candidate_and_counts_beside_grades(pair, table, tmp_path):
    table.filter(pl.col("model") == "coder").sample(80, seed=3).write_parquet(tmp_path / "new.parquet")
    (tmp_path / "new.toml").write_text("[models.coder]\nusd_per_mtok_input = 0.5\nusd_per_mtok_output = 1.5\n")
    arguments = ("--model", "coder", "--catalog", tmp_path / "new.toml", "--json")
    said = ("--accuracy", "0.55", "--accuracy-prompts", "5000")
    announced = run("add-model", pair, "--out", tmp_path / "announced", *arguments, *said)
    assert announced["level"]["low"] < 0.55 < announced["level"]["high"]
    plan = run("route", tmp_path / "announced", CODE, "--json")["plan"]
    assert [step["model"] for step in plan if step["level_error"]] == ["coder"]
    alone = run("add-model", pair, tmp_path / "new.parquet", "--out", tmp_path / "graded", *arguments)
    both = run("add-model", pair, tmp_path / "new.parquet", "--out", tmp_path / "both", *arguments, *said)
    assert abs(both["record"] - 0.55) < abs(alone["record"] - 0.55)
    assert both["standard_error"] < alone["standard_error"]
    lone = run("add-model", pair, *arguments, "--accuracy-prompts", "7", check=False)
    assert "--accuracy-prompts without --accuracy" in lone
    percent = run("add-model", pair, *arguments, "--accuracy", "81", check=False)
    assert "expected a share from 0 to 1" in percent


def test_the_table_is_looked_at_before_a_price_is_asked_for(pair, table, tmp_path):
    table.write_parquet(tmp_path / "new.parquet")
    missing = run("add-model", pair, tmp_path / "none.parquet", "--model", "unpriced", check=False)
    assert "none.parquet: no such file. 'router-model import" in missing
    mistyped = run("add-model", pair, tmp_path / "new.parquet", "--model", "codr", check=False)
    assert "the table has no outcomes of 'codr'; it has coder, large, small" in mistyped
    assert "price" not in missing + mistyped


def run(*arguments, check=True):
    done = run_command(*arguments)
    assert done.returncode == (0 if check else 2), done.stderr
    return json.loads(done.stdout) if check else done.stderr
