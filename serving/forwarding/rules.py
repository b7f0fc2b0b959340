"""How patient forwarding is: the numbers of its retries and streams."""

from dataclasses import dataclass, field

from serving.providers.health import HealthRules


@dataclass(frozen=True, slots=True)
class RefusalRules:
    """For how long it is remembered what a model has refused.

    Attributes
    ----------
    first_s, longest_s : float
        Until a request that asks for it is let through; doubles with each that is refused again.
    probe_s : float
        How long that request may take before another one is let through.
    most_targets : int
        Models at providers of which something is remembered.
    """

    first_s: float = 600.0
    longest_s: float = 7200.0
    probe_s: float = 60.0
    most_targets: int = 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings of forwarding; what a provider may take is in its `Deadlines`.

    Attributes
    ----------
    max_attempts : int
        Of one order, at all candidates together.
    max_at_target : int
        At one candidate that fails in ways that may pass (connection, timeout, 5xx, malformed).
    first_backoff_s, longest_backoff_s : float
        The longest pause before the first retry, and before any; it doubles in between.
    longest_wait_s : float
        For a limit that another call has found; where it ends later, the candidate is asked at once.
    keep_alive_s : float
        A stream that is silent for so long gets a comment.
    close_s : float
        Longest time that closing a response may take.
    max_answer_bytes : int
        Of a whole answer, and of a stream that is held back.
    max_ahead_bytes : int
        What is read of a stream before the caller takes it.
    health : HealthRules
        Of a model at its provider: when it is put aside, and for how long.
    refusals : RefusalRules
    """

    max_attempts: int = 6
    max_at_target: int = 2
    first_backoff_s: float = 0.5
    longest_backoff_s: float = 5.0
    longest_wait_s: float = 60.0
    keep_alive_s: float = 15.0
    close_s: float = 2.0
    max_answer_bytes: int = 64 * 1024 * 1024
    max_ahead_bytes: int = 256 * 1024
    health: HealthRules = field(default_factory=HealthRules)
    refusals: RefusalRules = field(default_factory=RefusalRules)
