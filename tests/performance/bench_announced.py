"""Models that nobody graded: their levels, their predictions and the choices among them; this file with ``--help``.

``levels``: each model of a table in turn is announced to 5 others drawn at random, or to all others, with what a
catalog may say of it; how often its level lies in the 90 % interval, and how wide that is. A score is the model's
accuracy in one task of the table, the known models have theirs, and the level is of all tasks. An accuracy is counted
on 100 prompts. What is said comes from test prompts, and levels are of training prompts. Nothing is trained.

``models``: five models spread over quality are left out of a table, and known by one accuracy on 200 calibration
prompts, or added from 50 or 100 graded prompts, or trained on. AUC and log-loss are of test prompts.

``many``: five models are graded, and 395 announced (`tests/support/announced_crowd.py`). Quality at equal cost, with
them and without, over 60 values of a success; of four splits. Printed are the mean over values, splits and draws; the
least over values of the mean over splits and draws; the mean of each one's least value; the least of all; and the share
of announced choices.

``found``: the same, where none of the 395 is better but for one, which costs as much as the best of the five and has
0.8 more log odds. Requests are explored with a share of 0.2, every answer is judged, and levels follow. After how many
judged answers does the rule choose it where the rule with true levels would, and what did exploring cost?

All but ``many`` of seed 0's split. ``--cache`` keeps trained routers.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from bench_add_model import World

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from announced_crowd import COPIES, KINDS, Crowd, explored, gaps, spread_models, trained_on

from router_model.announced.estimated_levels import estimate_levels
from router_model.announced.level import Level
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.router import Router
from router_model.training.metrics import log_loss, mean_auc
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run

N_KNOWN = 5
ACCURACY_PROMPTS = 200
N_SPLITS = 4
SIBLINGS = {
    "claude-3-5-sonnet-20241022": "claude-3-5-sonnet-20240620",
    "claude-3-5-haiku-20241022": "claude-3-haiku-20240307",
    "gemini-1.5-pro": "gemini-1.5-flash",
    "gemma-2-27b-it": "gemma-2-9b-it",
    "gpt-4o-2024-08-06": "gpt-4o-2024-05-13",
    "llama-3.1-8b-instruct": "llama-3-8b-instruct",
    "llama-3.1-70b-instruct": "llama-3-70b-instruct",
    "yi-1.5-34b-chat": "yi-1.5-9b-chat",
    "gemini-1.5-pro-002": "gemini-1.5-flash-002",
    "mixtral-8x7b-instruct": "mistral-7b-instruct-v0.2",
    "claude-3-opus-20240229": "claude-3-haiku-20240307",
    "mistral-large-2407-FC-Any": "mistral-small-2402-FC-Any",
    "open-mixtral-8x22b": "open-mixtral-8x7b",
}
"""Models that a catalog might call siblings: versions, and sizes of one family."""

Said = Callable[[str], dict[str, object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--parts", default="levels,models,many,found")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--prompts", type=int, help="train and test on so many prompts of a table, drawn at random")
    parser.add_argument("--cache", type=Path, help="folder for the trained routers")
    options = parser.parse_args()
    for part in options.parts.split(","):
        for table in options.tables.split(","):
            if part == "levels":
                print_levels(options.data / table, n_draws=options.draws)
                continue
            world = World.read(options.data / table, n_prompts=options.prompts)
            cache = options.cache and options.cache / f"{table}-{options.prompts or 'all'}"
            if part == "models":
                print_models(world, cache, n_draws=options.draws)
            else:
                {"many": print_many, "found": print_found}[part](world.run, cache, n_draws=options.draws)


def print_levels(folder: Path, *, n_draws: int) -> None:
    """Print a row for each kind of saying and each number of known models."""
    outcomes = read_outcomes(folder / "outcomes.parquet")
    catalog = complete_catalog(Catalog.load(folder / "catalog.toml"), outcomes.models)
    split = split_prompts(outcomes.prompt_ids, seed=0)
    said = outcomes.take(split.test)
    kinds = {
        "price": catalog,
        "sibling": with_siblings(catalog),
        **{f"score in {task}": with_scores(catalog, said, [task]) for task in tasks(outcomes)[:4]},
        "scores in 3 tasks": with_scores(catalog, said, tasks(outcomes)[:3]),
        "accuracy": with_accuracies(catalog, said, 100, seed=0),
    }
    levels = log_odds_of(np.nanmean(outcomes.quality[split.train], axis=0))
    for kind, cards in kinds.items():
        for n_known in (N_KNOWN, None):
            found = list(announced_in_turn(outcomes.models, levels, cards, n_known=n_known, n_draws=n_draws))
            true = np.array([levels[outcomes.models.index(model)] for model, _ in found])
            print(
                f"| {folder.name} | {kind} | {n_known or 'all'} | {levels_in_words([one for _, one in found], true)} |"
            )


def levels_in_words(levels: list[Level], truth: np.ndarray) -> str:
    if not levels:
        return "none"
    middle, error = np.array([[one.log_odds, one.error] for one in levels]).T
    inside = np.abs(truth - middle) <= 1.6448536 * error
    off = np.abs(share(middle) - share(truth))
    width = share(middle + 1.645 * error) - share(middle - 1.645 * error)
    return f"{len(levels)} | {inside.mean():.3f} | {off.mean():.3f} | {width.mean():.3f}"


def share(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def announced_in_turn(
    models: tuple[str, ...], levels: np.ndarray, cards: Catalog, *, n_known: int | None, n_draws: int
) -> Iterator[tuple[str, Level]]:
    """Estimate the level of each model from some of the others, where the cards say something of it."""
    rng = np.random.default_rng(0)
    for model in models:
        sibling = cards[model].like
        if "like" in {name for card in cards.cards.values() if card.like for name in ("like",)} and sibling is None:
            continue
        others = [other for other in models if other != model]
        for _ in range(1 if n_known is None else n_draws):
            known = others if n_known is None else [*rng.permutation(others)[:n_known]]
            if sibling is not None and sibling not in known:
                known = [sibling, *known[1:]]
            here = {other: float(levels[models.index(other)]) for other in known}
            yield model, estimate_levels(cards, here, [model])[model]


def tasks(outcomes: Outcomes) -> list[str]:
    """Return the tasks with most prompts."""
    names, counts = np.unique(np.array(outcomes.tasks), return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")]]


def with_scores(catalog: Catalog, outcomes: Outcomes, names: list[str]) -> Catalog:
    """Give every model its accuracy in some tasks as scores."""
    of_task = {name: np.nanmean(outcomes.quality[np.array(outcomes.tasks) == name], axis=0) for name in names}
    return Catalog(
        {
            model: replace(
                catalog[model],
                scores={name: float(scores[column]) for name, scores in of_task.items()},
            )
            for column, model in enumerate(outcomes.models)
        }
    )


def with_siblings(catalog: Catalog) -> Catalog:
    kept = {model: like for model, like in SIBLINGS.items() if model in catalog and like in catalog}
    return Catalog({model: replace(card, like=kept.get(model)) for model, card in catalog.cards.items()})


def with_accuracies(catalog: Catalog, outcomes: Outcomes, n: int, *, seed: int) -> Catalog:
    """Give every model its accuracy on some prompts."""
    rng = np.random.default_rng(seed)
    cards: dict[str, ModelCard] = {}
    for column, model in enumerate(outcomes.models):
        rows = rng.permutation(len(outcomes))[:n]
        accuracy = float(np.nanmean(outcomes.quality[rows, column]))
        cards[model] = replace(catalog[model], accuracy=accuracy, accuracy_prompts=len(rows))
    return Catalog(cards)


def print_models(world: World, cache: Path | None, *, n_draws: int) -> None:
    """Print AUC and log-loss of five hidden models, by what is known of them."""
    outcomes, split = world.run.outcomes, world.run.split
    five, name = spread_models(world.run), world.run.table.parent.name
    full = trained_on(world.run, list(outcomes.models), cache and cache / "full").predictor
    without = trained_on(
        world.run, [model for model in outcomes.models if model not in five], cache and cache / "without5"
    )
    rng, found, levels = np.random.default_rng(0), {}, []
    truth = log_odds_of(np.nanmean(outcomes.quality[split.test], axis=0))
    for model in five:
        found.setdefault("full training", []).append(world.score(full, model))
        column = outcomes.models.index(model)
        for _ in range(n_draws):
            rows = rng.permutation(split.calibration)[:ACCURACY_PROMPTS]
            card = replace(
                world.run.catalog[model],
                accuracy=float(np.nanmean(outcomes.quality[rows, column])),
                accuracy_prompts=len(rows),
            )
            router = Router.assemble(
                without, world.run.encoder, catalog=Catalog({**without.catalog.cards, model: card})
            )
            found.setdefault(f"an accuracy of {len(rows)} prompts", []).append(announced_score(world, router, model))
            levels.append((router.announced.levels[model], truth[column]))
            for size in (50, 100):
                rows = rng.permutation(split.train)[:size]
                added = world.score(world.added(without.predictor, model, rows, seen=True), model)
                found.setdefault(f"add-model, {size} graded", []).append(added)
                taught = world.added(without.predictor, model, rows, seen=True, prior=router.announced.levels[model])
                found.setdefault(f"add-model, {size} graded and the accuracy", []).append(world.score(taught, model))
    for kind, scores in found.items():
        auc, loss = np.mean(scores, axis=0)
        print(f"| {name} | {kind} | {auc:.4f} | {loss:.4f} |", flush=True)
    middle, true = [one for one, _ in levels], np.array([one for _, one in levels])
    print(
        f"| {name} | levels: number, in the 90 % interval, off, width | {levels_in_words(middle, true)} |", flush=True
    )


def announced_score(world: World, router: Router, model: str) -> tuple[float, float]:
    """Return AUC and log-loss of an announced model on test prompts."""
    rows = world.run.split.test
    success = world.run.outcomes.quality[rows][:, [world.run.outcomes.models.index(model)]]
    table = router.predict_features(world.run.features.take(rows), quality_bar=1.0)
    p = table.p_success[:, [router.models.index(model)]]
    return mean_auc(p, success), log_loss(p, success)


def print_found(run: Run, cache: Path | None, *, n_draws: int) -> None:
    """Print after how many judged answers a planted better model is found, and at what cost."""
    artifact = trained_on(run, spread_models(run), cache and cache / "only5")
    for number in range(n_draws):
        found = explored(Crowd.drawn(run, artifact, "none better", seed=number, planted=True), seed=number)
        print(
            f"| {run.table.parent.name} | {number} | {found.n_judged}{'' if found.found else ' and more'} | "
            f"{found.n_announced} | {found.quality_lost:+.3f} | {found.cost_ratio:.2f} |",
            flush=True,
        )


def print_many(run: Run, cache: Path | None, *, n_draws: int) -> None:
    """Print quality at equal cost of 5 graded and 395 announced models, less that of the 5 alone."""
    found: dict[tuple[str, str, str], list[tuple[np.ndarray, float]]] = {}
    for seed in range(N_SPLITS):
        split = split_prompts(run.outcomes.prompt_ids, seed=seed)
        here = replace(run, split=split, config=replace(run.config, seed=seed))
        artifact = trained_on(here, spread_models(here), cache and cache / f"only5-{seed}")
        for kind, copies, number in product(KINDS, COPIES, range(n_draws)):
            crowd = Crowd.drawn(here, artifact, kind, seed=number, copies=copies)
            for label, cautious in (("lower ends", True), ("middles", False)):
                found.setdefault((kind, copies, label), []).append(gaps(crowd, cautious=cautious))
    for (kind, copies, label), each in found.items():
        differences = np.array([difference for difference, _ in each])
        by_value = np.nanmean(differences, axis=0)
        figures = (
            np.nanmean(by_value),
            np.nanmin(by_value),
            np.nanmin(differences, axis=1).mean(),
            np.nanmin(differences),
        )
        said = " | ".join(f"{figure:+.4f}" for figure in figures)
        share = np.mean([share for _, share in each])
        print(f"| {run.table.parent.name} | {kind} | {copies} | {label} | {said} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
