"""What variants of prompts do to a held-out AUC, with and without groups (docs/decisions/0023-near-duplicates.md)."""

from dataclasses import replace

import polars as pl
import pytest

from router_model.catalog import Catalog
from router_model.training import learnable
from router_model.training.train import TrainConfig, train

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

N_PROMPTS, N_VARIANTS, N_MODELS = 500, 150, 4


def test_variants_of_prompts_do_not_lift_the_auc(real_data, tmp_path, monkeypatch):
    """Split by id, the variants lift the AUC by several points; split by group, by less than half of that."""
    frame = pl.read_parquet(real_data / "zeroeval" / "outcomes.parquet")
    catalog = Catalog.load(real_data / "zeroeval" / "catalog.toml")
    some = frame["prompt_id"].unique(maintain_order=True).sample(N_PROMPTS, seed=0).to_list()
    models = frame["model"].unique().sort().to_list()[:N_MODELS]
    plain = frame.filter(pl.col("prompt_id").is_in(some) & pl.col("model").is_in(models))
    variants = plain.filter(pl.col("prompt_id").is_in(some[:N_VARIANTS])).with_columns(
        pl.col("prompt_id") + "/variant", pl.col("prompt") + " Thanks."
    )

    def auc(table):
        table.write_parquet(tmp_path / "table.parquet")
        reports = [
            train(tmp_path / "table.parquet", tmp_path / "router", catalog=catalog, config=TrainConfig(seed=seed))
            for seed in (0, 1)
        ]
        return sum(report.held_out.metrics["auc"] for report in reports) / 2

    honest, grouped = auc(plain), auc(pl.concat([plain, variants]))
    monkeypatch.setattr(learnable, "join_near_duplicates", lambda outcomes: replace(outcomes, groups=()))
    by_id = auc(pl.concat([plain, variants]))
    print(f"without variants {honest:.3f}, by group {grouped:.3f}, by id {by_id:.3f}")
    assert by_id - honest > 0.03
    assert grouped - honest < (by_id - honest) / 2
