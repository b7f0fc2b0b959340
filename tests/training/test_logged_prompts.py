"""A table may have features of prompts instead of their texts; what needs texts says what it leaves out."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from logged_prompts import seal_prompts
from simulated_world import BOLD, simulate

from router_model import Router, TableError
from router_model.features.featuriser import featurise
from router_model.features.logged import LogKeys, new_key_file, unpack
from router_model.training.benchmark.benchmark import Bench
from router_model.training.commands.evaluate import command
from router_model.training.importing import import_sources
from router_model.training.measuring.evaluate import evaluate, seen_before
from router_model.training.metrics import mean_auc
from router_model.training.near_duplicates.groups import join_near_duplicates, near_duplicate_labels
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import train


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return new_key_file(tmp_path_factory.mktemp("keys") / "log.key")


@pytest.fixture
def with_key(keys, monkeypatch):
    monkeypatch.setenv("ROUTER_LOG_KEY", keys.origin)


def without_texts(table, path, keys, *, share=1.0):
    """Write a table whose prompts are features; of a share of them, the others keep their texts."""
    frame = pl.read_parquet(table)
    prompts = frame["prompt"].unique(maintain_order=True)
    prompts = prompts.head(round(share * len(prompts)))
    sealed = dict(zip(prompts, seal_prompts(prompts, keys), strict=True))
    ids = {prompt: f"dec_{number}" for number, prompt in enumerate(frame["prompt"].unique(maintain_order=True))}
    features = pl.Series("prompt_features", [sealed.get(prompt) for prompt in frame["prompt"]], dtype=pl.String)
    frame.with_columns(
        features,
        prompt_id=frame["prompt"].replace_strict(ids),
        prompt=pl.when(features.is_null()).then(pl.col("prompt")),
    ).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, keys):
    """Half of the prompts with their texts, as one has them where a log is joined with the table there was."""
    folder = tmp_path_factory.mktemp("mixed")
    simulate(200).write_parquet(folder / "texts.parquet")
    return without_texts(folder / "texts.parquet", folder / "outcomes.parquet", keys, share=0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("with_key")
def test_a_router_learns_from_features_and_texts_together(mixed, catalog, tmp_path):
    report = train(mixed, tmp_path / "router", catalog=catalog, config=BOLD)
    assert any(said.startswith("100 of 200 prompts were logged without their texts") for said in report.warnings)
    router = Router.load(report.artifact)
    simulate(300, seed=5).write_parquet(tmp_path / "new.parquet")
    assert evaluate(router, read_outcomes(tmp_path / "new.parquet")).metrics["auc"] > 0.65  # 0.5 says nothing
    # What it has learned from is recognised by its text, whichever form it was learned in.
    assert seen_before(router, read_outcomes(mixed.with_name("texts.parquet")).prompts).sum() == report.n_train


@pytest.mark.slow
def test_features_lose_no_more_than_a_thousandth_of_auc(real_run):
    """Embeddings of 8 bits are the one difference; both routers decide on the texts of the same test prompts."""
    run, from_texts = real_run("zeroeval")
    keys = LogKeys("test", (Fernet.generate_key().decode(),))
    logged = [unpack(keys.open(one)) for one in seal_prompts(run.outcomes.prompts, keys)]
    from_features, _ = replace(run, features=featurise(logged, run.encoder)).fit(lambda _: None)
    test, live = run.outcomes.take(run.split.test), run.features.take(run.split.test)
    auc, known = (mean_auc(one.predict_features(live).p_success, test.quality) for one in (from_features, from_texts))
    assert auc >= known - 0.001


@pytest.mark.usefixtures("with_key")
def test_a_table_of_features_is_measured_on(trained, keys, tmp_path):
    """The same prompts, with texts and without: they differ by the rounding of embeddings to 8 bits alone."""
    simulate(100, seed=6).write_parquet(tmp_path / "texts.parquet")
    path = without_texts(tmp_path / "texts.parquet", tmp_path / "features.parquet", keys)
    with_text, without = (
        evaluate(trained.router, read_outcomes(tmp_path / f"{name}.parquet")) for name in ("texts", "features")
    )
    assert without.metrics["auc"] == pytest.approx(with_text.metrics["auc"], abs=0.005)
    assert (with_text.n_without_text, without.n_without_text) == (0, 100)
    said = CliRunner().invoke(command, [str(trained.path), str(path)], catch_exceptions=False).output
    assert "100 logged without their texts" in " ".join(said.split())


@pytest.mark.usefixtures("with_key")
def test_what_needs_texts_leaves_out_prompts_without_and_says_so(trained, mixed):
    asked = [str(trained.path), str(mixed), "--robustness", "--include-seen", "--json"]
    robustness = json.loads(CliRunner().invoke(command, asked, catch_exceptions=False).stdout)["robustness"]
    assert (robustness["n_prompts"], robustness["n_without_text"]) == (100, 100)
    with pytest.raises(TableError, match="outcomes.parquet: some prompts were logged without their texts"):
        Bench.prepare(mixed)


@pytest.mark.usefixtures("with_key")
def test_near_duplicates_are_found_by_terms(keys, mixed):
    texts = ["Name the capital of France and say how many people live there today.", "Hello, who is that?"]
    texts.append(texts[0].replace("today", "now"))
    logged = read_prompts(seal_prompts(texts, keys), mixed)
    assert near_duplicate_labels(logged).tolist() == [0, 1, 0]
    assert near_duplicate_labels([*logged[:2], texts[2]]).tolist() == [0, 1, 0]  # features beside a text
    groups = join_near_duplicates(read_outcomes(mixed)).groups
    assert len(set(groups)) > 150


def read_prompts(sealed, mixed):
    rows = [{"prompt_features": one, "prompt_id": str(i), "model": "a", "quality": 1.0} for i, one in enumerate(sealed)]
    path = mixed.with_name("prompts.parquet")
    pl.DataFrame(rows).write_parquet(path)
    return read_outcomes(path).prompts


def test_a_table_of_features_needs_the_key(mixed, keys, tmp_path, monkeypatch):
    monkeypatch.delenv("ROUTER_LOG_KEY", raising=False)
    with pytest.raises(TableError, match=f"mixed.*: the table has features of 100 prompts, .* the key {keys.key_id}"):
        read_outcomes(mixed)
    monkeypatch.setenv("ROUTER_LOG_KEY", new_key_file(tmp_path / "other.key").origin)
    with pytest.raises(TableError, match=f"sealed with the key {keys.key_id}; .*other.key has"):
        read_outcomes(mixed)


def test_an_import_keeps_features_sealed_and_needs_no_key(mixed, tmp_path, monkeypatch):
    monkeypatch.delenv("ROUTER_LOG_KEY", raising=False)
    report = import_sources([mixed], tmp_path / "again.parquet")
    assert (report.n_rows, report.n_rejected) == (600, 0)
    found, given = pl.read_parquet(tmp_path / "again.parquet"), pl.read_parquet(mixed)
    assert found["prompt_features"].equals(given["prompt_features"])
    assert np.array_equal(found["prompt_id"], given["prompt_id"])


def test_values_that_are_not_features_are_refused(tmp_path):
    pl.DataFrame([{"prompt_features": "0.1,0.2", "model": "a", "quality": 1.0}]).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(
        TableError, match="row 1, column 'prompt_features'.*got '0.1,0.2', expected features as the dec"
    ):
        read_outcomes(tmp_path / "bad.parquet")
