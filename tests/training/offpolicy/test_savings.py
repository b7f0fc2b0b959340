"""The savings ledger: by hand, and against all outcomes of the simulated world."""

import json

import numpy as np
import polars as pl
import pytest
from explored_log import explored_log

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
    assert found.verdict.sentence.startswith(
        "route nothing: cheap alone is as good and costs less (routing does not pay"
    )


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


def test_a_model_that_could_not_be_chosen_is_named(tmp_path):
    path = table_of(tmp_path, 200, {"cheap": 0.8, "dear": 0.8})
    table = pl.read_parquet(path)
    sure = pl.lit(json.dumps({"propensities": {"cheap": 1.0}}))
    only = table.head(50).with_columns(model=pl.lit("cheap"), propensity=1.0, extra=sure)
    pl.concat([only.with_columns(pl.col("prompt_id") + "-o"), table]).write_parquet(path)
    assert savings(read_logged(path)).unknown == {"dear": "propensity 0 on 20.0% of the decisions"}
    table.head(20).write_parquet(path)
    with pytest.raises(SupportError, match="no model could have answered each of 20 decisions: .* it takes 30"):
        savings(read_logged(path))


def test_a_log_that_cannot_tell_says_how_much_would(tmp_path):
    found = savings(read_logged(table_of(tmp_path, 200, {"cheap": 0.7, "dear": 0.8})))
    assert found.verdict.finding is Finding.UNCLEAR
    assert found.verdict.sentence.startswith("this log cannot tell: about ")
