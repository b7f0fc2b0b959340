"""The parts of an explanation as plain values, which can be written as JSON with the decision that carries them."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """What is known of one model's answer to a logged prompt.

    Attributes
    ----------
    model : str
    success : bool or None
        Whether it met the request's quality bar; None where the model was not tried, or where the bar lies between
        two bars that success was learned at and the answer between them.
    quality_from, quality_to : float or None
        Bounds of its quality: equal where the table has few levels of quality, else the learned bars around it. None
        where the model was not tried.
    """

    model: str
    success: bool | None
    quality_from: float | None
    quality_to: float | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A logged prompt like the one that is routed.

    Attributes
    ----------
    prompt_id : str or None
        None in artifacts of before ids were stored.
    text : str or None
        Only where the router was trained with ``keep_prompts``.
    similarity : float
        The larger of the two below; cosines, 1 for the same words.
    embedding_similarity, bag_similarity : float
        Of topic and of wording.
    outcomes : one a model, in the order of the router's models
    """

    prompt_id: str | None
    text: str | None
    similarity: float
    embedding_similarity: float
    bag_similarity: float
    outcomes: tuple[LoggedOutcome, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one source of evidence adds to the log odds of success.

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
    """What one surface feature adds to the log odds of success; a part of the source ``surface``.

    Attributes
    ----------
    name, meaning : str
        As in `router_model.features.surface.MEANINGS`.
    value : float
        The feature of this prompt.
    log_odds : float
    """

    name: str
    meaning: str
    value: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class SuccessExplanation:
    """How a model's probability of success came about.

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
        What calibration makes of the record alone.
    contributions : one a source, in a fixed order
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
        On its far side the runner-up wins.
    direction : "above" or "below"
        Which side that is.
    """

    now: float
    flips_at: float
    direction: Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What would have to change for the runner-up to win: any one of these, None where it could not.

    Attributes
    ----------
    success_value_usd : Change or None
        Of the rule's success value, in USD.
    threshold : Change or None
        Of the rule's threshold.
    p_success : Change or None
        Of the runner-up's probability of success.
    cost_factor : Change or None
        The runner-up's expected cost, as a multiple of today's; as costs are linear in prices, so many times all
        of its prices.
    """

    success_value_usd: Change | None = None
    threshold: Change | None = None
    p_success: Change | None = None
    cost_factor: Change | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision is what it is.

    Attributes
    ----------
    neighbours : the nearest logged prompts, most similar first
    chosen : SuccessExplanation or None
        None where every logged answer meets the bar, so that nothing was predicted.
    runner_up : SuccessExplanation or None
        Of the plan's second model; None also where there is none.
    cost : CostGap or None
        Between the two; None where there is no second model.
    changes : Changes or None
        What would put the second model first; None where there is none, expected quality decides, or a budget rules a
        model out.
    """

    neighbours: tuple[Neighbour, ...]
    chosen: SuccessExplanation | None
    runner_up: SuccessExplanation | None
    cost: CostGap | None
    changes: Changes | None

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain JSON types."""
        return asdict(self)
