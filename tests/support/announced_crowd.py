"""Five graded models of a real table and 395 announced ones: what choosing among all costs, and when a better is found.

The announced models are the table's others, and copies of them at other levels and prices. Each has a published score
that is wrong by 0.3 log odds. A copy that is worse than its like fails on more prompts: on hard ones, as a weaker model
of a table does, or on any, as one does that breaks the format. Its quality on a prompt is what it is on the mean.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit

from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.features.featuriser import PromptFeatures
from router_model.levels import Levels, Shift
from router_model.plan import Plan
from router_model.policy import Rule
from router_model.router import Router
from router_model.saved.artifact import Artifact, load_artifact, save_artifact
from router_model.serving.engine.exploration import Exploration, draw
from router_model.serving.engine.following import Judged, narrowed_level
from router_model.training.benchmark.method import sweep
from router_model.training.train import Run

N_KNOWN, N_ALL = 5, 400
RANKS = (0.1, 0.3, 0.5, 0.7, 0.95)
"""Where the five stand among all, by quality on training prompts."""
SCORE_ERROR = 0.3  # of a published score around the level, in log odds
KINDS = ("as published", "overrated by 0.3", "none better")
COPIES = ("hard", "any")
PLANTED = "announced/planted"
MORE = 0.8  # log odds of the planted model above the best of the five
SHARE = 0.2
STEP = 20  # judged answers between two looks at the levels
MOST = 2000


def spread_models(run: Run) -> list[str]:
    """Return five models, spread over quality, the best last."""
    order = np.argsort(np.nanmean(run.outcomes.quality[run.split.train], axis=0), kind="stable")
    return [run.outcomes.models[order[round(rank * (len(order) - 1))]] for rank in RANKS]


def trained_on(run: Run, models: list[str], path: Path | None = None) -> Artifact:
    """Train with some models, or read what was trained before."""
    if path and path.exists():
        return load_artifact(path)
    kept = tuple(model for model in run.outcomes.models if model in models)
    part = replace(run, outcomes=run.outcomes.select_models(kept), catalog=run.catalog.only(kept))
    router, _ = part.fit(lambda _: None)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_artifact(router.artifact, path)
    return router.artifact


@dataclass(frozen=True)
class Crowd:
    """Announced models, beside the five of an artifact, on test prompts.

    Attributes
    ----------
    router : Router
        The five first, then the announced models.
    alone : Router
        The five.
    features : of the test prompts
    quality, cost_usd : shape (n_prompts, n_models)
    """

    router: Router
    alone: Router
    features: PromptFeatures
    quality: np.ndarray
    cost_usd: np.ndarray

    @classmethod
    def drawn(
        cls, run: Run, artifact: Artifact, kind: str, *, seed: int, copies: str = "hard", planted: bool = False
    ) -> "Crowd":
        """Draw a crowd.

        Parameters
        ----------
        artifact : trained on the five
        kind : of `KINDS`
            *None better*: all are at least 1 log odds worse than the best of the five, and than their like.
        copies : of `COPIES`, where worse copies fail
        planted : whether the last one is as dear as the best of the five, and better by `MORE` log odds
        """
        rng, outcomes, rows = np.random.default_rng(seed), run.outcomes, run.split.test
        levels = log_odds_of(np.nanmean(outcomes.quality, axis=0))
        five = artifact.predictor.models
        known = [outcomes.models.index(model) for model in five]
        others = [column for column in range(len(outcomes.models)) if column not in known]
        best = max(known, key=lambda column: levels[column])
        moved = _moved_on_hard(outcomes.quality[rows]) if copies == "hard" else _moved_on_any
        cards: dict[str, ModelCard] = {}
        quality, cost = [outcomes.quality[rows][:, known]], [outcomes.cost_usd[rows][:, known]]
        for number in range(N_ALL - N_KNOWN):
            base, is_copy = others[number % len(others)], number >= len(others)
            level = levels[base] + rng.normal(0, 0.3) * is_copy
            if kind == "none better":
                level = min(level, levels[best]) - 1.0
            factor = float(np.exp(rng.normal(0, 0.3))) if is_copy else 1.0
            name = f"announced/{number}"
            if planted and number == N_ALL - N_KNOWN - 1:
                base, name, factor, level = best, PLANTED, 1.0, levels[best] + MORE
            score = expit(level + rng.normal(0, SCORE_ERROR) + 0.3 * (kind == "overrated by 0.3"))
            cards[name] = _announced(run.catalog[outcomes.models[base]], name, float(score), factor)
            quality.append(moved(outcomes.quality[rows, base], expit(levels[base]), expit(level))[:, None])
            cost.append(outcomes.cost_usd[rows, [base]][:, None] * factor)
        for model, column in zip(five, known, strict=True):
            score = float(expit(levels[column] + rng.normal(0, SCORE_ERROR)))
            cards[model] = replace(artifact.catalog[model], scores={"published": score})
        return cls(
            Router.assemble(artifact, run.encoder, catalog=Catalog(cards)),
            Router.assemble(artifact, run.encoder),
            run.features.take(rows),
            np.hstack(quality),
            np.hstack(cost),
        )


def _announced(card: ModelCard, name: str, score: float, factor: float) -> ModelCard:
    times = Decimal(str(round(factor, 6)))
    return replace(
        card,
        model=name,
        scores={"published": score},
        usd_per_mtok_input=card.usd_per_mtok_input * times,
        usd_per_mtok_output=card.usd_per_mtok_output * times,
    )


Moved = Callable[[np.ndarray, float, float], np.ndarray]
"""Takes a model's success, its mean quality and another one; returns quality of that mean, shape (n_prompts,)."""


