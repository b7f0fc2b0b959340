"""Say in ``router-model route --target-success`` how the target was met, and whether a certificate promises it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from router_model.certificate import Certificate, find_certificate
from router_model.decision import Reason
from router_model.goal import TargetSuccess

if TYPE_CHECKING:
    from router_model.decision import Decision


def about_target(decision: "Decision", goal: TargetSuccess, certificates: Sequence[Certificate]) -> str:
    """Say whether the target is promised for this decision, and what was done otherwise.

    Parameters
    ----------
    decision : made for `goal`
    certificates : the router's
    """
    if decision.certificate is not None:
        return decision.certificate.in_words()
    found = _certificate(goal.target_success, goal, decision, certificates)
    if found is None:
        return _as_threshold(decision, goal, certificates)
    if found.certified:
        return (
            f"nothing is promised: {found.promise} is certified, but not for requests like this. Their "
            "constraints rule out a model, or their prices differ. The certified rule decided nevertheless"
        )
    left_out = any(exclusion.model == found.safest_model for exclusion in decision.excluded)
    instead = "; it is left out here, so the likeliest of the others to succeed was chosen" if left_out else ""
    return f"{found.in_words()}{instead}"


def _certificate(
    target: float, goal: TargetSuccess, decision: "Decision", certificates: Sequence[Certificate]
) -> Certificate | None:
    return find_certificate(certificates, target, goal.quality_bar, default_bar=decision.quality_bar)


def _as_threshold(decision: "Decision", goal: TargetSuccess, certificates: Sequence[Certificate]) -> str:
    """Say that a target without a certificate becomes a threshold for this single prompt."""
    bar, target = decision.quality_bar, f"{goal.target_success:g}"
    found = (_certificate(each.target_success, goal, decision, certificates) for each in certificates)
    known = ", ".join(dict.fromkeys(one.promise for one in found if one is not None and one.certified))
    done = {
        Reason.CHEAPEST_ABOVE_BAR: f": this is the cheapest model with P(success) >= {target}",
        Reason.NONE_ABOVE_BAR: f": no model's P(success) reaches {target}, so this is the likeliest to succeed",
    }.get(decision.reason, "")
    certified = f"certified: {known}" if known else "nothing is certified"
    return (
        f"nothing is promised: success >= {target} has no certificate at quality bar {bar:g} ({certified}; see "
        f"'router-model certify'). So {target} is the least P(success) for this prompt alone{done}"
    )
