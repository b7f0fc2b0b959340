"""Compute what would have to change so that the second model of a plan (the runner-up) became the first.

All functions are pure functions of the plan's probabilities and costs, in the plan's order. Each change is considered
alone: everything else stays the same, including the set of candidates. The runner-up wins beyond the point given. At
the point itself the two models are level and the tie rule decides, except that a model exactly at the threshold meets
it.
"""

from collections.abc import Sequence

from router_model.explanation_records import Change, Changes
from router_model.plan import PlanStep
from router_model.policy import Rule

_SLIM = 1e-9  # a relative range narrower than this is rounding error: three models are level at one value


def changes_for_runner_up(plan: Sequence[PlanStep], rule: Rule, *, fixed: bool = False) -> Changes | None:
    """Return what would put the second model of a plan first.

    None if there is no second model.

    If a model is called whatever is predicted (`Rule.first_model`), no change displaces it. The same holds if the
    decision is `fixed`, as for a prompt unlike the logged ones that goes to the safe model.
    """
    if len(plan) < 2:  # noqa: PLR2004  (a first and a second)
        return None
    if fixed or plan[0].model == rule.first_model:
        return Changes()
    p, cost = [step.cautious_p_success for step in plan], [step.expected_cost_usd for step in plan]
    if rule.quality_value_usd is not None:
        quality = [step.cautious_quality for step in plan]
        found = changes_by_value(quality, cost, success_value_usd=rule.quality_value_usd)
        return Changes(
            quality_value_usd=found.success_value_usd, expected_quality=found.p_success, cost_factor=found.cost_factor
        )
    if rule.success_value_usd is not None:
        return changes_by_value(p, cost, success_value_usd=rule.success_value_usd)
    return changes_by_threshold(p, cost, threshold=rule.threshold or 0.0)


def changes_by_value(p: Sequence[float], cost_usd: Sequence[float], *, success_value_usd: float) -> Changes:
    """Return the changes under `router_model.policy.rank_by_value`.

    With value v, the first has ``v p0 - c0 >= v p1 - c1``; the second draws level at ``p1 = p0 + (c1 - c0) / v`` or
    ``c1 = c0 - v (p0 - p1)``.

    Parameters
    ----------
    p, cost_usd : of the plan's models, in its order

    Examples
    --------
    A success is worth 10 cents. So 0.9 for 1 cent beats 0.95 for 5 cents, 0.08 to 0.045. The two are level at 80 cents,
    because 5 points are then worth the 4 cents between them:

    >>> found = changes_by_value([0.9, 0.95], [0.01, 0.05], success_value_usd=0.1)
    >>> round(found.success_value_usd.flips_at, 6), found.p_success
    (0.8, None)
    >>> round(found.cost_factor.flips_at, 6)  # 1.5 cents
    0.3
    """
    value = success_value_usd
    p_needed = p[0] + (cost_usd[1] - cost_usd[0]) / value if value > 0 else 1.0
    cost_needed = cost_usd[0] - value * (p[0] - p[1])
    return Changes(
        success_value_usd=_value_change(p, cost_usd, value),
        p_success=Change(p[1], p_needed, "above") if p_needed < 1 else None,
        cost_factor=Change(1.0, cost_needed / cost_usd[1], "below") if cost_needed > 0 and cost_usd[1] > 0 else None,
    )


def _value_change(p: Sequence[float], cost_usd: Sequence[float], value: float) -> Change | None:
    """Return the success value nearest to today's beyond which the second model beats all others.

    It does between two values, where its line ``v p1 - c1`` meets the lines of the others. If the lower value is not
    below the upper one, it never does.
    """
    low, high = 0.0, float("inf")
    for place, (p_other, cost_other) in enumerate(zip(p, cost_usd, strict=True)):
        gain, price = p[1] - p_other, cost_usd[1] - cost_other
        if place == 1:
            continue
        if gain > 0:
            low = max(low, price / gain)
        elif gain < 0:
            high = min(high, price / gain)
        elif price > 0 or (price == 0 and place == 0):
            return None
    if not low * (1 + _SLIM) < high:
        return None
    # Today's value is outside the range, so the nearer end must be crossed, even if rounding has broken a tie.
    return Change(value, low, "above") if abs(value - low) <= abs(value - high) else Change(value, high, "below")


def changes_by_threshold(p: Sequence[float], cost_usd: Sequence[float], *, threshold: float) -> Changes:
    """Return the changes under `router_model.policy.rank_by_threshold`.

    Parameters
    ----------
    p, cost_usd : of the plan's models, in its order

    Examples
    --------
    Both are likely enough and the first is cheaper. The second wins at a threshold above 0.9, or at half its cost:

    >>> found = changes_by_threshold([0.9, 0.95], [0.01, 0.02], threshold=0.8)
    >>> found.threshold.flips_at, found.threshold.direction, found.cost_factor.flips_at, found.p_success
    (0.9, 'above', 0.5, None)

    Only the first is likely enough, but the second is cheaper. It must reach the threshold, or the threshold must fall:

    >>> found = changes_by_threshold([0.9, 0.7], [0.02, 0.01], threshold=0.8)
    >>> found.threshold.flips_at, found.threshold.direction, found.p_success.flips_at, found.cost_factor
    (0.7, 'below', 0.8, None)
    """
    cheaper = cost_usd[1] < cost_usd[0]
    lowered = Change(threshold, p[1], "below") if cheaper else None
    factor = cost_usd[0] / cost_usd[1] if cost_usd[1] > 0 else 0.0
    undercut = Change(1.0, factor, "below") if factor > 0 else None
    if p[0] < threshold:  # no model is likely enough: the likeliest is first, and among equals the cheapest
        level = undercut if p[0] == p[1] else None
        return Changes(threshold=lowered, p_success=Change(p[1], p[0], "above"), cost_factor=level)
    if p[1] < threshold:  # only the first is likely enough
        return Changes(threshold=lowered, p_success=Change(p[1], threshold, "above") if cheaper else None)
    return Changes(threshold=Change(threshold, p[0], "above") if p[1] > p[0] else None, cost_factor=undercut)
