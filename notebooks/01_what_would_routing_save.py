# %% [markdown]
# # What would routing save?
#
# Three current models answered 3,609 prompts, and every answer was graded (0 to 1) and billed. A router learns from
# 1,785 of these prompts. Its cost and quality are measured on the other 1,824. Here an answer succeeds if its grade is
# at least 0.8. The data is the sample of the package `paretobandit` (extra `sample`).

# %%
# %matplotlib inline
import tempfile
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import polars as pl

from router_model import Router
from router_model.features.featuriser import featurise
from router_model.goal import OwnTradeoff, QualityValue
from router_model.training.benchmark.plots import TaskSaving, cost_and_quality, decision_shares, savings_by_task
from router_model.training.importing import import_sources
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.regrets import worst_regrets
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import TrainConfig, train

QUALITY_BAR = 0.8

# %%
folder = Path(tempfile.mkdtemp())
sample = Path(str(files("pareto_bandit"))) / "data" / "examples"
import_sources([sample / "val.jsonl"], folder / "train.parquet")
import_sources([sample / "test_holdout.jsonl"], folder / "unseen.parquet")
train(folder / "train.parquet", folder / "router", config=TrainConfig(quality_bars=(QUALITY_BAR,), holdout=False))

router, unseen = Router.load(folder / "router"), read_outcomes(folder / "unseen.parquet")
features = featurise(unseen.prompts, router.encoder)
default = evaluate(router, unseen, features=features, goal=OwnTradeoff(QUALITY_BAR))

# %% [markdown]
# ## The frontier
#
# Each point is one model that answers all prompts. The line is the router, for every value that a success could have.
# If the line runs above and to the left of a point, routing is better and cheaper than that model.

# %%
cost_and_quality(default)

# %% [markdown]
# ## How much it saves at which quality
#
# For each share of the best single model's quality, this is the cheapest setting that kept it. These settings are
# chosen in hindsight, on the prompts that they are measured on. `router-model certify` promises without hindsight.

# %%
settings = {
    f"{tradeoff.share:.0%} of the quality": tradeoff for tradeoff in default.tradeoffs if tradeoff.saving is not None
}
for name, tradeoff in settings.items():
    print(
        f"{name}: {tradeoff.saving:.1%} of the cost saved, quality 1 being worth {tradeoff.quality_value_usd:.4g} USD"
    )

# %% [markdown]
# ## Which models the prompts go to
#
# The default setting is the cheapest that is shown to lose at most 0.01 of quality against the best single model. If
# one model does so at a low cost, it gets all prompts. Higher and lower values spread the prompts over the models.

# %%
evaluations = {"by default": default} | {
    name: evaluate(
        router,
        unseen,
        features=features,
        goal=QualityValue(tradeoff.quality_value_usd, QUALITY_BAR),
    )
    for name, tradeoff in settings.items()
}
cheapest_first = [single.label for single in sorted(default.singles, key=lambda single: single.cost_usd)]
decision_shares(
    {name: evaluation.shares for name, evaluation in evaluations.items()},
    cheapest_first=cheapest_first,
)

# %% [markdown]
# ## Savings by task
#
# This is the setting that keeps the most quality, compared with the best single model.

# %%
name, evaluation = list(evaluations.items())[1]
savings_by_task(TaskSaving.of_evaluation(evaluation), title=f"keeping {name}")

# %% [markdown]
# ## The worst regrets
#
# These are the prompts on which another model would have been better, or as good at a lower cost, by the largest
# amounts. `p` is the predicted probability of success. If it is high for the chosen model, the decision was sound but
# unlucky.

# %%
regrets = worst_regrets(
    router,
    unseen,
    n_worst=8,
    quality_bar=QUALITY_BAR,
    quality_value_usd=settings[name].quality_value_usd,
)
pl.Config.set_fmt_str_lengths(120).set_tbl_hide_dataframe_shape(True).set_tbl_hide_column_data_types(True)
pl.DataFrame([asdict(regret) for regret in regrets]).select(
    "task",
    "prompt",
    "chosen",
    "better",
    pl.col("p_chosen", "p_better", "quality_chosen", "quality_better").round(2),
    pl.col("regret_usd").round(4),
)
