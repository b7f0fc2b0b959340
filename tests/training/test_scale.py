"""Large tables, made small enough for a test: many models, half of the pairs missing, bounds that bite."""

import numpy as np
import polars as pl
import pytest

from router_model import Catalog, Router
from router_model.errors import TrainingError
from router_model.training.fitting import boosters
from router_model.training.fitting.boosters import BoosterConfig, PairTable
from router_model.training.fitting.evidence import EvidenceConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.train import TrainConfig, train

N_PROMPTS, N_MODELS = 3000, 50
FEW = BoosterConfig(max_rounds=3, max_rows=5000)
CONFIG = TrainConfig(fit=FitConfig(EvidenceConfig(max_bank=500, max_terms=2000), FEW, FEW))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Write prompts of three topics, each of which half of the models answer; return folder and catalog."""
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 3, N_PROMPTS)
    words = np.array([[f"t{t}w{i}" for i in range(30)] for t in range(3)])
    texts = [" ".join(words[t][rng.integers(0, 30, 8)]) for t in topic]
    p = rng.random((3, N_MODELS))
    row, column = np.nonzero(rng.random((N_PROMPTS, N_MODELS)) < 0.5)
    frame = pl.DataFrame(
        {
            "prompt_id": pl.Series([f"p{i}" for i in range(N_PROMPTS)]).gather(row),
            "prompt": pl.Series(texts).gather(row),
            "model": pl.Series([f"m{i:02}" for i in range(N_MODELS)]).gather(column),
            "quality": (rng.random(len(row)) < p[topic[row], column]).astype(float),
            "output_tokens": rng.integers(10, 500, len(row)),
        }
    )
    folder = tmp_path_factory.mktemp("scale")
    frame.write_parquet(folder / "table.parquet")
    price = "usd_per_mtok_input = 1.0\nusd_per_mtok_output = 2.0\n"
    (folder / "catalog.toml").write_text("".join(f"[models.m{i:02}]\n{price}" for i in range(N_MODELS)))
    return folder


@pytest.mark.slow
def test_many_models_with_missing_pairs_train(table, tmp_path, monkeypatch):
    """No more rows are laid out at once than a chunk and the sample have, of 90,000 that all pairs would be."""
    laid_out: list[int] = []
    monkeypatch.setattr(boosters, "_CHUNK_ROWS", 10_000)
    whole = PairTable.gather

    def counted(self, pairs):
        layout = self.layout
        rows = whole(self, pairs)
        laid_out.extend([len(rows), len(layout(next(self.chunks(np.arange(len(self.folds))))))])
        return rows

    monkeypatch.setattr(PairTable, "gather", counted)
    report = train(
        table / "table.parquet", tmp_path / "router", catalog=Catalog.load(table / "catalog.toml"), config=CONFIG
    )
    assert len(report.models) == N_MODELS
    assert max(laid_out) <= 10_000
    bank = Router.load(tmp_path / "router").artifact.predictor.evidence_model.bank
    assert bank.outcome.shape[:2] == (500, N_MODELS)


def test_too_few_conversations_are_refused(table, tmp_path):
    frame = pl.read_parquet(table / "table.parquet").with_columns(session_id=pl.lit("one"))
    for session in ("one", "two", "three", "four"):  # one of them at least is for training
        frame.with_columns(session_id=pl.lit(session)).write_parquet(tmp_path / "t.parquet")
        try:
            train(tmp_path / "t.parquet", tmp_path / "router", config=CONFIG)
        except TrainingError as exc:
            if "belong to 1 groups of conversations (session_id) and near duplicates" in str(exc):
                return
    pytest.fail("training went ahead with one conversation")
