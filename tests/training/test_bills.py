import json

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from simulated_world import outcomes_in, simulate
from system import system

from router_model import Router
from router_model.catalog import FROM_BILLS_ALONE
from router_model.serving.providers.usage import Usage
from router_model.training.measuring.evaluate import evaluate
from router_model.training.table.bills import FROM_TOKENS, billed_card

PRICES = {"small": 0.4, "coder": 2.0, "large": 10.0}


def billed(n, *, seed, tokens=False):
    """Prompts with a bill of (20 tokens read at a tenth of the price, and what was written), in USD."""
    frame = simulate(n, seed=seed)
    price = pl.col("model").replace_strict(PRICES, return_dtype=pl.Float64) * 1e-6
    frame = frame.with_columns(cost_usd=price * (0.1 * pl.col("input_tokens") + pl.col("output_tokens")))
    return frame if tokens else frame.drop("input_tokens", "output_tokens")


def test_tokens_and_bills_give_the_price_back():
    frame = billed(80, seed=3, tokens=True).with_columns(
        input_tokens=pl.Series(np.random.default_rng(0).integers(10, 90, 240))
    )
    price = pl.col("model").replace_strict(PRICES, return_dtype=pl.Float64) * 1e-6
    frame = frame.with_columns(cost_usd=price * (0.1 * pl.col("input_tokens") + pl.col("output_tokens")))
    card = billed_card("large", outcomes_in(frame))
    assert card.price_source == FROM_TOKENS
    assert float(card.usd_per_mtok_output) == pytest.approx(10.0)
    assert float(card.usd_per_mtok_input) == pytest.approx(1.0)


def test_bills_alone_give_the_mean_bill_for_a_mean_answer():
    outcomes = outcomes_in(billed(80, seed=3))
    card = billed_card("large", outcomes)
    assert card.price_source == FROM_BILLS_ALONE
    mean = outcomes.cost_usd[:, outcomes.models.index("large")].mean()
    assert 300e-6 * float(card.usd_per_mtok_output) == pytest.approx(mean, rel=1e-3)
    assert card.usd_per_mtok_input == 0


def test_without_a_bill_there_is_no_card():
    outcomes = outcomes_in(simulate(60, seed=3))
    assert billed_card("large", outcomes) is None
    assert billed_card("nobody", outcomes) is None


def test_free_answers_have_the_price_zero():
    card = billed_card("large", outcomes_in(billed(60, seed=3).with_columns(cost_usd=pl.lit(0.0))))
    assert (card.usd_per_mtok_input, card.usd_per_mtok_output) == (0, 0)


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """A router from billed costs alone: neither tokens nor prices, and models that no list knows."""
    folder = tmp_path_factory.mktemp("bills")
    billed(500, seed=0).write_parquet(folder / "table.parquet")
    billed(300, seed=8).write_parquet(folder / "fresh.parquet")
    done = run_command("train", folder / "table.parquet", "--out", folder / "router", "--no-track", "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_a_table_of_billed_costs_trains_without_a_catalog_and_says_so(bought):
    _, report = bought
    said = [warning for warning in report["warnings"] if "learned from the table's cost_usd" in warning]
    assert len(said) == 3
    assert any(warning.startswith("context window unknown of coder, large, small") for warning in report["warnings"])


def test_expected_costs_are_those_billed(bought):
    folder, _ = bought
    router, outcomes = Router.load(folder / "router"), outcomes_in(pl.read_parquet(folder / "fresh.parquet"))
    expected = router.predict(outcomes.prompts).expected_cost_usd.mean(axis=0)
    assert expected == pytest.approx(outcomes.cost_usd.mean(axis=0), rel=0.1)
    found = evaluate(router, outcomes)
    assert found.cost_sources == {"billed": 900, "listed": 0, "assumed": 0}
    assert found.expected_cost_usd == pytest.approx(found.router.cost_usd, rel=0.15)


def test_the_saved_router_decides_explains_and_is_inspected(bought):
    folder, _ = bought
    decided = run_command("route", folder / "router", "add 12 and 45", "--explain", "--json")
    assert decided.returncode == 0, decided.stderr
    assert json.loads(decided.stdout)["model"] in PRICES
    assert "expected" in run_command("evaluate", folder / "router", folder / "fresh.parquet").stdout
    inspected = run_command("inspect", folder / "router")
    assert inspected.stdout.count("unknown") == 1
    assert "unknown of all these models" in inspected.stdout
    models = json.loads(run_command("inspect", folder / "router", "--json").stdout)["models"]
    assert {row["price_source"] for row in models} == {FROM_BILLS_ALONE}
    assert {row["context_window"] for row in models} == {None}


def test_a_service_books_no_call_at_a_price_that_nobody_knows(bought):
    folder, _ = bought
    router = Router.load(folder / "router")
    assert Usage(1000, 100).list_usd(router.catalog["large"]) is None


@pytest.mark.slow
def test_a_service_decides_with_it(bought, tmp_path):
    folder, _ = bought
    with system(tmp_path, folder / "router") as service:
        decided = service.route(messages=[{"role": "user", "content": "add 12 and 45"}])
    assert decided["model"] in PRICES