def _moved_on_any(success: np.ndarray, before: float, after: float) -> np.ndarray:
    if after <= before:
        return success * (after / before)
    return success + (1 - success) * (after - before) / (1 - before)


def _moved_on_hard(quality: np.ndarray) -> Moved:
    """Return what moves the success of a model along the difficulty of prompts, which all models of the table show."""
    n_models = quality.shape[1]
    difficulty = log_odds_of((np.nansum(quality, axis=1) + 1) / (n_models + 2))
    lines: dict[bytes, tuple[float, float]] = {}

    def moved(success: np.ndarray, before: float, after: float) -> np.ndarray:
        if success.tobytes() not in lines:
            lines[success.tobytes()] = _line(difficulty, success)
        slope, at = lines[success.tobytes()]
        p = expit(slope * difficulty + at)
        wanted = float(_moved_on_any(success, before, after).mean())
        other = brentq(lambda here: expit(slope * difficulty + here).mean() - wanted, -40, 40)
        q = expit(slope * difficulty + other)
        return success * (q / p) if after <= before else success + (1 - success) * ((q - p) / (1 - p)).clip(0, 1)

    return moved


def _line(difficulty: np.ndarray, success: np.ndarray) -> tuple[float, float]:
    """Fit log odds of success as a line over difficulty."""

    def loss(line: np.ndarray) -> float:
        log_odds = line[0] * difficulty + line[1]
        return float((np.logaddexp(0, log_odds) - success * log_odds).sum())

    slope, at = minimize(loss, [1.0, 0.0]).x
    return float(slope), float(at)


def gaps(crowd: Crowd, *, cautious: bool = True) -> tuple[np.ndarray, float]:
    """Return quality less that of the five alone at the same cost, for 60 values of a success, and the announced share.

    NaN where the five alone cost less than any choice among all does.
    """
    known = crowd.cost_usd[:, :N_KNOWN].mean(axis=0)
    values = np.geomspace(known.min() * 0.5, known.max() * 500, 60)
    base = _frontier(crowd, crowd.alone, values, cautious=True)
    curve = _frontier(crowd, crowd.router, values, cautious=cautious)
    order = np.lexsort((curve[:, 1], curve[:, 0]))
    at = np.interp(base[:, 0], curve[order, 0], np.maximum.accumulate(curve[order, 1]))
    rank = np.argsort(np.argsort(base[:, 0]))
    difference = at - np.maximum.accumulate(base[np.argsort(base[:, 0]), 1])[rank]
    difference[base[:, 0] < curve[:, 0].min()] = np.nan
    return difference, float(curve[:, 2].mean())


