"""The export of a log in the simulated world, by a router that explores; what is not logged is known, too."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from simulated_world import simulate

from router_model import Router

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def explored_log(
    champion: Router,
    n: int,
    *,
    seed: int = 50,
    share: float = 0.3,
    challenger: Router | None = None,
    among: Sequence[str] | None = None,
    graded: float = 1.0,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the exported log, and the whole table of outcomes.

    Parameters
    ----------
    share : of requests that explore
    challenger : explore its choice, and only where it differs; else any model
    among : explore these models alone
    graded : share of graded answers
    """
    rng = np.random.default_rng(seed)
    whole = simulate(n, seed=seed)
    prompts = whole.unique("prompt_id", maintain_order=True)
    mine = [decision.model for decision in champion.route_batch(prompts["prompt"].to_list())]
    others = mine if challenger is None else [d.model for d in challenger.route_batch(prompts["prompt"].to_list())]
    by_pair = {(row["prompt_id"], row["model"]): row for row in whole.iter_rows(named=True)}
    rows = []
    for i, prompt in enumerate(prompts.iter_rows(named=True)):
        explored = (among or champion.models) if challenger is None else [others[i]]
        chances = {model: share / len(explored) * (model in explored) for model in champion.models}
        chances[mine[i]] += 1 - share
        model = str(rng.choice(list(chances), p=list(chances.values())))
        outcome = by_pair[prompt["prompt_id"], model]
        rows.append(logged(i, prompt, outcome, chances, reason="explored" if model != mine[i] else "best_tradeoff"))
        if rng.random() >= graded:
            rows[-1]["quality"] = None
    return pl.DataFrame(rows), whole


def logged(
    i: int, prompt: Mapping[str, object], outcome: Mapping[str, object], chances: Mapping[str, float], *, reason: str
) -> dict[str, object]:
    """Return one row of the export."""
    return {
        "prompt_id": prompt["prompt_id"],
        "prompt": prompt["prompt"],
        "model": outcome["model"],
        "quality": outcome["quality"],
        "input_tokens": outcome["input_tokens"],
        "output_tokens": outcome["output_tokens"],
        "propensity": chances[str(outcome["model"])],
        "task": prompt["task"],
        "timestamp": BEGAN + timedelta(seconds=i),
        "session_id": None,
        "extra": json.dumps({"reason": reason, "propensities": {m: p for m, p in chances.items() if p > 0}}),
    }
