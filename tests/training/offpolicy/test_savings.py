"""The savings ledger: by hand, and against all outcomes of the simulated world."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from explored_log import explored_log

from router_model.catalog import Catalog, ModelCard
from router_model.errors import SupportError
from router_model.training.measuring.verdict import Finding
from router_model.training.offpolicy.logged import read_logged
from router_model.training.offpolicy.savings import savings


@pytest.fixture(scope="module")
def world(trained, tmp_path_factory):
    table, whole = explored_log(trained.router, 1500, seed=51)
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    table.write_parquet(path)
    return read_logged(path), whole


@pytest.mark.parametrize("with_router", [True, False])
def test_single_models_are_estimated_as_all_outcomes_show(trained, catalog, world, with_router):
    log, whole = world
    found = savings(log, router=trained.router if with_router else None, catalog=catalog)
    assert (found.best, found.unknown) == ("large", {})
    for model, value in found.singles.items():
        truth = whole.filter(pl.col("model") == model)["quality"].mean()
        assert abs(value.quality.value - truth) < 2 * value.quality.half_width
    spent = log.outcomes.input_tokens * [0.5, 5, 0.1] + log.outcomes.output_tokens * [1.5, 15, 0.3]
    assert found.spent_usd == pytest.approx(np.nansum(spent) / 1e6)
    assert found.against["large"].saving.low > 0


COST = {"cheap": 0.001, "dear": 0.01}
COULD = json.dumps({"propensities": {"cheap": 0.5, "dear": 0.5}, "preferred": "dear"})


def table_of(tmp_path, n, quality_of):
    """Two models, each chosen by a coin."""
    rng = np.random.default_rng(0)
    models = rng.choice(["cheap", "dear"], n).tolist()
    rows = [
        {"prompt_id": f"d{i}", "prompt": f"Prompt {i}", "model": model, "cost_usd": COST[model], "propensity": 0.5,
         "quality": float(rng.random() < quality_of[model]), "extra": COULD}
        for i, model in enumerate(models)
    ]  # fmt: skip
    path = tmp_path / "log.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def test_where_a_cheap_model_is_as_good_the_ledger_says_to_route_nothing(tmp_path):
    found = savings(read_logged(table_of(tmp_path, 4000, {"cheap": 0.8, "dear": 0.78})))
    assert found.verdict.finding is Finding.WORSE
    assert found.verdict.sentence.startswith("route nothing: cheap alone is as good and costs less (the router costs")


def test_spending_includes_what_no_probability_describes(tmp_path):
    """4 fallbacks of 0.5 USD each are spent, and in no estimate."""
    path = table_of(tmp_path, 200, {"cheap": 0.8, "dear": 0.8})
    before = savings(read_logged(path))
    table = pl.read_parquet(path)
    more = table.head(4).with_columns(pl.col("prompt_id") + "-f", cost_usd=0.5, propensity=pl.lit(None, pl.Float64))
    pl.concat([table, more]).write_parquet(path)
    found = savings(read_logged(path))
    assert found.spent_usd == pytest.approx(before.spent_usd + 2.0)
    assert found.singles == before.singles
    assert (found.n_logged, found.n_decisions) == (204, 200)


def test_spending_of_a_large_log_is_scaled_up_from_what_was_drawn(tmp_path):
    path = table_of(tmp_path, 2000, {"cheap": 0.8, "dear": 0.8})
    log = read_logged(path, max_prompts=1000)
    found, whole = savings(log), savings(read_logged(path))
    read = log.outcomes.cost_usd[np.arange(1000), log.taken].sum()
    assert found.spent_usd == pytest.approx(2 * read)
    assert found.spent_usd == pytest.approx(whole.spent_usd, rel=0.1)
    assert (found.n_logged, found.n_decisions, found.is_drawn, whole.is_drawn) == (2000, 1000, True, False)
    said = run_command("savings", "--log", path, "--max-prompts", "1000").stdout
    assert f"Spent about ${found.spent_usd:.2f} on 2,000 decisions" in said
    assert "Left out: 1,000 that were not drawn (--max-prompts)." in said


CATALOG_FILE = """
[models.cheap]
usd_per_mtok_input = 1
usd_per_mtok_output = 0
usd_per_mtok_cached_input = 0.1

