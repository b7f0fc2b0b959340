"""Measure the robustness of any method: mix reworded test prompts into the test prompts and compare its choices.

The method does not know that they are copies. Afterwards the changed choices are counted. Some prompts are used, with
one rewording of each kind (`router_model.training.measuring.rewordings`). To measure a single router with all
rewordings, use `router_model.training.measuring.robustness`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.features import Prompt
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.training.benchmark.method import Routed, Routing
from router_model.training.benchmark.trial import Trial
from router_model.training.measuring.rewordings import REWORDINGS, Rewording

MAX_PROMPTS = 200

_NAMES = ("title case", "doubled spaces", "dropped letters", "please answer")


@dataclass(frozen=True, slots=True)
class Reworded:
    """A trial whose last test prompts are rewordings of others.

    Attributes
    ----------
    trial : the extended trial, blinded
    n_test : int
        Number of original test prompts.
    originals : intp array, shape (n_copies,)
        The test prompt from which each copy was made.
    """

    trial: Trial
    n_test: int
    originals: npt.NDArray[np.intp]

    @classmethod
    def of(cls, trial: Trial, *, max_prompts: int = MAX_PROMPTS) -> "Reworded":
        """Add rewordings of up to `max_prompts` test prompts, drawn by the trial's seed."""
        blind, n = trial.blinded(), len(trial.test)
        drawn = np.sort(np.random.default_rng(trial.seed).permutation(n)[:max_prompts])
        texts = [Prompt.parse(trial.test.outcomes.prompts[row]).text for row in drawn]
        copies = [rewording.apply(text) for rewording in _chosen_rewordings() for text in texts]
        originals = np.tile(drawn, len(_NAMES))
        extended = blind.test.take(np.concatenate([np.arange(n), originals]))
        features = _joined(trial.test.features, featurise(copies, trial.encoder))
        prompts = [*blind.test.outcomes.prompts, *copies]
        test = replace(extended, outcomes=replace(extended.outcomes, prompts=prompts), features=features)
        return cls(replace(blind, test=test), n, originals)

    def separate(self, routed: Routed) -> tuple[Routed, Routing]:
        """Return the answers of a method for the test prompts, and those for the copies."""
        test = _part(routed.test, slice(None, self.n_test))
        share = self.n_test / len(self.trial.test)
        own = replace(routed, test=test, decide_s=routed.decide_s * share)
        return own, _part(routed.test, slice(self.n_test, None))

    def robustness(self, test: Routing, copies: Routing, configuration: int) -> float:
        """Return 1 - the share of copies for which another model is chosen than for the prompt itself."""
        before = test.choices[configuration][self.originals]
        return 1 - float((copies.choices[configuration] != before).mean())


def _chosen_rewordings() -> Sequence[Rewording]:
    return [rewording for rewording in REWORDINGS if rewording.name in _NAMES]


def _part(routing: Routing, prompts: slice) -> Routing:
    def some(values: Any) -> Any:
        return None if values is None else values[prompts]

    return Routing(
        routing.choices[:, prompts],
        some(routing.p_success),
        some(routing.expected_cost_usd),
        some(routing.expected_output_tokens),
    )


def _joined(first: PromptFeatures, second: PromptFeatures) -> PromptFeatures:
    def both(name: str) -> Any:
        left, right = getattr(first, name), getattr(second, name)
        return [*left, *right] if isinstance(left, list) else np.concatenate([left, right])

    return PromptFeatures(**{field.name: both(field.name) for field in fields(PromptFeatures)})
