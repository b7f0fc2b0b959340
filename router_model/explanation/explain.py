"""Build the explanations of decisions from their parts: similar prompts, contributions, cost gap and changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.announced import AnnouncedModels
from router_model.catalog import Catalog
from router_model.cost import prices_usd
from router_model.decision import Decision, Reason
from router_model.explanation.changes import changes_for_runner_up
from router_model.explanation.contributions import explain_success
from router_model.explanation.neighbours import nearest_prompts
from router_model.explanation_records import Contribution, CostGap, Explanation, SuccessExplanation
from router_model.features.featuriser import PromptFeatures
from router_model.plan import PlanStep
from router_model.policy import Rule
from router_model.prediction.predictor import Predictor
from router_model.saved.artifact import Artifact


def explain_decisions(
    decisions: Sequence[Decision],
    features: PromptFeatures,
    *,
    artifact: Artifact,
    catalog: Catalog,
    rule: Rule,
    announced: AnnouncedModels | None = None,
) -> list[Decision]:
    """Return decisions with their explanations; this takes several times as long as deciding.

    Parameters
    ----------
    decisions : of n prompts
    features : of the same n prompts
    catalog : the one that the decisions used
    rule : the one that the decisions used
    announced : candidates that nobody graded
    """
    explained = []
    for row, decision in enumerate(decisions):
        own = features.take(np.array([row]))
        explanation = _explain(decision, own, artifact=artifact, catalog=catalog, rule=rule, announced=announced)
        explained.append(replace(decision, explanation=explanation))
    return explained


def _explain(
    decision: Decision,
    features: PromptFeatures,
    *,
    artifact: Artifact,
    catalog: Catalog,
    rule: Rule,
    announced: AnnouncedModels | None,
) -> Explanation:
    predictor, bar = artifact.predictor, decision.quality_bar
    pair = decision.plan[:2]
    chosen, *others = _explained(pair, features, predictor, announced, quality_bar=bar)
    gap = None
    if others:
        pieces = float(features.n_input_tokens[0])
        gap = cost_gap(pair[0], pair[1], catalog, n_input_tokens=pieces * _token_rates(pair, artifact))
    return Explanation(
        # The prompts of a starter are those of public tables, which no candidate answered.
        neighbours=()
        if artifact.is_starter
        else nearest_prompts(predictor, features, artifact.bank_prompts, quality_bar=bar),
        chosen=chosen,
        runner_up=others[0] if others else None,
        cost=gap,
        changes=changes_for_runner_up(decision.plan, rule, fixed=_goes_to_safe_model(decision, artifact)),
    )


def _explained(
    pair: Sequence[PlanStep],
    features: PromptFeatures,
    predictor: Predictor,
    announced: AnnouncedModels | None,
    *,
    quality_bar: float,
) -> list[SuccessExplanation | None]:
    """Explain the first models of a plan; an announced one by the explanations of the known models it is made of."""
    if announced is None or not any(step.announced for step in pair):
        columns = [predictor.models.index(step.model) for step in pair]
        return explain_success(predictor, features, columns, quality_bar=quality_bar)
    known = explain_success(predictor, features, range(len(predictor.models)), quality_bar=quality_bar)
    return [
        explain_announced(step.model, known, announced) if step.announced else known[predictor.models.index(step.model)]
        for step in pair
    ]


def explain_announced(
    model: str, known: Sequence[SuccessExplanation | None], announced: AnnouncedModels
) -> SuccessExplanation | None:
    """Explain an announced model's probability by those of the known models it is a mixture of.

    Its log odds are a weighted sum of theirs, and so are the contributions. The sum starts at the model's own level.
    The calibration is the rest: the mixture's own start, and what brings its mean to the level.

    Parameters
    ----------
    known : of all known models, on the same prompt

    Returns
    -------
    SuccessExplanation or None
        None if nothing was predicted.
    """
    parts = [one for one in known if one is not None]
    if len(parts) < len(known):
        return None
    column = announced.models.index(model)
    weights = announced.weights[:, column].astype(np.float64)
    log_odds = float(weights @ [one.log_odds for one in parts] + announced.shift[column])
    contributions = tuple(
        Contribution(
            same[0].source,
            *(float(weights @ [getattr(one, field) for one in same]) for field in ("log_odds", "difficulty", "edge")),
        )
        for same in zip(*(one.contributions for one in parts), strict=True)
    )
    level = announced.levels[model].log_odds
    return SuccessExplanation(
        model=model,
        p_success=float(expit(log_odds)),
        log_odds=log_odds,
        record=float(expit(level)),
        record_log_odds=level,
        calibration=log_odds - level - sum(one.log_odds for one in contributions),
        contributions=contributions,
        surface=parts[int(np.argmax(weights))].surface,
    )


def _token_rates(pair: Sequence[PlanStep], artifact: Artifact) -> npt.NDArray[np.float64]:
    """Return the models' input tokens for one of our word pieces; of an announced one, the mean of the others."""
    models, rates = artifact.predictor.models, artifact.tokens_per_piece
    return np.array([rates.mean() if step.announced else rates[models.index(step.model)] for step in pair])


def _goes_to_safe_model(decision: Decision, artifact: Artifact) -> bool:
    return decision.reason is Reason.OUT_OF_DISTRIBUTION and decision.model == artifact.safe_model


def cost_gap(
    chosen: PlanStep, runner_up: PlanStep, catalog: Catalog, *, n_input_tokens: npt.NDArray[np.float64]
) -> CostGap:
    """Split the difference of two expected costs into a part from prices and a part from tokens.

    ``t p - u q = (t - u) (p + q) / 2 + (p - q) (t + u) / 2`` for tokens t, u at prices p, q: the mean over
    both orders in which the two could change (Shapley 1953).

    Parameters
    ----------
    n_input_tokens : shape (2,), the models' own

    Examples
    --------
    1,000 tokens at 2 USD a million against 500 at 6: 0.002 - 0.003 USD. 500 more tokens at the mean price of 4 USD are
    0.002 USD. A price that is 4 USD lower, for the mean of 750 tokens, is -0.003 USD:

    >>> from decimal import Decimal
    >>> from router_model.catalog import ModelCard
    >>> catalog = Catalog({"a": ModelCard("a", Decimal(0), Decimal(2)), "b": ModelCard("b", Decimal(0), Decimal(6))})
    >>> gap = cost_gap(PlanStep("a", 0.9, 0.002, 1000.0), PlanStep("b", 0.9, 0.003, 500.0), catalog,
    ...                n_input_tokens=np.zeros(2))
    >>> round(gap.difference_usd, 9), round(gap.from_prices_usd, 9), round(gap.from_tokens_usd, 9)
    (-0.001, -0.003, 0.002)
    """
    models = (chosen.model, runner_up.model)
    per_input = prices_usd(catalog, models, "usd_per_mtok_input").mean() * 1e-6
    per_output = prices_usd(catalog, models, "usd_per_mtok_output").mean() * 1e-6
    more_input = n_input_tokens[0] - n_input_tokens[1]
    more_output = chosen.expected_output_tokens - runner_up.expected_output_tokens
    from_tokens = float(more_input * per_input + more_output * per_output)
    difference = chosen.expected_cost_usd - runner_up.expected_cost_usd
    return CostGap(difference, difference - from_tokens, from_tokens)  # fees count as prices
