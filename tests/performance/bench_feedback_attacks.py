"""What bad feedback does to a retrain: ``bench_feedback_attacks.py TRAIN UNSEEN``.

The two tables are those of ``make quickstart`` (``quickstart/train.parquet quickstart/unseen.parquet``). Twenty judges
share the prompts of the first, the largest has one in seven. A router is trained on that; then one judge more, or a
change that nobody signed, spoils some rows, and the router is trained again, as a retrain would. Prints Markdown: how
much of the unseen traffic goes to another model than before, and what the new router's choices are worth on clean
grades (quality, and USD per thousand prompts),

- *before*: every grade counts, and every router is saved (as it was before the defence);
- *judges*: grades that the other judges contradict are left out;
- *saved*: whether ``train`` replaces the former router, or refuses and says why.

Each training of the quickstart's table takes 15 to 20 s; the whole takes about ten minutes.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.router import Router
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.moves import chosen_models
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.train import TrainConfig, train

BASE = "mistralai/mistral-large-2512"
"""The model that serves most."""
BAD = "meta-llama/llama-3.1-8b-instruct"
EVIL = "evil"
N_JUDGES = 20
CONFIG = TrainConfig(holdout=False)

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Prompts:
    """The prompts of the clean table, in order."""

    ids: npt.NDArray[np.str_]
    tasks: npt.NDArray[np.str_]
    embedding: npt.NDArray[np.float32]
    fails_at_bad: npt.NDArray[np.bool_]


Change = Callable[[pl.DataFrame, Prompts, np.random.Generator], pl.DataFrame]


def owned(frame: pl.DataFrame, ids: npt.NDArray[np.str_], judge: str | None = EVIL) -> pl.DataFrame:
    """Give prompts to a judge."""
    mine = pl.col("prompt_id").is_in(ids.tolist())
    return frame.with_columns(judge=pl.when(mine).then(pl.lit(judge)).otherwise("judge"))


def graded(frame: pl.DataFrame, ids: npt.NDArray[np.str_], model: str, quality: float) -> pl.DataFrame:
    """Change the grades of a model's answers."""
    spoilt = pl.col("prompt_id").is_in(ids.tolist()) & (pl.col("model") == model)
    return frame.with_columns(quality=pl.when(spoilt).then(pl.lit(quality)).otherwise("quality"))


