# %% [markdown]
# # Can the probabilities be trusted?
#
# For every model, a router says how likely its answer is to be good enough. Of all answers that it gives 90 %, about 90 %
# should be good. This is checked on prompts of **your table** that the router never saw.

# %%
import os
from pathlib import Path

from router_model import evaluate, load_or_train

TABLE = os.environ.get("ROUTER_TABLE", "../quickstart/train.parquet")

# %%
router = load_or_train(TABLE, Path(TABLE).with_suffix(".router"))
measured = evaluate(router, TABLE)
measured.calibration

# %% [markdown]
# *Off by* is the mean observed success minus the mean predicted probability. If its interval contains 0, chance explains
# it. *Error* is the mean distance over the range of probabilities (the calibration error), and *by chance* is what
# perfect probabilities would show on as few answers.
#
# ## Prediction against observation
#
# A point on the dashed line is right. The bars are 95 % intervals.

# %%
measured.plot("reliability")

# %% [markdown]
# ## What the router promises
#
# A certificate is a promise that was tested on prompts set aside for it. Everything else is an estimate.

# %%
for certificate in router.certificates:
    print(certificate)

# %% [markdown]
# ## What to do
#
# | you see | do |
# |---|---|
# | every interval contains 0 | decide by probabilities: `target_success=0.9` means what it says |
# | one model is off | train again with more of its answers; until then, leave it out (`Constraints(deny=(…,))`) |
# | all are off in the same direction | your grades changed, or these prompts are of another kind: [what changed?](05_what_changed.ipynb) |
# | you need a guarantee | `router-model certify ROUTER TABLE --target-success 0.9` on prompts of your own |
