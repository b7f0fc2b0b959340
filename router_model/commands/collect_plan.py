"""The plan of a collection: which model is asked which prompt, in which order, and what that will cost.

Prompts are shuffled, so that a run that ends early has asked a fair sample of them. All models of one prompt come
together, so that it leaves whole prompts.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import numpy as np
import orjson

from router_model.catalog import ModelCard
from router_model.serving.paid_calls.calls import CallOutcome, PaidCall
from router_model.serving.paid_calls.runner import worst_usd
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.worst_case import TOKENS_AN_IMAGE
from router_model.training.contenders import FIRST_PROMPTS, Contenders
from router_model.training.prompts_to_ask import AskedPrompt

ASSUMED_OUTPUT_TOKENS: Final = 500
"""The assumed length of an answer, in tokens, if nothing predicts it."""
_BYTES_A_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt for one model."""

    prompt: AskedPrompt
    call: PaidCall


@dataclass(slots=True)
class Plan:
    """All pairs, and what is known of them.

    Attributes
    ----------
    prompts : shuffled
    models : as they were named
    pairs : of all prompts and models, those of one prompt together
    outcomes : by the key of a call, what came of it so far: answers, and refusals of the prompt
    contenders : Contenders or None
        What the grades so far say, if the plan was narrowed by them.
    is_first : bool
        Whether it was narrowed to the first prompts, because there are no grades yet.
    """

    prompts: Sequence[AskedPrompt]
    models: Sequence[str]
    pairs: list[Pair]
    outcomes: dict[str, CallOutcome] = field(default_factory=dict)
    contenders: Contenders | None = None
    is_first: bool = False

    @classmethod
    def of(
        cls, prompts: Sequence[AskedPrompt], models: Sequence[str], *, seed: int, max_output_tokens: int | None
    ) -> "Plan":
        """Make the plan of all prompts and models."""
        shuffled = list(prompts)
        random.Random(seed).shuffle(shuffled)  # noqa: S311  (an order, no secret)
        pairs = [
            Pair(prompt, PaidCall(prompt.row["prompt_id"], model, prompt.body, max_output_tokens))
            for prompt in shuffled
            for model in models
        ]
        return cls(shuffled, models, pairs)

    def note(self, call: PaidCall, outcome: CallOutcome) -> None:
        """Take what came of a call."""
        if outcome.is_final:
            self.outcomes[call.key] = outcome

    def narrow(self, grades: Mapping[tuple[str, str], float]) -> None:
        """Leave out pairs that would teach little: `router_model.training.contenders` says which.

        Without grades only the first prompts are left, for all models. With them, contenders are asked everything.
        Pairs with a known outcome stay.

        Parameters
        ----------
        grades : quality by prompt and model
        """
        outcomes = self.outcomes
        asked = {prompt.row["prompt_id"]: row for row, prompt in enumerate(self.prompts)}
        quality = np.full((len(asked), len(self.models)), np.nan)
        cost = quality.copy()
        for pair in self.pairs:
            at, outcome = (asked[pair.call.id], self.models.index(pair.call.model)), outcomes.get(pair.call.key)
            if outcome is not None and outcome.cost_usd is not None:
                quality[at], cost[at] = grades.get((pair.call.id, pair.call.model), np.nan), outcome.cost_usd
        if np.isnan(quality).all():
            self.is_first = True
            first = {prompt.row["prompt_id"] for prompt in self.prompts[:FIRST_PROMPTS]}
            self.pairs = [pair for pair in self.pairs if pair.call.id in first or pair.call.key in outcomes]
            return
        self.contenders = Contenders.of(tuple(self.models), quality, cost, seed=0)
        kept = self.contenders.worth_asking
        self.pairs = [pair for pair in self.pairs if pair.call.model in kept or pair.call.key in outcomes]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The models that are not asked further."""
        kept = self.models if self.contenders is None else self.contenders.worth_asking
        return tuple(model for model in self.models if model not in kept)

    @property
    def open(self) -> list[Pair]:
        """The pairs without a known outcome, in their order."""
        return [pair for pair in self.pairs if pair.call.key not in self.outcomes]


@dataclass(slots=True)
class ModelPrice:
    """What the open pairs of one model will cost.

    Attributes
    ----------
    n_pairs : int
    input_tokens, output_tokens : float
        Expected.
    usd, worst_usd : Decimal
        Expected, and if every answer is as long as it may be.
    n_assumed : int
        Pairs whose output is not predicted by anything, and taken to be `ASSUMED_OUTPUT_TOKENS`.
    """

    n_pairs: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    usd: Decimal = Decimal(0)
    worst_usd: Decimal = Decimal(0)
    n_assumed: int = 0


class OutputLengths:
    """Predicts how long answers are, from the best source that there is.

    That is a router that knows the model, else the answers of this collection so far, else those that the prompts'
    table knows.

    Parameters
    ----------
    plan : Plan
    predicted : by id of the prompt and model, the output tokens that a router expects
    """

    def __init__(self, plan: Plan, predicted: Mapping[tuple[str, str], float]) -> None:
        self._predicted = predicted
        self._means = _mean_lengths(plan.outcomes.values())

    def of(self, pair: Pair) -> float | None:
        """Return the expected output tokens of a pair; None if nothing is known."""
        known = self._predicted.get((pair.call.id, pair.call.model))
        if known is None:
            known = self._means.get(pair.call.model)
        return pair.prompt.output_tokens if known is None else known


def price(
    pairs: Sequence[Pair], lengths: OutputLengths, fleet: Fleet, cards: Mapping[str, ModelCard]
) -> dict[str, ModelPrice]:
    """Return what pairs will cost, by model.

    Raises
    ------
    InvalidRequestError
        If no provider serves a model, or a body asks for a number of tokens that cannot be.
    """
    prices: dict[str, ModelPrice] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for pair in pairs:
        call = pair.call
        if call.id not in sizes:
            sizes[call.id] = _size(pair.prompt)
        n_input, n_images = sizes[call.id]
        known = lengths.of(pair)
        limit = call.body.get("max_completion_tokens") or call.body.get("max_tokens") or call.max_tokens
        n_output = int(min(known or ASSUMED_OUTPUT_TOKENS, limit or float("inf")))
        one = prices.setdefault(call.model, ModelPrice())
        one.n_pairs += 1
        one.input_tokens += n_input
        one.output_tokens += n_output
        one.usd += cards[call.model].cost_usd(input_tokens=n_input, output_tokens=n_output, n_images=n_images)
        one.worst_usd += worst_usd(fleet, call)
        one.n_assumed += known is None
    return prices


def _size(prompt: AskedPrompt) -> tuple[int, int]:
    """Return the estimated input tokens of a prompt, and its images and files."""
    sent = Sent(orjson.dumps(prompt.body))
    return sent.n_text_bytes // _BYTES_A_TOKEN + sent.n_data * TOKENS_AN_IMAGE, sent.n_data


def _mean_lengths(outcomes: Iterable[CallOutcome]) -> dict[str, float]:
    sums: dict[str, tuple[int, int]] = {}
    for outcome in outcomes:
        if outcome.output_tokens is not None:
            total, n = sums.get(outcome.model, (0, 0))
            sums[outcome.model] = total + outcome.output_tokens, n + 1
    return {model: total / n for model, (total, n) in sums.items()}
