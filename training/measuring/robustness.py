"""Robustness: count the decisions that change when prompts are reworded, and measure the cost of the changes.

A change (flip) between two models that are nearly tied costs nothing. So three more figures are reported with the
flips: the share of flips that give up more than `WORTH` of the predicted net value, and the changes in realised quality
and in cost over all prompts. The outcomes are those of the original prompts in the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.errors import TableError
from router_model.features import Prompt
from router_model.features.featuriser import featurise
from router_model.features.prompt import LoggedPrompt, PromptLike
from router_model.policy import Rule
from router_model.prediction_table import PredictionTable
from router_model.router import Router
from router_model.screening.constraints import Constraints
from router_model.training.measuring.evaluate import learned_from
from router_model.training.measuring.rewordings import REWORDINGS, Rewording
from router_model.training.table.costs import mean_cost_usd, realised_costs
from router_model.training.table.outcomes import Outcomes

Float64Array = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.intp]

WORTH = 0.05
"""If a flip gives up more than this share of the predicted net value, the models were not nearly tied."""
MAX_PROMPTS = 1000


@dataclass(frozen=True, slots=True)
class Flips:
    """The effect of one rewording, or of all of a kind, on n decisions.

    Attributes
    ----------
    name, kind : str
    flipped : float
        Share of prompts for which another model is chosen.
    costly : float
        Share of *prompts* with a flip that gives up more than `WORTH` of the net value predicted for the original
        prompt.
    quality_change : float
        Mean realised quality after the rewording minus the mean before.
    cost_change : float
        Mean realised cost after the rewording divided by the mean before, minus 1.
    """

    name: str
    kind: str
    flipped: float
    costly: float
    quality_change: float
    cost_change: float


@dataclass(frozen=True, slots=True)
class Robustness:
    """The robustness of a router's decisions on a table.

    Attributes
    ----------
    n_prompts : int
    rule : the rule, in words
    quality, cost_usd : means of the decisions on the original prompts
    chance : float
        Share of flips if each prompt got the decision of another prompt. A router that ignores prompts would reach
        this. It is small if nearly all prompts go to one model.
    rewordings : the flips of each rewording, in order
    kinds : the mean of each kind's rewordings, then of all of them
    n_without_text : prompts left out because a log kept them without their texts
    """

    n_prompts: int
    rule: str
    quality: float
    cost_usd: float
    chance: float
    rewordings: tuple[Flips, ...]
    kinds: tuple[Flips, ...]
    n_without_text: int = 0

    @property
    def robustness(self) -> float:
        """1 - share of flips, over all rewordings."""
        return 1 - self.kinds[-1].flipped

    def as_dict(self) -> dict[str, Any]:
        """Return the measurement as plain JSON types."""
        return {**asdict(self), "robustness": self.robustness}


def measure_robustness(
    router: Router,
    outcomes: Outcomes,
    *,
    rule: Rule | None = None,
    quality_bar: float | None = None,
    rewordings: Sequence[Rewording] = REWORDINGS,
    include_seen: bool = False,
    max_prompts: int = MAX_PROMPTS,
) -> Robustness:
    """Reword prompts of a table, decide again, and look up the outcomes of the decisions.

    Parameters
    ----------
    outcomes : must have every model of the router
    rule, quality_bar : instead of the artifact's
    include_seen : bool
        Use prompts that the router was trained on, or on near duplicates of, too.
    max_prompts : int
        If there are more prompts, this many are drawn (with a fixed seed).

    Raises
    ------
    TableError
        If a model is missing or no prompt is left.
    """
    router = router.graded_only()
    kept = _usable(router, outcomes.select_models(router.models), include_seen=include_seen, max_prompts=max_prompts)
    rule = rule or router.rule()
    table, before = choose(router, kept.prompts, rule, quality_bar)
    cost = realised_costs(kept, router.catalog)
    ledger = _Ledger(
        before=before,
        quality=kept.quality,
        cost_usd=np.where(np.isnan(cost), table.expected_cost_usd, cost),
        net_value=table.p_success * _success_value(router, rule) - table.expected_cost_usd,
    )
    measured = tuple(
        ledger.flips(rewording, choose(router, reword_all(kept.prompts, rewording.apply), rule, quality_bar)[1])
        for rewording in rewordings
    )
    names = dict.fromkeys(flips.kind for flips in measured)
    return Robustness(
        n_prompts=len(kept),
        rule=rule.in_words(),
        quality=ledger.mean_quality(before),
        cost_usd=ledger.mean_cost_usd(before),
        chance=chance_of_flips(before),
        rewordings=measured,
        kinds=(*(_mean(kind, [f for f in measured if f.kind == kind]) for kind in names), _mean("all", measured)),
        n_without_text=int((~outcomes.has_text).sum()),
    )


def chance_of_flips(chosen: Chosen) -> float:
    """Return the probability that two prompts, drawn with replacement, get different models.

    >>> chance_of_flips(np.array([0, 0, 1, 1]))
    0.5
    """
    shares = np.unique(chosen, return_counts=True)[1] / len(chosen)
    return float(1 - (shares**2).sum())


def choose(
    router: Router, prompts: Sequence[PromptLike], rule: Rule, quality_bar: float | None = None
) -> tuple[PredictionTable, Chosen]:
    """Predict and decide; a prompt for which no model is eligible may go to any model.

    Returns
    -------
    PredictionTable
    array of indices, shape (n_prompts,)
    """
    parsed = [Prompt.parse(prompt) for prompt in prompts]
    features = featurise(parsed, router.encoder)
    bar = router.artifact.operating_point.quality_bar if quality_bar is None else quality_bar
    table = router.predict_features(features, bar)
    eligible = router.screen(parsed, features, table, Constraints()).eligible
    return table, rule.rank(table, eligible | ~eligible.any(axis=1, keepdims=True))[:, 0]


def reword_all(prompts: Sequence[PromptLike], change: Callable[[str], str]) -> list[PromptLike]:
    """Reword texts; in conversations, reword the last user message if it is text.

    >>> reword_all(["Hi", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]], str.upper)
    ['HI', [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'HI'}]]
    """
    return [_reworded(prompt, change) for prompt in prompts]


def _reworded(prompt: PromptLike, change: Callable[[str], str]) -> PromptLike:
    if isinstance(prompt, str):
        return change(prompt)
    if isinstance(prompt, Prompt | LoggedPrompt):
        return prompt
    if isinstance(prompt, Mapping):
        return {**prompt, "messages": _reworded(prompt.get("messages", []), change)}
    messages = [dict(message) for message in prompt]
    for message in reversed(messages):
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            message["content"] = change(message["content"])
            break
    return messages


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The decisions on the original prompts, and the outcomes of all others; arrays of shape (n, n_models)."""

    before: Chosen
    quality: Float64Array
    cost_usd: Float64Array
    net_value: Float64Array

    def flips(self, rewording: Rewording, after: Chosen) -> Flips:
        old, new = _at(self.net_value, self.before), _at(self.net_value, after)
        flipped = after != self.before
        cost = self.mean_cost_usd(self.before)
        return Flips(
            name=rewording.name,
            kind=rewording.kind,
            flipped=float(flipped.mean()),
            costly=float((flipped & (old - new > WORTH * np.abs(old))).mean()),
            quality_change=self.mean_quality(after) - self.mean_quality(self.before),
            cost_change=self.mean_cost_usd(after) / cost - 1 if cost > 0 else 0.0,
        )

    def mean_quality(self, chosen: Chosen) -> float:
        return float(_at(self.quality, chosen).mean())

    def mean_cost_usd(self, chosen: Chosen) -> float:
        return mean_cost_usd(_at(self.cost_usd, chosen))


