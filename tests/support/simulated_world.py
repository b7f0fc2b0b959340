"""A world whose probabilities are known: three kinds of prompts, three models."""

import numpy as np
import polars as pl

from router_model.training.fitting.boosters import BoosterConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.importing.checks import check_batch
from router_model.training.table.outcomes import outcomes_of
from router_model.training.train import TrainConfig

FEW_TREES = FitConfig(
    boosters=BoosterConfig(learning_rate=0.15, max_rounds=20),
    amount_boosters=BoosterConfig(learning_rate=0.2, max_rounds=20),
)
"""Predicts this world as well as the defaults do, and is trained and loaded in less than half their time."""
BOLD = TrainConfig(max_quality_loss=0.05, fit=FEW_TREES)
"""For tables this small: the default margin of 0.01 sends every prompt to the best single model."""

WORDS = {
    "arithmetic": [
        "add", "subtract", "multiply", "divide", "number", "sum", "12", "45", "7", "total", "minus", "plus", "product",
        "300", "quotient",
    ],
    "poetry": [
        "rose", "moon", "river", "verse", "rhyme", "autumn", "silence", "wind", "lantern", "petals", "dusk", "sonnet",
        "heart", "snow",
    ],
    "code": [
        "def", "return", "import", "class", "loop", "list", "index", "function", "bug", "compile", "string", "array",
        "print", "lambda",
    ],
}  # fmt: skip
P_SUCCESS = {  # task -> model -> P(success)
    "arithmetic": {"small": 0.9, "coder": 0.7, "large": 0.95},
    "poetry": {"small": 0.3, "coder": 0.15, "large": 0.9},
    "code": {"small": 0.2, "coder": 0.85, "large": 0.9},
}
POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"
CATALOG = """
[models.small]
usd_per_mtok_input = 0.1
usd_per_mtok_output = 0.3
context_window = 4000
tools = false
[models.coder]
usd_per_mtok_input = 0.5
usd_per_mtok_output = 1.5
context_window = 32000
[models.large]
usd_per_mtok_input = 5
usd_per_mtok_output = 15
context_window = 200000
"""


def simulate(n_prompts: int, *, seed: int = 0, graded: bool = False) -> pl.DataFrame:
    """Draw an outcome table from `P_SUCCESS`; graded qualities spread around the success."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_prompts):
        task = list(WORDS)[rng.integers(3)]
        text = " ".join(rng.choice(WORDS[task], size=12))
        for model, p in P_SUCCESS[task].items():
            success = float(rng.random() < p)
            quality = float(np.clip(success * 0.6 + 0.4 * rng.random(), 0, 1)) if graded else success
            tokens = int(rng.integers(50, 100) * (4 if task == "poetry" else 1))
            rows.append(
                {
                    "prompt_id": f"p{seed}-{i}",
                    "prompt": f"{text} #{seed}-{i}",
                    "model": model,
                    "quality": quality,
                    "input_tokens": 14,
                    "output_tokens": tokens,
                    "task": task,
                }
            )
    return pl.DataFrame(rows)


def outcomes_in(frame):
    """Return the outcomes of a table whose rows are all good."""
    good, problems = check_batch(frame)
    assert not problems
    return outcomes_of(good, origin="test")
