"""The parts of an explanation as plain values, which can be written as JSON with the decision that carries them."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from router_model.summary import Summarised, Summary


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """What is known about one model's answer to a logged prompt.

    Attributes
    ----------
    model : str
    success : bool or None
        Whether it met the request's quality bar. None if the model was not tried, or if the bar and the quality lie
        between the same two learned bars.
    quality_from, quality_to : float or None
        Bounds of its quality: equal if the table has few levels of quality, else the learned bars around it. None if
        the model was not tried.
    """

    model: str
    success: bool | None
    quality_from: float | None
    quality_to: float | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A logged prompt that is similar to the routed one.

    Attributes
    ----------
    prompt_id : str or None
        None in older artifacts, which do not store ids.
    text : str or None
        Only if the router was trained with ``keep_prompts``.
    similarity : float
        The larger of the two similarities below, which are cosines; 1 for the same words.
    embedding_similarity, bag_similarity : float
        Similarity of topic, and of wording.
    outcomes : one for each model, in the order of the router's models
    """

    prompt_id: str | None
    text: str | None
    similarity: float
    embedding_similarity: float
    bag_similarity: float
    outcomes: tuple[LoggedOutcome, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """The contribution of one source of evidence to the log odds of success.

    Attributes
    ----------
    source : str
        One of `router_model.explanation.contributions.SOURCES`.
    log_odds : float
        ``difficulty + edge``.
    difficulty : float
        The part that is the same for all models: how hard the prompt is.
    edge : float
        The part that tells this model from the others on this prompt.
    """

    source: str
    log_odds: float
    difficulty: float
    edge: float


@dataclass(frozen=True, slots=True)
class SurfaceContribution:
    """The contribution of one surface feature to the log odds of success; it is a part of the source ``surface``.

    Attributes
    ----------
    name, meaning : str
        As in `router_model.features.surface.MEANINGS`.
    value : float
        The value of the feature for this prompt.
    log_odds : float
    """

    name: str
    meaning: str
    value: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class SuccessExplanation:
    """How a model's probability of success follows from its record and the evidence.

    ``log_odds = record_log_odds + calibration + sum of the contributions' log_odds``.

    Attributes
    ----------
    model : str
    p_success : float
    log_odds : float
        Of `p_success`.
    record : float
        The model's overall success rate at the bar, where the sum starts.
    record_log_odds : float
    calibration : float
        The change of the record's log odds by calibration alone.
    contributions : one for each source, in a fixed order
    surface : the surface features that matter most, strongest first
    """

    model: str
    p_success: float
    log_odds: float
    record: float
    record_log_odds: float
    calibration: float
    contributions: tuple[Contribution, ...]
    surface: tuple[SurfaceContribution, ...]


@dataclass(frozen=True, slots=True)
class CostGap:
    """Why the chosen model's expected cost differs from the runner-up's; all in USD, negative where it is cheaper.

    Attributes
    ----------
    difference_usd : float
        Expected cost of the chosen model less the runner-up's.
    from_prices_usd : float
        Through prices and fees, at the two models' mean tokens.
    from_tokens_usd : float
        Through input and expected output tokens, at the two models' mean prices.
    """

    difference_usd: float
    from_prices_usd: float
    from_tokens_usd: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change that would put the runner-up first, everything else being equal.

    Attributes
    ----------
    now : float
    flips_at : float
        The runner-up wins on the far side of this value.
    direction : "above" or "below"
        The side on which the runner-up wins.
    """

    now: float
    flips_at: float
    direction: Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that would each make the runner-up win; None if a change of that kind cannot.

    Attributes
    ----------
    success_value_usd : Change or None
        Of the rule's success value, in USD.
    quality_value_usd : Change or None
        Of the rule's value of quality 1, in USD.
    threshold : Change or None
        Of the rule's threshold.
    p_success : Change or None
        Of the runner-up's probability of success.
    expected_quality : Change or None
        Of the runner-up's expected quality, where that decides.
    cost_factor : Change or None
        The runner-up's expected cost, as a multiple of today's. Costs are linear in prices, so all its prices change by
        the same factor.
    """

    success_value_usd: Change | None = None
    quality_value_usd: Change | None = None
    threshold: Change | None = None
    p_success: Change | None = None
    expected_quality: Change | None = None
    cost_factor: Change | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Summarised):
    """The explanation of a decision.

    Attributes
    ----------
    neighbours : the nearest logged prompts, most similar first
    chosen : SuccessExplanation or None
        None if every logged answer meets the bar, so that nothing was predicted.
    runner_up : SuccessExplanation or None
        Of the plan's second model; None also if there is no second model.
    cost : CostGap or None
        Cost gap between the two; None if there is no second model.
    changes : Changes or None
        What would put the second model first; None if there is no second model, or a budget rules a model out.
    """

    neighbours: tuple[Neighbour, ...]
    chosen: SuccessExplanation | None
    runner_up: SuccessExplanation | None
    cost: CostGap | None
    changes: Changes | None

    def summary(self) -> Summary:
        """Return what the log odds of the first two models are made of; `as_dict` has everything."""
        of = [one for one in (self.chosen, self.runner_up) if one is not None]
        rows = [
            (name, *(f"{value:+.2f}" for value in values))
            for name, values in (
                ("all", [one.log_odds for one in of]),
                ("its record", [one.record_log_odds + one.calibration for one in of]),
                *(
                    (parts[0].source, [part.log_odds for part in parts])
                    for parts in zip(*(one.contributions for one in of), strict=True)
                ),
            )
        ]
        nearest = [
            f"The nearest of {len(self.neighbours)} logged prompts: {self.neighbours[0].similarity:.2f} similar."
        ]
        return Summary(
            f"Explanation of {' against '.join(one.model for one in of)}"
            if of
            else "Explanation: every answer succeeds",
            ("log odds of success", *(one.model for one in of)),
            rows if of else (),
            nearest if self.neighbours else (),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain JSON types."""
        return asdict(self)
