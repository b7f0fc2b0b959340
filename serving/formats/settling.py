"""Settle the usage and cost of an answer before it is written for the caller, logged and counted."""

from router_model.serving.formats.format import Facts
from router_model.serving.providers.plausible import Shown, counted
from router_model.serving.providers.provider import Target
from router_model.serving.providers.sent import Sent


def settle(facts: Facts, target: Target, sent: Sent, *, is_read: bool = False) -> None:
    """Put the believed or estimated usage and cost into `facts`; a second call does nothing.

    Parameters
    ----------
    facts : Facts
        Of an answer that is over, be it complete or cut.
    target : Target
    sent : Sent
        The request; empty if it is not known.
    is_read : bool
        Whether the provider has read the request and charges for it, even if nothing came back.
    """
    if facts.is_settled:
        return
    shown = Shown(
        sent, facts.n_bytes_written, facts.has_content, facts.is_complete, is_text=facts.is_text, is_read=is_read
    )
    result = counted(facts.usage, shown, target)
    facts.usage, facts.cost_usd = result.usage, result.cost_usd
    facts.estimated, facts.estimate_reasons = result.estimated, result.reasons
    facts.budget_usd = result.budget_usd
    facts.is_settled = True
