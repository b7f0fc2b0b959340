# %% [markdown]
# # What would routing have saved us?
#
# A router learns from 60 % of the prompts of **your table** and is measured on the others, which it never saw. Give the path
# of the table: one row for each prompt and model, with `prompt`, `model`, `quality`, and `cost_usd` or tokens
# (`router-model import` and `router-model collect` write such tables).

# %%
import os
from pathlib import Path

from router_model import evaluate, load_or_train
from router_model.wording import percent

TABLE = os.environ.get("ROUTER_TABLE", "../quickstart/train.parquet")

# %%
router = load_or_train(TABLE, Path(TABLE).with_suffix(".router"))  # beside the table; the next notebooks use it, too
measured = evaluate(router, TABLE)
measured

# %% [markdown]
# The heading says whether routing pays, against which model, and how sure that is (95 %). The first row of the table is
# the router, and each other row is a model that answers every prompt.
#
# ## Quality against cost
#
# The line is the router with each setting that it can have. Where it runs above and to the left of a model, routing is
# better and cheaper than that model. The dashed line is a random mix of the models: what no knowledge of prompts brings.

# %%
measured.plot()

# %% [markdown]
# ## Where the saving comes from

# %%
measured.plot("shares")

# %%
measured.plot("tasks")

# %% [markdown]
# ## What to do
#
# | the heading says | do |
# |---|---|
# | *routing pays* | serve it: `router-model serve ROUTER`, and keep asking [whether its probabilities hold](02_can_the_probabilities_be_trusted.ipynb) |
# | *send all to …* | call that model; ask again when prices or models change |
# | *a tie* or *too few prompts* | collect as many more prompts as it says: `router-model collect` |
# | *cheaper and worse* | ask for more quality, as one of the settings below does |

# %%
for setting in measured.tradeoffs:
    if setting.saving is not None:
        print(
            f"{percent(setting.share)} of the best model's quality: {percent(setting.saving)} saved, "
            f"with --quality-value-usd {setting.quality_value_usd:.3g}"
        )
