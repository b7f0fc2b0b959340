"""The anchors: what is learned of difficulty from tables of other models, and what is shipped."""

import json
from decimal import Decimal
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from simulated_world import POEM, SUM, simulate

from router_model import Router
from router_model.catalog import Catalog, ModelCard
from router_model.errors import TableError
from router_model.features import SURFACE_NAMES, load_encoder
from router_model.features.featuriser import featurise
from router_model.features.prompt import Prompt
from router_model.features.request import without_unused
from router_model.saved.artifact import sealed
from router_model.starter import load_anchors, start
from router_model.training.anchors import ANCHORS, LEVELS, _pooled, best_slope, fit_anchors, read_tables
from router_model.training.importing import import_sources
from router_model.training.measuring.evaluate import evaluate
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.prices import complete_catalog


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("public")
    for seed, name in enumerate(("one", "two")):
        (folder / name).mkdir()
        simulate(150, seed=seed).write_parquet(folder / name / "outcomes.parquet")
    return read_tables(folder)


def test_an_anchor_answers_well_what_enough_of_the_models_did(tables):
    """Of three models none, one, two or all do: the anchor of level q does at a share of 1 - q or more."""
    pooled = _pooled(tables)
    share = np.concatenate([table.quality.mean(axis=1) for table in tables.values()])
    assert pooled.models == ANCHORS
    assert len(pooled) == 300
    for column, level in enumerate(LEVELS):
        np.testing.assert_array_equal(pooled.quality[:, column] == 1, share >= 1 - level - 1e-9)
    assert pooled.prompt_ids[0].startswith("one/")


@pytest.mark.slow
def test_anchors_find_hard_what_the_public_models_did_and_are_the_same_each_time(tables):
    anchors = fit_anchors(tables, slope=0.5)
    assert sealed(anchors).content_hash == sealed(fit_anchors(tables, slope=0.5)).content_hash
    assert (anchors.is_starter, anchors.bank_prompts, anchors.reference.slope) == (True, None, 0.5)
    models = {name: ModelCard(name, Decimal(1), Decimal(price), accuracy=p, accuracy_prompts=1000) for name, price, p in
              (("weak", 1, 0.5), ("strong", 10, 0.9))}  # fmt: skip
    started = start(Catalog(models), anchors=anchors)
    table = Router.assemble(sealed(started.artifact), load_encoder("static")).predict([SUM, POEM])
    assert (table.p_success[0] > table.p_success[1] + 0.03).all()
    assert best_slope(anchors, tables["two"]) >= 0.5  # the same world: difficulty is what it says


def test_tools_and_settings_of_requests_are_left_out(tables, tmp_path):
    """One of the tables knows them. Its prompts are then the same as without, and no feature of requests is fitted."""
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    for seed, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        simulate(150, seed=seed).with_columns(
            tools=pl.lit(json.dumps(tools)),
            response_format=pl.lit('{"type": "json_object"}'),
            max_output_tokens=pl.lit(50),
            turn_type=pl.lit("title"),
        ).write_parquet(tmp_path / name / "outcomes.parquet")
    with_requests = read_outcomes(tmp_path / "one" / "outcomes.parquet").prompts
    assert with_requests[0].keys() == {"messages", "tools", "response_format", "max_completion_tokens", "turn_type"}
    for name, table in read_tables(tmp_path).items():
        assert [*map(Prompt.parse, table.prompts)] == [*map(Prompt.parse, tables[name].prompts)]
        features = featurise(table.prompts, load_encoder("static"))
        assert without_unused(features.surface).shape == (150, len(SURFACE_NAMES))
    assert load_anchors().predictor.evidence_model.kernel.scale.centre.shape == (len(SURFACE_NAMES),)


def test_a_model_that_was_not_graded_on_some_prompts_is_refused(tmp_path):
    for seed, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        table = simulate(10, seed=seed)
        missing = (pl.col("model") == "large") & pl.col("prompt_id").is_in(["p1-2", "p1-7"])
        table.filter(~missing).write_parquet(tmp_path / name / "outcomes.parquet")
    with pytest.raises(TableError, match="two/outcomes.parquet: large was not graded on 2 of 10 prompts; expected"):
        read_tables(tmp_path)


def test_one_table_is_too_few(tmp_path):
    with pytest.raises(TableError, match="0 tables; expected two or more"):
        read_tables(tmp_path)


@pytest.mark.slow
def test_on_the_sample_that_no_anchor_has_seen_a_starter_is_not_below_the_hull_of_single_models(tmp_path):
    """Levels are known from the accuracy on 400 of its prompts; the others are measured on."""
    pytest.importorskip("pareto_bandit", reason="extra 'sample' is not installed")
    import_sources([files("pareto_bandit").joinpath("data/examples/val.jsonl")], tmp_path / "sample.parquet")
    outcomes = read_outcomes(tmp_path / "sample.parquet")
    order = np.random.default_rng(0).permutation(len(outcomes))
    graded, rest = outcomes.take(order[:400]), outcomes.take(order[400:])
    cards = complete_catalog(None, outcomes.models, bills=outcomes)
    known = {
        model: ModelCard(model, card.usd_per_mtok_input, card.usd_per_mtok_output, accuracy=p, accuracy_prompts=400)
        for (model, card), p in zip(cards.cards.items(), graded.quality.mean(axis=0).tolist(), strict=True)
    }
    started = start(Catalog(known))
    assert started.routes
    found = evaluate(Router.assemble(sealed(started.artifact), load_encoder("static")), rest)
    assert found.metrics["aiq_gain"] >= -0.003
