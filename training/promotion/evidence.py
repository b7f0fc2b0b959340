"""What a promotion is decided from: the difference of two routers, and the prompts that neither learned from.

The difference is read from a table in which every model answered every prompt (`Evidence.of_table`), or from the log of
a service that explores, by off-policy evaluation (`Evidence.of_log`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from router_model.features.featuriser import PromptFeatures, featurise
from router_model.router import Router
from router_model.saved.artifact import hash_of
from router_model.training.measuring.compare import compare
from router_model.training.measuring.evaluate import learned_from
from router_model.training.measuring.paired import Resampling, independent_groups
from router_model.training.measuring.verdict import Difference, Verdict, comparison_verdict
from router_model.training.offpolicy.evaluate_on_log import SEEN, LogEvaluation, evaluate_on_log
from router_model.training.offpolicy.logged import LoggedDecisions
from router_model.training.table.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Evidence:
    """The paired difference of challenger minus champion on prompts that neither was trained on.

    Attributes
    ----------
    source : what it was measured on
    difference : Difference
        In quality and cost.
    moved : share of the prompts whose model changes
    main_move : (from, to, share) of the most frequent change; None if nothing changes
    n_left_out : prompts of the source that either was trained on, or on near duplicates of
    log : the evaluation, if the source is a log: it knows whether its explored answers are enough to tell
    """

    source: str
    difference: Difference
    moved: float
    main_move: tuple[str, str, float] | None
    n_left_out: int
    log: LogEvaluation | None = None

    @classmethod
    def of_table(cls, champion: Router, challenger: Router, outcomes: Outcomes, *, source: str) -> "Evidence":
        """Compare the two on a table of outcomes of all models of both.

        Raises
        ------
        TableError
            If a model is missing or no prompt is left to count.
        """
        found = compare(champion, challenger, outcomes)
        return cls(
            source=source,
            difference=found.difference,
            moved=found.share_different,
            main_move=found.main_move,
            n_left_out=found.n_left_out,
        )

    @classmethod
    def of_log(
        cls, champion: Router, challenger: Router, decisions: LoggedDecisions, *, source: str, margin: float
    ) -> "Evidence":
        """Estimate the difference from the log of a policy that explored, on prompts that neither was trained on.

        Raises
        ------
        SupportError
            If the log could not have made a choice of one of them.
        TableError
            If no decision is left, or no answer is graded or has a cost.
        """
        found = evaluate_on_log(challenger, decisions, against=champion, margin=margin)
        return cls(
            source=source,
            difference=found.difference,
            moved=found.overlap.share_different,
            main_move=found.main_move,
            n_left_out=found.left_out.get(SEEN, 0),
            log=found,
        )

    def verdict(self, margin: float) -> Verdict:
        """Return what the difference shows; a log with few explored answers cannot tell, whatever its interval."""
        if self.log is not None:
            return self.log.verdict
        return comparison_verdict(self.difference, margin=margin, first="the champion", second="the challenger")

    @property
    def in_words(self) -> str:
        """What it was measured on."""
        return f"{self.difference.n_prompts:,} {'prompts' if self.log is None else 'decisions'} of {self.source}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **{name: getattr(self, name) for name in ("source", "moved", "main_move", "n_left_out")},
            "difference": self.difference.as_dict(),
            "log": None if self.log is None else self.log.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Prompts with outcomes, on which the challenger was not trained, nor on near duplicates of them.

    `is_log` says that each has the outcome of one model alone, which a policy chose.
    """

    outcomes: Outcomes
    features: PromptFeatures
    n_left_out: int
    is_log: bool

    @classmethod
    def of(cls, challenger: Router, outcomes: Outcomes, *, champion: Router | None, is_log: bool) -> "HeldOut":
        """Leave out what the challenger was trained on, and the champion, if it is given."""
        challenger = challenger.graded_only()
        if is_log:
            outcomes = outcomes.with_models([model for model in challenger.models if model not in outcomes.models])
        own = outcomes.select_models(challenger.models)
        seen = learned_from(challenger, own.prompts)
        if champion is not None:
            seen |= learned_from(champion, own.prompts)
        kept = own.take(np.flatnonzero(~seen & ~np.isnan(own.quality).all(axis=1)))
        return cls(kept, featurise(kept.prompts, challenger.encoder), int(seen.sum()), is_log)

    def drawn(self, rows: np.ndarray[Any, np.dtype[np.intp]]) -> Resampling:
        """Resample some of the prompts by conversation and text."""
        of = self.outcomes.take(rows)
        texts = [hash_of(prompt) for prompt in of.prompts]
        return Resampling.of(independent_groups(of.split_keys, texts))