def _at(values: Float64Array, chosen: Chosen) -> Float64Array:
    return values[np.arange(len(chosen)), chosen]


def _mean(name: str, flips: Sequence[Flips]) -> Flips:
    return Flips(
        name=name,
        kind=name,
        flipped=float(np.mean([f.flipped for f in flips])),
        costly=float(np.mean([f.costly for f in flips])),
        quality_change=float(np.mean([f.quality_change for f in flips])),
        cost_change=float(np.mean([f.cost_change for f in flips])),
    )


def _success_value(router: Router, rule: Rule) -> float:
    """Return the value of a success, or of quality 1, under the rule; under a threshold, the artifact's value."""
    own = rule.quality_value_usd if rule.success_value_usd is None else rule.success_value_usd
    return router.artifact.operating_point.quality_value_usd if own is None else own


def _usable(router: Router, outcomes: Outcomes, *, include_seen: bool, max_prompts: int) -> Outcomes:
    usable = ~np.isnan(outcomes.quality).any(axis=1) & outcomes.has_text
    if not include_seen:
        usable &= ~learned_from(router, outcomes.prompts)
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise TableError(
            "no prompt left to reword: the router was trained on all of them, or they lack an outcome of some model or "
            "their text; give the texts of prompts it never saw, answered by every model"
        )
    if len(rows) > max_prompts:
        rows = np.sort(np.random.default_rng(0).choice(rows, max_prompts, replace=False))
    return outcomes.take(rows)
