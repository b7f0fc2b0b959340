# %% [markdown]
# # What changed?
#
# Prompts, models and prices change, and a router does not notice by itself. **Your log** is compared with what the router
# learned from and with what it predicted: traffic, success, costs, tokens, prices, and which model really answered.
#
# Give the URL of the log, such as `sqlite:///router-log.db`, or a table of `router-model log export`. `ROUTER_ARTIFACT`
# names the router that is served; if it is not there, one is trained on the older half of the log.

# %%
import os
from pathlib import Path

from router_model import Router, read_log, train, watch

LOG = os.environ.get("ROUTER_LOG", "../quickstart/log.parquet")
SERVED = Path(os.environ.get("ROUTER_ARTIFACT", "../quickstart/train.router"))

# %%
log = read_log(LOG)
older, newer = log[: len(log) // 2], log[len(log) // 2 :]
router = Router.load(SERVED) if SERVED.exists() else train(older).router
changed = watch(router, newer)
changed

# %% [markdown]
# A check counts as drift if its effect has reached the limit *and* chance does not explain it.
#
# ## Every check, in multiples of what counts
#
# Beyond the dashed lines, a change is large enough to matter.

# %%
changed.plot()

# %% [markdown]
# ## Was it there before?
#
# The same checks on the older half. What is in both halves was never right; what is only in the newer half has changed.

# %%
before = watch(router, older)
known = {(one.check, one.subject) for one in before.drifted}
new = [one for one in changed.drifted if (one.check, one.subject) not in known]
print(f"Changes in the newer half: {len(changed.drifted)}. New, so not in the older half: {len(new)}.")
for one in new:
    print(f"- {one.check} {one.subject}: {one.says}. {one.advice[:1].upper()}{one.advice[1:]}.")

# %% [markdown]
# ## What to do
#
# | what drifted | do |
# |---|---|
# | price, cost | correct the catalog, and load the router with it: `--catalog`; decisions follow at once |
# | traffic, form | retrain with the newest prompts: `router-model retrain --base ROUTER --log LOG --out NEW` |
# | calibration, success | the same; until then, levels can follow feedback (`serve --follow-levels`) |
# | answering model | the provider answers with another model than you asked for: ask it, or leave it out |
# | nothing | look again next week: `router-model drift` in a timer |