def _frontier(crowd: Crowd, router: Router, values: np.ndarray, *, cautious: bool) -> np.ndarray:
    """Return mean cost, mean quality and the share of announced choices for each value, shape (n_values, 3)."""
    table = router.predict_features(crowd.features)
    seen, rows = table.cautious() if cautious else table, np.arange(len(crowd.quality))
    chosen = sweep(seen.mean_quality, table.expected_cost_usd, values)
    return np.array(
        [[crowd.cost_usd[rows, one].mean(), crowd.quality[rows, one].mean(), (one >= N_KNOWN).mean()] for one in chosen]
    )


@dataclass(frozen=True)
class Found:
    """How long a planted model took to find.

    Attributes
    ----------
    n_judged, n_announced : judged answers, and those of announced models among them
    found : whether the rule chose it, within `MOST`, on half of the prompts on which it would at its true level
    quality_lost : a request, beside the rule without draws
    cost_ratio : cost beside that of the rule
    """

    n_judged: int
    n_announced: int
    found: bool
    quality_lost: float
    cost_ratio: float


def explored(crowd: Crowd, *, seed: int) -> Found:
    """Explore, judge every answer and follow, until the planted model is chosen where it should be."""
    rng, draws, router = np.random.default_rng(seed), Random(seed), crowd.router
    table, announced = router.predict_features(crowd.features), router.announced
    value = float(100 * crowd.cost_usd[:, :N_KNOWN].mean(axis=0).max())
    rule, eligible = Rule(None, None, quality_value_usd=value), np.ones(table.p_success.shape, bool)
    planted, level = router.models.index(PLANTED), announced.levels[PLANTED]
    errors = {model: one.error for model, one in announced.levels.items()}
    true_shift = float(log_odds_of(crowd.quality[:, planted].mean()) - level.log_odds)
    ideal = Levels({PLANTED: Shift(true_shift, 1e-6)}, frozenset(errors)).apply(table)
    wanted = (rule.rank(ideal, eligible)[:, 0] == planted).mean()
    exploration, judged = Exploration(SHARE, 0.1, 3.0), dict[str, list[Judged]]()
    ruled, done, n_new, here = np.zeros(2), np.zeros(2), 0, table
    for asked in range(0, MOST, STEP):
        chosen = rule.rank(here, eligible)
        if (chosen[:, 0] == planted).mean() >= 0.5 * wanted:
            return Found(asked, n_new, True, (ruled - done)[1] / max(asked, 1), done[0] / max(ruled[0], 1e-12))
        for row in rng.integers(0, len(crowd.quality), STEP):
            plan = Plan.of_row(here, row, chosen[row])
            propensities = exploration.propensities(
                plan, value_usd=value, usual_information=announced.usual_information
            )
            column, first = chosen[row, draw(propensities, draws)], chosen[row, 0]
            ruled += crowd.cost_usd[row, first], crowd.quality[row, first]
            done += crowd.cost_usd[row, column], crowd.quality[row, column]
            model = router.models[column]
            if model in errors:
                n_new += 1
                grade = float(rng.random() < crowd.quality[row, column])
                judged.setdefault(model, []).append(Judged(float(table.mean_quality[row, column]), grade))
        shifts = {model: narrowed_level(answers, errors[model]) for model, answers in judged.items()}
        here = Levels(shifts, frozenset(errors)).apply(table)
    return Found(MOST, n_new, False, (ruled - done)[1] / MOST, done[0] / ruled[0])
