"""Trials made of plain numbers: what a method did in them can be worked out by hand."""

import numpy as np

from router_model import Catalog
from router_model.features import load_encoder
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.bars import succeeds
from router_model.training.benchmark.method import Routed, Routing
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.table.outcomes import Outcomes

_CARD = "usd_per_mtok_input = 1.0\nusd_per_mtok_output = 1.0\n"


def small_side(quality, cost, *, tasks=None, ids=None, tokens=None, sessions=(), bar=1.0):
    """Return a side of n prompts x m models; prompts have no text that anything reads."""
    quality, cost = np.array(quality, dtype=float), np.array(cost, dtype=float)
    n = len(quality)
    unknown = np.full_like(quality, np.nan)
    outcomes = Outcomes(
        prompt_ids=list(ids) if ids is not None else [f"p{row}" for row in range(n)],
        prompts=["?"] * n,
        tasks=list(tasks) if tasks is not None else [""] * n,
        models=tuple(f"m{column}" for column in range(quality.shape[1])),
        quality=quality,
        input_tokens=unknown,
        output_tokens=unknown if tokens is None else np.array(tokens, dtype=float),
        cost_usd=cost,
        latency_s=unknown,
        propensity=unknown,
        sessions=sessions,
    )
    blank = np.zeros(n)
    pieces = [np.zeros(1, dtype=np.int64)] * n
    features = PromptFeatures(np.zeros((n, 2), np.float32), np.zeros((n, 1), np.float32), pieces, blank, blank, blank)
    success = succeeds(quality, bar).astype(float)
    return Side(outcomes, features, success, cost, quality, success)


def small_trial(validation, test, *, name="seed 0", seed=0):
    """Return a trial; nothing can be learned from its training prompts, which are the validation prompts again."""
    models = test.outcomes.models
    catalog = Catalog.parse("".join(f'[models."{model}"]\n{_CARD}' for model in models), origin="catalog.toml")
    return Trial(name, seed, models, catalog, load_encoder("static"), 1.0, validation, validation, test)


def small_routed(validation, test, p_success=None, cost=None, tokens=None, **others):
    """Return what a method did: choices on both sides, and predictions on test."""
    known = [None if each is None else np.array(each, dtype=float) for each in (p_success, cost, tokens)]
    return Routed(Routing(np.array(validation)), Routing(np.array(test), *known), **others)
