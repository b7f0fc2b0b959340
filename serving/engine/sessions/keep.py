"""Decide whether a conversation keeps its model.

The provider of the session's model has read the conversation before and reads it again at its cached price; any other
one reads it at its full price. The rule has seen that: the session's model is in the plan at its *warm* cost, lower
than usual by ``warm tokens x (input price - cached price)``, which is what a switch loses. So:

- The model is kept where the rule, at these costs, puts no other one *strictly* before it. By value this is
  ``value(kept) >= value(best)``, i.e. it is left exactly where the other one's gain at usual costs exceeds the lost
  cache. By threshold the kept one is likely enough and none that is likely enough is cheaper; or none is likely enough
  and none is likelier.
- Inside a tool loop it is kept as long as it is a candidate: a model that asked for a tool reads the answer.
- If no cache is warm any more, or the catalog has no cached price, switching loses nothing, and only ties keep it.
- If the router sends a prompt to its safe model whatever the rule says, so does the session.

Worked example: a success is worth 0.05 USD. ``a`` has p = 0.80 and usually costs 0.024 USD; 8,000 warm tokens at 0.25
instead of 2.50 USD a million take 0.018 off, so its value is 0.040 - 0.006 = 0.034. ``b`` has p = 0.84 and costs 0.010:
a value of 0.042 - 0.010 = 0.032. At usual costs ``b`` would gain 0.016, less than the cache is worth: ``a`` is kept.
Where p of ``b`` exceeds 0.88 it gains more, and the session moves.
"""

from router_model.decision import Decision
from router_model.plan import PlanStep


def kept_position(decision: Decision, model: str, *, uses_tools: bool, safe_model: str | None = None) -> int | None:
    """Return where in the plan the session's model is if it is to be kept, or None if the rule decides.

    Parameters
    ----------
    decision : made with the session's warm cache
    model : the session's
    uses_tools : whether the conversation is inside a tool loop
    safe_model : the one that unfamiliar prompts go to
    """
    models = decision.plan.models
    position = models.index(model) if model in models else None
    if position is None or position == 0 or uses_tools:
        return position
    if _goes_to_safe_model(decision, safe_model):
        return None
    return position if _rank(decision, decision.plan[position]) <= _rank(decision, decision.plan[0]) else None


def _rank(decision: Decision, step: PlanStep) -> tuple[int, float]:
    """Return what the rule sorts by, the lower the better; ties are equal."""
    cost = step.expected_cost_usd
    if decision.quality_value_usd is not None:
        return 0, cost - step.cautious_quality * decision.quality_value_usd
    if decision.success_value_usd is not None:
        return 0, cost - step.cautious_p_success * decision.success_value_usd
    p = step.cautious_p_success
    return (0, cost) if p >= (decision.threshold or 0.0) else (1, -p)


def _goes_to_safe_model(decision: Decision, safe_model: str | None) -> bool:
    if decision.reason in {"safest_model", "best_single_model"}:
        return True
    return decision.reason == "out_of_distribution" and decision.plan.models[0] == safe_model
