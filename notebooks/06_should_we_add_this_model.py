# %% [markdown]
# # Should we add this model?
#
# Two routers learn from the same prompts of **your table**: one may choose the new model, and the other does not know it.
# They are compared on prompts that neither saw.
#
# The table needs graded answers of the new model: `router-model collect PROMPTS --models NEW` asks it, within a budget.

# %%
import os
from pathlib import Path

import polars as pl

from router_model import TableError, compare, load_or_train, train
from router_model.wording import percent

TABLE = os.environ.get("ROUTER_TABLE", "../quickstart/train.parquet")
NEW = os.environ.get("ROUTER_NEW_MODEL", "mistralai/mistral-large-2512")

# %%
with_it = load_or_train(TABLE, Path(TABLE).with_suffix(".router"))
if NEW not in with_it.models:
    raise TableError(f"{TABLE} has no answers of {NEW!r}; set ROUTER_NEW_MODEL to one of {', '.join(with_it.models)}")
rows = pl.read_parquet(TABLE)
without = train(rows.filter(pl.col("model") != NEW)).router
found = compare(without, with_it, TABLE)
found

# %% [markdown]
# *First* is the router without the new model, *second* the one with it. The heading is the verdict.
#
# ## The differences

# %%
found.plot()

# %% [markdown]
# ## Whose prompts it would take

# %%
for model, share in sorted(found.second.shares.items(), key=lambda item: -item[1]):
    print(f"{model}: {percent(found.first.shares[model])} -> {percent(share)}")

# %% [markdown]
# ## What to do
#
# | the heading says | do |
# |---|---|
# | the second is *better*, or *cheaper and not worse* | add it: `router-model promote`, or `router-model add-model ROUTER TABLE --model NEW` without a training |
# | *a tie* | leave it out: one model less to watch |
# | *too few prompts* | ask it as many more prompts as the heading says: `router-model collect` |
# | *better and dearer* | decide what quality is worth to you, and compare at that value: `compare(…, goal=QualityValue(0.01))` |