def few_failures(n: int, n_owned: int) -> Change:
    """(a) `n` answers of the model that serves most become failures, in the hands of a judge with more prompts."""

    def change(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        mine = rng.choice(prompts.ids, n_owned, replace=False)
        return graded(owned(frame, mine), mine[:n], BASE, 0.0)

    return change


def successes(share: float) -> Change:
    """(b) A judge with a share of the prompts turns every failure of a bad model into a success."""

    def change(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        mine = rng.random(len(prompts.ids)) < share
        turned = graded(frame, prompts.ids[mine & prompts.fails_at_bad], BAD, 1.0)
        return owned(turned, prompts.ids[mine])

    return change


def fabricated(n: int) -> Change:
    """(c) One key, fifty sources: invented prompts at which the model that serves most fails and the bad one shines."""

    def change(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        copied = rng.choice(prompts.ids, n, replace=False)
        more = owned(frame.filter(pl.col("prompt_id").is_in(copied.tolist())), copied)
        more = graded(graded(more, copied, BASE, 0.0), copied, BAD, 1.0).with_columns(
            prompt_id="again-" + pl.col("prompt_id"),
            prompt=pl.col("prompt") + " Please.",
            source="source " + (pl.col("prompt_id").hash() % 50).cast(pl.String),
        )
        return pl.concat([frame, more.select(frame.columns)])

    return change


def topic(task: str, n_owned: int, n: int) -> Change:
    """(d) Failures at one topic only."""

    def change(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        mine = rng.permutation(prompts.ids[prompts.tasks == task])[:n_owned]
        return graded(owned(frame, mine), mine[:n], BASE, 0.0)

    return change


def nearest(n: int) -> Change:
    """(d) Failures at the prompts nearest to a victim's."""

    def change(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        victim = int(rng.integers(len(prompts.ids)))
        mine = prompts.ids[np.argsort(-(prompts.embedding @ prompts.embedding[victim]))[:n]]
        return graded(owned(frame, mine), mine, BASE, 0.0)

    return change


def unsigned(change: Change) -> Change:
    """Leave the spoilt rows without a judge, as if they came from the operator."""

    def unsign(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        return change(frame, prompts, rng).with_columns(judge=pl.lit(None, pl.String))

    return unsign


def colluding(change: Change, n_keys: int) -> Change:
    """Share the spoilt rows out between several keys."""

    def collude(frame: pl.DataFrame, prompts: Prompts, rng: np.random.Generator) -> pl.DataFrame:
        name = pl.lit(f"{EVIL} ") + (pl.col("prompt_id").hash() % n_keys).cast(pl.String)
        return change(frame, prompts, rng).with_columns(
            judge=pl.when(pl.col("judge") == EVIL).then(name).otherwise("judge")
        )

    return collude


ATTACKS: dict[str, Change] = {
    "a: 1.7 % of rows fail": few_failures(91, 91),
    "a: 0.6 %, among 178 honest prompts": few_failures(30, 178),
    "a: 1.7 %, among 600 honest prompts": few_failures(91, 600),
    "b: a third's failures succeed (1.6 %)": successes(1 / 3),
    "b: a tenth's failures succeed (0.5 %)": successes(0.1),
    "c: 200 fabricated prompts": fabricated(200),
    "d: 40 of gsm8k fail": topic("gsm8k", 40, 40),
    "d: 40 of gsm8k, among 200": topic("gsm8k", 200, 40),
    "d: the 20 nearest to a victim": nearest(20),
    "a by 5 colluding keys": colluding(few_failures(91, 91), 5),
    "a, unsigned": unsigned(few_failures(91, 91)),
    "b, unsigned: all failures succeed (4.8 %)": unsigned(successes(1.0)),
    "d, unsigned: 40 of gsm8k": unsigned(topic("gsm8k", 40, 40)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("unseen", type=Path)
    parser.add_argument("--attacks", default="", help="only those whose name has one of these in it, with ; between")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for line in lines(options.train, options.unseen, Path(temporary), options.attacks):
            print(line, flush=True)


def lines(table: Path, unseen_table: Path, folder: Path, wanted: str) -> Iterator[str]:
    """Yield the lines of the report."""
    clean, unseen, prompts = prepare(table), read_outcomes(unseen_table), describe(table)
    signed = owned_by_many(clean, prompts)
    former = Path(folder / "former")
    retrain(signed, former)
    undefended = Path(folder / "undefended")
    retrain(signed.with_columns(judge=pl.lit(None, pl.String)), undefended)
    yield "| | moved, before | quality, cost | moved, judges | quality, cost | left out | saved |"
    yield "|---" * 7 + "|"
    yield f"| clean | | {worth(undefended, unseen)} | | {worth(former, unseen)} | | yes |"
    for share in () if wanted else (0.1, 0.3):
        yield growth(share, signed, prompts, unseen, folder)
    for name, change in ATTACKS.items():
        if any(part in name for part in wanted.split(";")):
            yield attack(name, change(signed, prompts, np.random.default_rng(1)), former, unseen, folder)


def growth(share: float, frame: pl.DataFrame, prompts: Prompts, unseen: Outcomes, folder: Path) -> str:
    """Return the row of an honest retrain: the former router knew a share of the prompts less."""
    smaller, grown = folder / "smaller", folder / "grown"
    known = prompts.ids[np.random.default_rng(1).random(len(prompts.ids)) >= share]
    retrain(frame.filter(pl.col("prompt_id").is_in(known.tolist())), smaller)
    report = retrain(frame, grown, former=smaller)
    return row_of(f"honest, {share:.0%} new prompts", [smaller, grown, grown], unseen, report)


def attack(name: str, frame: pl.DataFrame, former: Path, unseen: Outcomes, folder: Path) -> str:
    """Return the row of an attack: the retrained routers without and with the defence."""
    before, after = folder / "before", folder / "after"
    retrain(frame.with_columns(judge=pl.lit(None, pl.String)), before)
    return row_of(name, [former, before, after], unseen, retrain(frame, after, former=former))


def row_of(name: str, routers: list[Path], unseen: Outcomes, report: dict[str, Any]) -> str:
    """Return a row: the former router, the undefended and the defended, and the report of the latter's training."""
    former, before, after = routers
    left_out = sum(finding["n_left_out"] for finding in report["judges"])
    moves = report["moves"]
    saved = "yes" if moves["moved"] <= moves["supported"] else "refused"
    return (
        f"| {name} | {moved(former, before, unseen):.1%} | {worth(before, unseen)} | "
        f"{moved(former, after, unseen):.1%} | {worth(after, unseen)} | {left_out} | "
        f"{saved}: {moves['moved']:.1%} moved, {moves['supported']:.1%} supported |"
    )


def retrain(frame: pl.DataFrame, out: Path, former: Path | None = None) -> dict[str, Any]:
    """Train on a frame, and save whatever comes out, to be looked at."""
    table = out.with_name(f"{out.name}.parquet")
    frame.write_parquet(table)
    return train(table, out, config=CONFIG, former=former, accept_moves=True).as_dict()


def moved(former: Path, router: Path, unseen: Outcomes) -> float:
    """Return the share of the unseen prompts that go to another model."""
    loaded = [Router.load(each) for each in (former, router)]
    features = featurise(unseen.prompts, loaded[0].encoder)
    return float((chosen_models(loaded[0], features) != chosen_models(loaded[1], features)).mean())


def worth(router: Path, unseen: Outcomes) -> str:
    """Return quality, and USD per thousand prompts, of a router's choices on clean grades."""
    realised = evaluate(Router.load(router), unseen, include_seen=True).router
    return f"{realised.quality:.3f}, {1000 * realised.cost_usd:.3f}"


def prepare(table: Path) -> pl.DataFrame:
    """Read a table with a column for judges."""
    frame = pl.read_parquet(table)
    return frame.with_columns(judge=pl.lit(None, pl.String)) if "judge" not in frame.columns else frame


def describe(table: Path) -> Prompts:
    """Return what attackers choose by."""
    outcomes = read_outcomes(table)
    embedding = featurise(outcomes.prompts, load_encoder("static")).embedding
    fails = outcomes.quality[:, outcomes.models.index(BAD)] < 0.5
    return Prompts(np.array(outcomes.prompt_ids), np.array(outcomes.tasks), embedding, fails)


def owned_by_many(frame: pl.DataFrame, prompts: Prompts) -> pl.DataFrame:
    """Give each prompt to one of twenty judges, of unequal size."""
    share = 1 / np.arange(1, N_JUDGES + 1) ** 0.7
    owner = np.random.default_rng(0).choice(N_JUDGES, len(prompts.ids), p=share / share.sum())
    names = [f"judge {number}" for number in owner]
    return frame.with_columns(judge=pl.col("prompt_id").replace_strict(prompts.ids.tolist(), names))


if __name__ == "__main__":
    main()
