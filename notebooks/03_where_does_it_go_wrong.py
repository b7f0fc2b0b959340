# %% [markdown]
# # Where does it go wrong?
#
# On which prompts of **your table** would another model have been better than the chosen one, and could the router have
# known? Only prompts that the router never saw are counted.

# %%
import os
from dataclasses import asdict
from pathlib import Path

import polars as pl

from router_model import evaluate, load_or_train, read_outcomes, worst_regrets

TABLE = os.environ.get("ROUTER_TABLE", "../quickstart/train.parquet")
pl.Config.set_fmt_str_lengths(70).set_tbl_hide_dataframe_shape(True).set_tbl_hide_column_data_types(True).set_tbl_rows(
    12
)

# %%
outcomes = read_outcomes(TABLE)
router = load_or_train(TABLE, Path(TABLE).with_suffix(".router"))
measured = evaluate(router, outcomes)
worst = sorted(
    ((n * (best.quality - ours.quality), task, n, ours, best) for task, (n, ours, best) in measured.by_task.items()),
    key=lambda row: -row[0],
)
lost = [row for row in worst if row[0] > 0]
print(
    f"The router's quality is {measured.router.quality:.3f}; {measured.best_single} has {measured.singles[0].quality:.3f}."
)
if lost:
    print(
        f"It loses most on {lost[0][1]}: {lost[0][3].quality:.3f} instead of {lost[0][4].quality:.3f}, {lost[0][2]} prompts."
    )
pl.DataFrame(
    [
        {
            "task": task,
            "prompts": n,
            "router": round(ours.quality, 3),
            "best single model": round(best.quality, 3),
            "answers lost": round(loss, 1),
            "cost saved": f"{ours.saving:.0%}",
        }
        for loss, task, n, ours, best in lost[:8]
    ]
)

# %% [markdown]
# *Answers lost* is the difference in quality times the number of prompts. A task of few prompts can lose by chance.
#
# ## The worst single decisions
#
# `p` is the predicted probability of success. **Unlucky**: the chosen model was likely to succeed, and did not; any router
# would have chosen so. **Misjudged**: the router gave the better model a much higher probability, and chose by price; a
# higher value of quality mends it. **Not known**: it took the weaker model for the better one, so prompts like this are
# missing among those that it learned from.

# %%
regrets = worst_regrets(router, outcomes, n_worst=12)
table = pl.DataFrame([asdict(regret) for regret in regrets])
if len(table):
    table = table.with_columns(
        kind=pl.when(pl.col("p_chosen") >= 0.9)
        .then(pl.lit("unlucky"))
        .when(pl.col("p_better") > pl.col("p_chosen") + 0.05)
        .then(pl.lit("misjudged"))
        .otherwise(pl.lit("not known"))
    ).select(
        "kind",
        "task",
        "prompt",
        "chosen",
        "better",
        pl.col("p_chosen", "p_better").round(2),
        pl.col("regret_usd").round(3),
    )
table

# %% [markdown]
# ## What to do
#
# | most of the table is | do |
# |---|---|
# | *unlucky* | nothing: this is the price of chance |
# | *misjudged* | ask for more quality: `router.route(prompt, quality_value_usd=…)`, or train with `--max-quality-loss 0` |
# | *not known* | collect prompts of these tasks: `router-model collect`, then train again |
# | one task | decide it by hand: `Constraints(allow=(…,))` for its requests |
