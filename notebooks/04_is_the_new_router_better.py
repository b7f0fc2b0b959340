# %% [markdown]
# # Is the new router better?
#
# **Your log** says which model answered each request, with which probability it was chosen, and how good the answer was.
# From explored choices, it can be estimated what the new router would have brought on the same requests, before anybody
# is served by it (off-policy evaluation).
#
# Give the URL of the log, such as `sqlite:///router-log.db`, or a table of `router-model log export`. `ROUTER_ARTIFACT`
# names the new router; if it is not there, one is trained on the older half of the log and tried on the newer half. No
# traffic yet? `make notebooks` simulates a log (`router-model simulate`).

# %%
import os
from pathlib import Path

from router_model import Router, evaluate_on_log, read_log, train
from router_model.wording import percent

LOG = os.environ.get("ROUTER_LOG", "../quickstart/log.parquet")
NEW = Path(os.environ.get("ROUTER_ARTIFACT", "../quickstart/train.router"))

# %%
log = read_log(LOG)
if NEW.exists():
    new = Router.load(NEW)
else:
    new, log = train(log[: len(log) // 2]).router, log[len(log) // 2 :]
found = evaluate_on_log(new, log)
found

# %% [markdown]
# The *challenger* is the new router, and the *champion* is the policy that wrote the log, without its exploration.
#
# ## The difference in quality
#
# DR (doubly robust) is the estimate to believe; the others check it. The dashed line is the loss that does not matter.

# %%
found.plot()

# %%
overlap = found.overlap
print(f"They disagree on {percent(overlap.share_different)} of {found.n_decisions:,} decisions.")
print(
    f"There, {overlap.n_challenger:,} graded answers are by the new router's choice, {overlap.n_champion:,} by the old one's."
)
print(
    f"This log shows differences of {100 * found.shown:.1f} points; one point takes about {found.n_to_show_a_point:,.0f} requests."
)
for reason, n in found.left_out.items():
    print(f"Left out: {n:,} {reason}.")

# %% [markdown]
# ## What to do
#
# | the heading says | do |
# |---|---|
# | *better*, or *cheaper and not worse* | `router-model promote NEW --to PLACE --log LOG`: a canary first, then all traffic |
# | *too few prompts* | let it run: `--explore-share 0.05` tries another model in one call of twenty, and feedback on every answer counts |
# | *this log cannot tell* | the same; it says how many more requests it takes |
# | *cheaper and worse* | train with a smaller `--max-quality-loss`, or accept the loss for the saving |
# | *worse* | keep the old one, and look [where the new one goes wrong](03_where_does_it_go_wrong.ipynb) |
# | *the log could not have made the choice* | explore wider: `--explore-max-cost-ratio` and `--explore-max-p-drop` |