[models.dear]
usd_per_mtok_input = 10
usd_per_mtok_output = 0
usd_per_mtok_cached_input = 1
"""
CARDS = Catalog(
    {
        "cheap": ModelCard("cheap", Decimal(1), Decimal(0), usd_per_mtok_cached_input=Decimal("0.1")),
        "dear": ModelCard("dear", Decimal(10), Decimal(0), usd_per_mtok_cached_input=Decimal(1)),
    }
)


def two_turns(n):
    """Sessions of 1,000 and then 2,000 input tokens; all four pairs of models equally often. A cache is read."""
    rows = []
    for i in range(n):
        pair = (
            ("cheap", "dear")[i // 2 % 2],
            ("cheap", "dear")[i // 4 % 2],
        )  # not i % 2: halves of sessions predict each other
        for turn, model in enumerate(pair):
            tokens, cached = 1000 * (turn + 1), 1000 * (turn and pair[0] == pair[1])
            cost = float(CARDS[model].cost_usd(input_tokens=tokens, output_tokens=0, cached_input_tokens=cached))
            extra = {**json.loads(COULD), "cached_input_tokens": cached}
            rows.append(
                {"prompt_id": f"d{i}-{turn}", "prompt": f"Prompt {i}-{turn}", "model": model, "cost_usd": cost,
                 "propensity": 0.5, "quality": 1.0, "input_tokens": tokens, "output_tokens": 0, "session_id": f"s{i}",
                 "timestamp": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=turn), "extra": json.dumps(extra)}
            )  # fmt: skip
    return pl.DataFrame(rows)


def test_savings_are_net_of_caches_that_switches_lose_and_of_the_router(tmp_path):
    """Always `dear`: 0.01 USD, then 0.02 less 1,000 tokens at 9 USD a million. The cache saves 0.0045 a decision.

    Routed, the first turn costs (0.001 + 0.01) / 2. The second costs 0.0011 and 0.011 where the model stayed, and 0.002
    and 0.02 where it was switched. That is 0.0070125 a decision, after the 0.0012375 that the cache saved, and 0.001
    more for the router.
    """
    two_turns(400).write_parquet(tmp_path / "log.parquet")
    log = read_logged(tmp_path / "log.parquet")
    found = savings(log, catalog=CARDS, router_cost_usd_per_request=0.001)
    assert found.singles["dear"].cost_usd.value == pytest.approx(0.0105, rel=0.01)
    assert found.singles["cheap"].cost_usd.value == pytest.approx(0.00105, rel=0.01)
    assert found.cache_usd == pytest.approx({"cheap": 0.00045, "dear": 0.0045})
    assert found.routed.cost_usd.value == pytest.approx(0.0070125 + 0.001, rel=0.01)
    assert (found.routed_cache_usd, found.router_cost_usd) == pytest.approx((0.0012375, 0.8))
    assert found.spent_usd == pytest.approx(800 * 0.0070125)
    assert found.against["dear"].saving.value == pytest.approx(1 - 0.0080125 / 0.0105, abs=0.01)
    without = savings(log)  # no prices: caches stay in the bills, and the models alone get none
    assert (without.cache_usd["dear"], without.routed_cache_usd) == (0.0, 0.0)


def test_what_was_not_billed_is_listed_less_what_the_cache_saved(tmp_path):
    table = two_turns(400)
    table.with_columns(cost_usd=pl.lit(None, pl.Float64)).write_parquet(tmp_path / "unbilled.parquet")
    assert savings(read_logged(tmp_path / "unbilled.parquet"), catalog=CARDS).spent_usd == pytest.approx(
        800 * 0.0070125
    )


def test_the_command_prints_both_and_says_what_is_assumed(tmp_path):
    two_turns(400).write_parquet(tmp_path / "log.parquet")
    (tmp_path / "catalog.toml").write_text(CATALOG_FILE)
    options = ("--log", tmp_path / "log.parquet", "--catalog", tmp_path / "catalog.toml")
    done = run_command("savings", *options, "--router-cost-usd-per-request", 0.001)
    assert max(map(len, done.stdout.splitlines())) <= 80
    said = " ".join(done.stdout.split())
    assert "per 1k cache saves routed saves" in said
    assert "A model alone is taken to read from its cache the input of the session's turn before" in said
    assert "Routed: with the router's own cost, $0.80 for all decisions." in said
    document = json.loads(run_command("savings", *options, "--json").stdout)
    assert document["singles"]["dear"]["cache_usd"] == pytest.approx(0.0045)
    assert (document["router_cost_usd"], document["routed_cache_usd"]) == (0.0, pytest.approx(0.0012375))


def test_a_model_that_could_not_be_chosen_is_named(tmp_path):
    path = table_of(tmp_path, 200, {"cheap": 0.8, "dear": 0.8})
    table = pl.read_parquet(path)
    sure = pl.lit(json.dumps({"propensities": {"cheap": 1.0}}))
    only = table.head(50).with_columns(model=pl.lit("cheap"), propensity=1.0, extra=sure)
    pl.concat([only.with_columns(pl.col("prompt_id") + "-o"), table]).write_parquet(path)
    assert savings(read_logged(path)).unknown == {"dear": "propensity 0 on 20 % of the decisions"}
    table.head(20).write_parquet(path)
    with pytest.raises(SupportError, match="no model could have answered each of 20 decisions: .* it takes 30"):
        savings(read_logged(path))


def test_a_log_that_cannot_tell_says_how_much_would(tmp_path):
    found = savings(read_logged(table_of(tmp_path, 200, {"cheap": 0.7, "dear": 0.8})))
    assert found.verdict.finding is Finding.UNCLEAR
    assert found.verdict.sentence.startswith("this log cannot tell: about ")
