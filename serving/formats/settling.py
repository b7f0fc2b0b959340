"""Settling what an answer used and cost, before it is written for the caller, put into the log and counted."""

from serving.formats.format import Facts
from serving.providers.plausible import Shown, counted
from serving.providers.provider import Target


def settle(facts: Facts, target: Target, sent: bytes) -> None:
    """Put into `facts` what is believed, or estimated, of the usage and the cost; again: nothing.

    Parameters
    ----------
    facts : Facts
        Of an answer that is over, be it complete or cut.
    target : Target
    sent : bytes
        The body of the request; empty where it is not known.
    """
    if facts.is_settled:
        return
    shown = Shown(sent, facts.n_bytes_written, facts.has_content, facts.is_complete, is_text=facts.is_text)
    result = counted(facts.usage, shown, target)
    facts.usage, facts.cost_usd = result.usage, result.cost_usd
    facts.estimated, facts.budget_usd = result.estimated, result.budget_usd
    facts.is_settled = True
