"""How soon levels follow a fall of 20 points, and what they lose where nothing changes; this file with ``--help``.

A router is trained on a few hundred prompts of each table, with six models spread by cost and with all of them. The
other prompts, whose outcomes are all known, are asked at random, 5 % of the choices explore, every answer is judged
after 60 requests on average. After 500 judged answers one model's quality falls by 20 points: randomly drawn right
answers become wrong. The gap is what the policy then brings less than the best one: the same router with the best
shift of that model on a grid, known in advance. Value is quality less cost over the router's value of quality.

- ``none``: levels stay as they were trained.
- ``always``: the likeliest offset of the last 500. The newest count most: the weight halves every 200.
- ``dead band``: the same (half every 100), if the weighted residuals are 4 standard errors from 0.
- ``loudest``: the likeliest offset of the last k residuals that are farthest from 0, if those are 4.5 standard errors.
- ``kept``: `router_model.serving.engine.following`.

With ``--engine`` the kept rule is run by the real engine and log instead: ``router-model simulate``.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_quality import prepare
from scipy.special import expit, logit

from router_model.levels import shifted
from router_model.router import Router
from router_model.saved.artifact import save_artifact
from router_model.serving.common.settings import Settings
from router_model.serving.engine.following import ALARM, WINDOW, Judged, level_shift
from router_model.serving.simulation.simulate import simulate
from router_model.serving.simulation.traffic import Traffic
from router_model.serving.simulation.world import QualityChange, World
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import Split, split_prompts
from router_model.training.train import Run, TrainConfig

Array = npt.NDArray[np.float64]
Rule = Callable[[Array, Array], float]
"""From what was predicted and graded, oldest first, to a shift."""

N_FEW = 6
FALL = -0.2
BEFORE, AFTER, LONG = 500, 500, 3000  # judged answers
MOST = 1.5
EVERY = 20
DELAY = 60.0
EXPLORE = 0.05
N_REQUESTS = 2400
GRID = np.linspace(-4, 2, 61)


@dataclass(frozen=True)
class Bench:
    """A trained router and prompts that it has not seen, with all outcomes."""

    name: str
    router: Router
    held: Outcomes
    quality: Array
    cost_usd: Array
    predicted: Array
    expected_cost_usd: Array

    @property
    def value_usd(self) -> float:
        return self.router.artifact.operating_point.quality_value_usd

    def chosen(self, shift: Array, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        p = np.asarray(shifted(self.predicted[rows], shift))
        return np.asarray((p * self.value_usd - self.expected_cost_usd[rows]).argmax(axis=1))

    def value(self, chosen: npt.NDArray[np.intp], quality: Array, rows: npt.NDArray[np.intp]) -> float:
        return float((quality[rows, chosen] - self.cost_usd[rows, chosen] / self.value_usd).mean())

    def best(self, column: int, quality: Array, rows: npt.NDArray[np.intp]) -> float:
        """Return the value of the best shift of a model."""
        models = len(self.router.models)
        return max(self.value(self.chosen(by * np.eye(models)[column], rows), quality, rows) for by in GRID)

    @property
    def most_chosen(self) -> list[int]:
        """The two models that are chosen most, if they are good enough to fall."""
        rows = np.arange(len(self.predicted))
        shares = np.bincount(self.chosen(np.zeros(len(self.router.models)), rows), minlength=len(self.router.models))
        return [column for column in np.argsort(-shares)[:2].tolist() if self.quality[:, column].mean() > -FALL]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--few", type=int, default=500, help="training prompts")
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--engine", action="store_true")
    options = parser.parse_args()
    benches = [
        bench_of(options.data / table, options.few, n) for table in options.tables.split(",") for n in (N_FEW, None)
    ]
    if options.engine:
        through_the_engine(benches, options.streams)
    else:
        rules(benches, options.streams)


def bench_of(folder: Path, few: int, n_models: int | None) -> Bench:
    outcomes, catalog, encoder, features = prepare(folder, "static", None)
    if n_models is not None:
        by_cost = np.argsort(np.nanmean(realised_costs(outcomes, catalog), axis=0))
        spread = by_cost[np.linspace(0, len(by_cost) - 1, n_models).round().astype(int)]
        outcomes = outcomes.select_models([outcomes.models[column] for column in sorted(spread)])
    split = split_prompts(outcomes.prompt_ids, seed=0)
    train = np.sort(np.random.default_rng(0).choice(split.train, few, replace=False))
    run = Run(
        folder / "outcomes.parquet", outcomes, features, Split(train, split.calibration, split.test), catalog, encoder,
        TrainConfig(),
    )  # fmt: skip
    router = run.fit(lambda _: None)[0]
    cost = realised_costs(outcomes, router.catalog)
    complete = ~(np.isnan(outcomes.quality) | np.isnan(cost)).any(axis=1)
    rest = np.setdiff1d(np.flatnonzero(complete), train)
    table = router.predict_features(features.take(rest), router.artifact.operating_point.quality_bar)
    return Bench(
        f"{folder.name}, {len(router.models)} models",
        router,
        outcomes.take(rest),
        outcomes.quality[rest].astype(np.float64),
        cost[rest],
        table.mean_quality,
        table.expected_cost_usd,
    )


def fallen(quality: Array, column: int, rng: np.random.Generator) -> Array:
    changed = quality.copy()
    right = rng.permutation(np.flatnonzero(quality[:, column] > 0))
    changed[right[: round(-FALL * len(quality))], column] = 0.0
    return changed


# --- rules ------------------------------------------------------------------------------------------------


def weighted_fit(predicted: Array, grades: Array, weights: Array) -> float:
    offset, x = 0.0, logit(predicted)
    for _ in range(15):
        p = expit(x + offset)
        step = ((weights * (grades - p)).sum() - offset) / ((weights * p * (1 - p)).sum() + 1)
        offset += float(np.clip(step, -1, 1))
    return offset


def half_lives(n: int, half_life: float) -> Array:
    return np.asarray(0.5 ** (np.arange(n)[::-1] / half_life))


def always(predicted: Array, grades: Array) -> float:
    return weighted_fit(predicted, grades, half_lives(len(grades), 200))


def dead_band(predicted: Array, grades: Array) -> float:
    weights = half_lives(len(grades), 100)
    error = np.sqrt((weights**2 * predicted * (1 - predicted)).sum())
    far = abs((weights * (grades - predicted)).sum()) >= 4 * error
    return weighted_fit(predicted, grades, weights) if far else 0.0


def loudest(predicted: Array, grades: Array) -> float:
    p, y = predicted[::-1], grades[::-1]
    off = np.abs((y - p).cumsum()) / np.sqrt((p * (1 - p)).cumsum())
    off[:9] = 0.0
    n = int(off.argmax()) + 1
    return weighted_fit(p[:n], y[:n], np.ones(n)) if off[n - 1] >= 4.5 else 0.0


def kept(predicted: Array, grades: Array, alarm: float = ALARM) -> float:
    answers = [Judged(p, y) for p, y in zip(predicted.tolist(), grades.tolist(), strict=True)]
    shift = level_shift(answers, alarm=alarm)
    return 0.0 if shift is None else round(shift.log_odds, 1)


RULES: dict[str, Rule | None] = {
    "none": None, "always": always, "dead band": dead_band, "loudest": loudest, "kept": kept,
    "kept, alarm at 1e4": partial(kept, alarm=1e4), "kept, alarm at 1e5": partial(kept, alarm=1e5),
}  # fmt: skip


def rules(benches: Sequence[Bench], n_streams: int) -> None:
    titles = ["table", "rule", "nothing changes: loses", "worst stream", "fell", "gap after 0", "100", "250", "500"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for bench in benches:
        for name, rule in RULES.items():
            lost = [mean_loss(bench, rule, seed) for seed in range(n_streams)]
            shown = f"| {bench.name} | {name} | {np.mean(lost):.4f} | {max(lost):.4f}"
            for column in bench.most_chosen:
                gaps = 100 * np.mean([gaps_of(bench, rule, column, seed) for seed in range(n_streams)], axis=0)
                cells = " | ".join(f"{gap:.1f}" for gap in gaps)
                print(f"{shown} | {bench.router.models[column]} | {cells} |", flush=True)


def mean_loss(bench: Bench, rule: Rule | None, seed: int) -> float:
    """Return what a stream without a change loses, on average over time."""
    rows, times = some_rows(bench, seed), Counter(map(tuple, stream(bench, rule, None, LONG, seed)))
    values = {one: bench.value(bench.chosen(np.array(one), rows), bench.quality, rows) for one in times}
    untouched = bench.value(bench.chosen(np.zeros(len(bench.router.models)), rows), bench.quality, rows)
    return untouched - sum(n * values[one] for one, n in times.items()) / times.total()


def gaps_of(bench: Bench, rule: Rule | None, column: int, seed: int) -> list[float]:
    """Return the gaps after a fall."""
    rows, changed = some_rows(bench, seed), fallen(bench.quality, column, np.random.default_rng([seed, 2]))
    shifts = stream(bench, rule, changed, BEFORE + AFTER, seed)
    best = bench.best(column, changed, rows)
    moments = [(BEFORE + after) // EVERY for after in (0, 100, 250, 500)]
    return [best - bench.value(bench.chosen(shifts[moment], rows), changed, rows) for moment in moments]


def some_rows(bench: Bench, seed: int) -> npt.NDArray[np.intp]:
    return np.random.default_rng([seed, 3]).permutation(len(bench.quality))[:2000]


def stream(bench: Bench, rule: Rule | None, changed: Array | None, n: int, seed: int) -> list[Array]:
    """Return the shifts at the start and after every `EVERY` judged answers of a stream."""
    shift = np.zeros(len(bench.router.models))
    if rule is None:
        return [shift] * (n // EVERY + 1)
    rng, quality, log_odds = np.random.default_rng([seed, 1]), bench.quality, logit(bench.predicted)
    answers: dict[int, list[tuple[float, float]]] = {}
    waiting: list[tuple[float, int, float, float]] = []
    found, news, n_judged, now = [shift], set[int](), 0, 0
    while n_judged < n:
        row, now = int(rng.integers(len(quality))), now + 1
        costs = bench.expected_cost_usd[row]
        column = int((expit(log_odds[row] + shift) * bench.value_usd - costs).argmax())
        if rng.random() < EXPLORE:
            column = int(rng.choice(np.flatnonzero(costs <= 3 * costs[column])))
        heappush(waiting, (now + rng.exponential(DELAY), column, bench.predicted[row, column], quality[row, column]))
        while waiting and waiting[0][0] <= now:
            _, column, predicted, grade = heappop(waiting)
            answers[column] = [*answers.get(column, [])[1 - WINDOW :], (predicted, grade)]
            news.add(column)
            n_judged += 1
            if n_judged == BEFORE and changed is not None:
                quality = changed
            if n_judged % EVERY == 0:
                shift = shift.copy()
                for each in news:
                    shift[each] = np.clip(rule(*np.array(answers[each]).T), -MOST, MOST)
                news.clear()
                found.append(shift)
    return found


# --- engine -----------------------------------------------------------------------------------------------


def through_the_engine(benches: Sequence[Bench], n_streams: int) -> None:
    titles = ["table", "fell", "gap after 500 judged answers: followed", "not followed", "nothing changes: loses"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for bench in benches:
        for column in bench.most_chosen[:1]:
            found = np.array([engine_stream(bench, column, seed) for seed in range(n_streams)]).mean(axis=0)
            gaps = f"{100 * found[0]:.1f} | {100 * found[1]:.1f} | {found[2]:.4f}"
            print(f"| {bench.name} | {bench.router.models[column]} | {gaps} |", flush=True)


def engine_stream(bench: Bench, column: int, seed: int) -> tuple[float, float, float]:
    """Return the gap with and without following, and the loss where nothing changes."""
    change = [QualityChange(0.25, bench.router.models[column], FALL)]
    gap, unfollowed = (engine_value(bench, change, seed, most=most, column=column) for most in (MOST, 0.0))
    quiet, quiet_unfollowed = (engine_value(bench, [], seed, most=most, column=None) for most in (MOST, 0.0))
    return gap, unfollowed, quiet - quiet_unfollowed


def engine_value(
    bench: Bench, changes: Sequence[QualityChange], seed: int, *, most: float, column: int | None
) -> float:
    """Return how much less the rule brings than the best policy, or than nothing (without a changed model).

    All answers are judged. After a fall only requests count that come once 500 were judged since then: the
    second half of all.
    """
    names = ("quality", "input_tokens", "output_tokens", "latency_s")
    matrices = {name: getattr(bench.held, name).astype(np.float64) for name in names}
    world = World(bench.held.prompts, bench.held.tasks, bench.held.models, cost_usd=bench.cost_usd, **matrices)
    with tempfile.TemporaryDirectory() as folder:
        save_artifact(bench.router.artifact, Path(folder) / "router")
        settings = Settings(
            artifact=Path(folder) / "router", log=f"sqlite:///{folder}/log.db", log_spool=Path(folder) / "spool",
            explore_share=EXPLORE, follow_levels=most,
        )  # fmt: skip
        done = simulate(settings, world, Traffic(n_requests=N_REQUESTS, feedback=1.0), changes=changes, seed=seed)
    late = np.arange(len(done.rows)) >= (N_REQUESTS // 2 if changes else 0)
    value = done.value(done.ruled, among=late)
    brought = value.quality - value.cost_usd / bench.value_usd
    if column is None:
        return -brought
    best = -np.inf
    eye = np.eye(len(bench.router.models))[column]
    for by in GRID:
        one = done.value(bench.chosen(by * eye, done.rows), among=late)
        best = max(best, one.quality - one.cost_usd / bench.value_usd)
    return best - brought


if __name__ == "__main__":
    sys.exit(main())
