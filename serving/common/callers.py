"""The caller of a request, and the roles that a caller can have."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A permission of a key. A key may have several roles; no role includes another."""

    DECIDE = "decide"
    """Ask for decisions, list models, read its own decisions."""
    FEEDBACK = "feedback"
    """Report feedback and outcomes of its own decisions."""
    FEEDBACK_ALL = "feedback-all"
    """Report feedback and outcomes of everybody's decisions; its grades count as the operator's own."""
    PROXY = "proxy"
    """Call models through the proxy, which costs money."""
    METRICS = "metrics"
    """Read the metrics, as a monitoring system does, and nothing else."""
    ADMIN = "admin"
    """Reload, read any decision and the metrics."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes
    ----------
    key_id : str
        Public id of its key; ``insecure`` if the service runs without keys. Safe to log.
    roles : frozenset of Role
    router : str or None
        The name of the router that ``auto`` means to it; None: the service's.
    """

    key_id: str
    roles: frozenset[Role]
    router: str | None = None


INSECURE = Caller("insecure", frozenset(Role))
"""The caller of every request if the service runs with ``--insecure`` on loopback."""
