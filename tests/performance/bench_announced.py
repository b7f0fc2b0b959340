"""Models that nobody graded: their levels, their predictions and the choices among them; this file with ``--help``.

``levels``: each model of a table in turn is announced to 5 others drawn at random, or to all others, with what a
catalog may say of it; how often its level lies in the 90 % interval, and how wide that is. A score is the model's
accuracy in one task of the table, the known models have theirs, and the level is of all tasks. An accuracy is counted
on 100 prompts. What is said comes from test prompts, and levels are of training prompts. Nothing is trained.

``models``: five models spread over quality are left out of a table, and known by one accuracy on 200 calibration
prompts, or added from 50 or 100 graded prompts, or trained on. AUC and log-loss are of test prompts.

``many``: five models are graded, and 395 announced: the table's others and copies of them at other levels, with scores
that are wrong by as much as scores are. Quality at equal cost, with them and without, over the rule's values.

``found``: the same, where none of the 395 is better but for one, which costs as much as the best of the five and has
0.8 more log odds. Requests are explored with a share of 0.2, every answer is judged, and levels follow. After how many
judged answers does the rule choose it where the rule with true levels would, and what did exploring cost?

All of seed 0's split. ``--cache`` keeps trained routers.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
from bench_add_model import World, spread

from router_model.announced.estimated_levels import estimate_levels
from router_model.announced.level import Level
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.features.featuriser import PromptFeatures
from router_model.levels import Levels, Shift
from router_model.policy import Rule
from router_model.router import Router
from router_model.saved.artifact import Artifact, load_artifact, save_artifact
from router_model.serving.engine.exploration import Exploration
from router_model.serving.engine.exploration import draw as draw_position
from router_model.serving.engine.following import Judged, narrowed_level
from router_model.training.benchmark.method import sweep
from router_model.training.metrics import log_loss, mean_auc
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts

N_KNOWN = 5
ACCURACY_PROMPTS = 200
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
            ask = {"models": print_models, "many": print_many, "found": print_found}[part]
            ask(world, cache, n_draws=options.draws)


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
    """Estimate the level of each model from some of the others, those of which the cards say something."""
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


def trained(world: World, cache: Path | None, label: str, models: list[str]) -> Artifact:
    """Train with some models, or read what was trained before."""
    path = cache and cache / label
    if path and path.exists():
        return load_artifact(path)
    kept = tuple(model for model in world.run.outcomes.models if model in models)
    run = replace(world.run, outcomes=world.run.outcomes.select_models(kept), catalog=world.run.catalog.only(kept))
    router, _ = run.fit(lambda _: None)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_artifact(router.artifact, path)
    return router.artifact


def print_models(world: World, cache: Path | None, *, n_draws: int) -> None:
    """Print AUC and log-loss of five hidden models, by what is known of them."""
    outcomes, split = world.run.outcomes, world.run.split
    five, name = spread(world), world.run.table.parent.name
    full = trained(world, cache, "full", list(outcomes.models)).predictor
    without = trained(world, cache, "without5", [model for model in outcomes.models if model not in five])
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


N_MANY = 400
SCORE_ERROR = 0.3
"""Of a published score around the level, in log odds."""


KINDS = ("as published", "overrated by 0.3", "none better")
PLANTED = "announced/planted"
MORE = 0.8  # log odds of the planted model above the best of the five
SHARE = 0.2
STEP = 20  # judged answers between two looks at the levels
MOST = 2000


def print_found(world: World, cache: Path | None, *, n_draws: int) -> None:
    """Print after how many judged answers a planted better model is found, and at what cost."""
    outcomes, name, five = world.run.outcomes, world.run.table.parent.name, spread(world)
    artifact = trained(world, cache, "only5", five)
    for draw in range(n_draws):
        crowd = Crowd.drawn(world, five, "none better", seed=draw, planted=True)
        router = Router.assemble(artifact, world.run.encoder, catalog=crowd.catalog(artifact))
        columns = [outcomes.models.index(model) for model in router.models[: len(five)]]
        rows = world.run.split.test
        quality = np.hstack([outcomes.quality[rows][:, columns], crowd.quality])
        cost = np.hstack([outcomes.cost_usd[rows][:, columns], crowd.cost])
        print(f"| {name} | {draw} | {found_after(world, router, quality, cost, seed=draw)} |", flush=True)


def found_after(world: World, router: Router, quality: np.ndarray, cost: np.ndarray, *, seed: int) -> str:
    """Explore, judge and follow until the planted model is chosen where it should be; say how long it took."""
    rng, draws = np.random.default_rng(seed), Random(seed)
    table = router.predict_features(world.run.features.take(world.run.split.test))
    value = float(100 * cost[:, :N_KNOWN].mean(axis=0).max())
    rule, eligible = Rule(None, None, quality_value_usd=value), np.ones(table.p_success.shape, bool)
    planted = router.models.index(PLANTED)
    level, truth = router.announced.levels[PLANTED], log_odds_of(quality[:, planted].mean())
    ideal = Levels({PLANTED: Shift(float(truth - level.log_odds), 0.0)}, frozenset({PLANTED})).apply(table)
    wanted = (rule.rank(ideal, eligible)[:, 0] == planted).mean()
    errors = {model: one.error for model, one in router.announced.levels.items()}
    exploration, judged = Exploration(SHARE, 0.1, 3.0), {}
    ruled, done, n_new, here = np.zeros(2), np.zeros(2), 0, table
    for asked in range(0, MOST, STEP):
        chosen = rule.rank(here, eligible)
        if (chosen[:, 0] == planted).mean() >= 0.5 * wanted:
            spent = (done - ruled) / max(asked, 1)
            return (
                f"should have {wanted:.2f} of prompts; found after {asked} judged answers, {n_new} of announced; "
                f"a request lost {-spent[1]:.4f} of quality and cost {done[0] / max(ruled[0], 1e-12):.2f} times as "
                "much"
            )
        for row in rng.integers(0, len(quality), STEP):
            plan = here.steps(row, chosen[row].tolist())
            propensities = exploration.propensities(
                plan, value_usd=value, usual_information=router.announced.usual_information
            )
            drawn = draw_position(propensities, draws)
            column, first = chosen[row, drawn], chosen[row, 0]
            ruled += cost[row, first], quality[row, first]
            done += cost[row, column], quality[row, column]
            model = router.models[column]
            if model in errors:
                n_new += 1
                predicted = float(table.mean_quality[row, column])
                judged.setdefault(model, []).append(Judged(predicted, float(quality[row, column])))
        shifts = {model: narrowed_level(answers, errors[model]) for model, answers in judged.items()}
        here = Levels(shifts, frozenset(errors)).apply(table)
    return f"should have {wanted:.2f} of prompts; not found after {MOST} judged answers, {n_new} of announced models"


def print_many(world: World, cache: Path | None, *, n_draws: int) -> None:
    """Print quality at equal cost of 5 graded and 395 announced models, less that of the 5 alone."""
    outcomes, split = world.run.outcomes, world.run.split
    five, name = spread(world), world.run.table.parent.name
    artifact = trained(world, cache, "only5", five)
    rows = split.test
    features = world.run.features.take(rows)
    alone = Router.assemble(artifact, world.run.encoder)
    quality, cost = (values[rows] for values in (outcomes.quality, outcomes.cost_usd))
    known = [outcomes.models.index(model) for model in alone.models]
    values = sweep_values(cost[:, known])
    base = frontier(alone, features, quality[:, known], cost[:, known], values)
    for kind in KINDS:
        differences = []
        for draw in range(n_draws):
            crowd = Crowd.drawn(world, five, kind, seed=draw)
            router = Router.assemble(artifact, world.run.encoder, catalog=crowd.catalog(artifact))
            theirs = np.hstack([quality[:, known], crowd.quality]), np.hstack([cost[:, known], crowd.cost])
            for label, cautious in (("lower ends", True), ("middles", False)):
                curve = frontier(router, features, *theirs, values, cautious=cautious)
                differences.append((label, *gaps(base, curve)))
        for label in ("lower ends", "middles"):
            found = np.array([rest for said, *rest in differences if said == label])
            mean, worst, taken = found.mean(axis=0)
            print(
                f"| {name} | {kind} | {label} | {mean:+.4f} | {worst:+.4f} | {found[:, 1].min():+.4f} | {taken:.2f} |",
                flush=True,
            )


def sweep_values(cost: np.ndarray) -> np.ndarray:
    """Return values of quality 1, from where the cheapest model wins to where the best does."""
    return np.geomspace(cost.mean(axis=0).min() * 0.5, cost.mean(axis=0).max() * 500, 60)


def frontier(
    router: Router,
    features: PromptFeatures,
    quality: np.ndarray,
    cost: np.ndarray,
    values: np.ndarray,
    *,
    cautious: bool = True,
) -> np.ndarray:
    """Return mean cost, mean quality and the share of announced choices for each value, shape (n_values, 3)."""
    table = router.predict_features(features)
    new = table.announced
    seen = table.cautious() if cautious else table
    rows = np.arange(len(quality))
    chosen = sweep(seen.mean_quality, table.expected_cost_usd, values)
    return np.array([[cost[rows, one].mean(), quality[rows, one].mean(), new[one].mean()] for one in chosen])


def gaps(base: np.ndarray, curve: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and the least difference of quality at the costs of `base`, and the mean announced share."""
    order = np.lexsort((curve[:, 1], curve[:, 0]))
    best = np.maximum.accumulate(curve[order, 1])
    at = np.interp(base[:, 0], curve[order, 0], best)
    difference = at - np.maximum.accumulate(base[np.argsort(base[:, 0]), 1])[np.argsort(np.argsort(base[:, 0]))]
    within = base[:, 0] >= curve[:, 0].min()
    return float(difference[within].mean()), float(difference[within].min()), float(curve[:, 2].mean())


