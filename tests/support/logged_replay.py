"""Replay a table of all outcomes as the log of a policy that explores, so that the truth of every estimate is known.

Arrays in, arrays out: nothing is trained, decided or served here. The table is the population; requests are drawn from
it with replacement.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.offpolicy.estimates import Chances, LoggedPolicy, Rewards

Float64Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DESIGNS = {  # name -> (share of exploration, only where champion and challenger disagree)
    "uniform 5 %": (0.05, False),
    "uniform 10 %": (0.1, False),
    "disagreements 10 %": (0.1, True),
    "disagreements 50 %": (0.5, True),
}


@dataclass(frozen=True)
class World:
    """All outcomes of n prompts, what is predicted of them, and what two policies choose.

    Attributes
    ----------
    quality, predicted : shape (n, n_models)
    champion, challenger : shape (n,)
    cost, predicted_cost : shape (n, n_models), or None
    """

    quality: Float64Array
    predicted: Float64Array
    champion: Indices
    challenger: Indices
    cost: Float64Array | None = None
    predicted_cost: Float64Array | None = None

    @property
    def truth(self) -> float:
        """The challenger's mean quality less the champion's."""
        rows = np.arange(len(self.quality))
        return float((self.quality[rows, self.challenger] - self.quality[rows, self.champion]).mean())

    def propensities(self, design: str) -> Float64Array:
        """Return the probabilities with which each model answers, shape (n, n_models)."""
        share, targeted = DESIGNS[design]
        n_models = self.quality.shape[1]
        of_champion, of_challenger = np.eye(n_models)[self.champion], np.eye(n_models)[self.challenger]
        return (1 - share) * of_champion + share * (of_challenger if targeted else 1 / n_models)


@dataclass(frozen=True)
class Replay:
    """One log: both policies as it sees them, the rewards, and the session of each row."""

    challenger: LoggedPolicy
    champion: LoggedPolicy
    rewards: Rewards
    cost: Rewards | None
    propensity: Float64Array
    sessions: Indices
    largest_weight: float  # that the propensities allow
    n_challenger: int  # rows with a known reward on which the challenger's choice answered, and was not the champion's

    @property
    def chances(self) -> Chances:
        """What could have been drawn, and how much qualities vary."""
        return Chances.of_quality(self.propensity, self.rewards)


def replay(
    world: World, design: str, n_requests: int, rng: np.random.Generator, *, turns: int = 1, graded: float | None = None
) -> Replay:
    """Draw a log.

    Parameters
    ----------
    turns : requests of a session, which are the same prompt asked again
    graded : share of the answers that are graded; the first model's are graded half as often
    """
    n_sessions, n_models = n_requests // turns, world.quality.shape[1]
    sessions = np.repeat(np.arange(n_sessions), turns)
    rows = np.repeat(rng.integers(len(world.quality), size=n_sessions), turns)
    propensities = world.propensities(design)[rows]
    taken = (rng.random((len(rows), 1)) > np.cumsum(propensities, axis=1)).sum(axis=1).clip(max=n_models - 1)
    quality = world.quality[rows, taken]
    if graded is not None:
        quality = np.where(rng.random(len(rows)) < np.where(taken == 0, graded / 2, graded), quality, np.nan)
    propensity = propensities[np.arange(len(rows)), taken]
    mine, theirs = world.challenger[rows], world.champion[rows]
    policies = [LoggedPolicy.choosing(each, taken, propensity, n_models=n_models) for each in (mine, theirs)]
    n_challenger = int(((mine != theirs) & (mine == taken) & ~np.isnan(quality)).sum())
    differ = np.flatnonzero(mine != theirs)
    least = np.minimum(propensities[differ, mine[differ]], propensities[differ, theirs[differ]])
    largest = float(1 / least.min())
    rewards, cost = Rewards(quality, world.predicted[rows], taken), None
    if world.cost is not None and world.predicted_cost is not None:
        cost = Rewards(world.cost[rows, taken], world.predicted_cost[rows], taken)
    return Replay(*policies, rewards, cost, propensities, sessions, largest, n_challenger)


def made_up_world(n: int = 4000, *, n_models: int = 4, seed: int = 0) -> World:
    """Return a world of right-or-wrong answers, with a predictor that is too sure of itself and off by its level.

    The champion follows a noisy view of the probabilities, and the challenger a less noisy one.
    """
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.8, 1.0, (n, 1)) + np.linspace(-0.4, 0.4, n_models) + rng.normal(0, 0.7, (n, n_models))
    quality = (rng.random((n, n_models)) < 1 / (1 + np.exp(-logit))).astype(float)
    views = [logit + rng.normal(0, noise, logit.shape) for noise in (0.5, 0.3)]
    predicted = 1 / (1 + np.exp(-(1.2 * views[1] + 0.3)))
    return World(quality, predicted, *(view.argmax(axis=1) for view in views))
