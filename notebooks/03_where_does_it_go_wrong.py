# %% [markdown]
# # Where does it go wrong?
#
# On which prompts of **your table** would another model have been better than the chosen one, and could the router have
# known? Only prompts that the router never saw are counted.

# %%
import os
from pathlib import Path

from router_model import evaluate, load_or_train, worst_regrets

TABLE = os.environ.get("ROUTER_TABLE", "../quickstart/train.parquet")

# %%
router = load_or_train(TABLE, Path(TABLE).with_suffix(".router"))
measured = evaluate(router, TABLE)
measured.losses

# %% [markdown]
# *Answers lost* is the difference in quality times the number of prompts: about so many good answers are missing. A task
# of few prompts can lose by chance.

# %%
print(f"All tasks: {measured.router.quality:.3f} instead of {measured.singles[0].quality:.3f}.")
measured.plot("tasks")

# %% [markdown]
# ## The worst single decisions
#
# **Unlucky**: the chosen model was likely to succeed, and did not. Any router would have chosen so. **Misjudged**: the
# router knew that the better model was likelier to succeed, and chose by price. **Not known**: it took the weaker model for
# as good, so prompts like this are missing among those that it learned from. `P` is the predicted probability of success.

# %%
worst_regrets(router, TABLE, n_worst=12)

# %% [markdown]
# ## What to do
#
# | most of the table is | do |
# |---|---|
# | *unlucky* | nothing: this is the price of chance |
# | *misjudged* | ask for more quality: `router.route(prompt, quality_value_usd=…)`, or train with `--max-quality-loss 0` |
# | *not known* | collect prompts of these tasks: `router-model collect`, then train again |
# | one task | decide it by hand: `Constraints(allow=(…,))` for its requests |