@dataclass(frozen=True)
class Crowd:
    """395 announced models: copies of a table's, at levels and prices of their own, with scores that err."""

    cards: dict[str, ModelCard]
    of_known: dict[str, float]
    quality: np.ndarray
    cost: np.ndarray

    @classmethod
    def drawn(cls, world: World, five: list[str], kind: str, *, seed: int, planted: bool = False) -> "Crowd":
        rng, outcomes, rows = np.random.default_rng(seed), world.run.outcomes, world.run.split.test
        levels = log_odds_of(np.nanmean(outcomes.quality, axis=0))
        bases = [column for column, model in enumerate(outcomes.models) if model not in five]
        best = max(levels[outcomes.models.index(model)] for model in five)
        cards, quality, cost = {}, [], []
        for number in range(N_MANY - len(five)):
            base = bases[number % len(bases)]
            level = levels[base] + rng.normal(0, 0.3) * (number >= len(bases))
            if kind == "none better":
                level = min(level, best) - 1.0
            factor = np.exp(rng.normal(0, 0.3)) if number >= len(bases) else 1.0
            score = level + rng.normal(0, SCORE_ERROR) + 0.3 * (kind == "overrated by 0.3")
            model, card = f"announced/{number}", world.run.catalog[outcomes.models[base]]
            if planted and number == N_MANY - len(five) - 1:
                base, model, factor = [*levels].index(best), PLANTED, 1.0
                card, level = world.run.catalog[outcomes.models[base]], best + MORE
                score = level + rng.normal(0, SCORE_ERROR)
            cards[model] = replace(
                card,
                model=model,
                scores={"published": float(share(score))},
                usd_per_mtok_input=card.usd_per_mtok_input * Decimal(str(round(factor, 6))),
                usd_per_mtok_output=card.usd_per_mtok_output * Decimal(str(round(factor, 6))),
            )
            quality.append(moved(outcomes.quality[rows, base], share(levels[base]), share(level), rng))
            cost.append(outcomes.cost_usd[rows, base] * factor)
        of_known = {
            model: float(share(levels[outcomes.models.index(model)] + rng.normal(0, SCORE_ERROR))) for model in five
        }
        return cls(cards, of_known, np.column_stack(quality), np.column_stack(cost))

    def catalog(self, artifact: Artifact) -> Catalog:
        known = {
            model: replace(card, scores={"published": self.of_known[model]})
            for model, card in artifact.catalog.cards.items()
        }
        return Catalog({**known, **self.cards})


def moved(success: np.ndarray, before: float, after: float, rng: np.random.Generator) -> np.ndarray:
    """Return outcomes of another mean: some successes fail, or some failures succeed, at random."""
    draw = rng.random(len(success))
    if after <= before:
        return success * (draw < after / before)
    return np.maximum(success, draw < (after - before) / (1 - before))


if __name__ == "__main__":
    main()
