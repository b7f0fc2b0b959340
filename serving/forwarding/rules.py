"""The settings of forwarding: the numbers for its retries and streams."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router_model.serving.forwarding.thinking import Thinking
from router_model.serving.providers.health import HealthRules


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
        So many models at providers have something remembered about them.
    """

    first_s: float = 600.0
    longest_s: float = 7200.0
    probe_s: float = 60.0
    most_targets: int = 1000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Time limits of waiting, in seconds, if ``providers.toml`` does not set them.

    Attributes
    ----------
    floor_s : float
        At least, however fast a model has been.
    eager_s, patient_s : float
        Before enough is known of a model: while another candidate can be asked, and otherwise.
    """

    floor_s: float
    eager_s: float
    patient_s: float


@dataclass(frozen=True, slots=True)
class PatienceRules:
    """How deadlines follow the times that a model needed lately; see `router_model.serving.forwarding.patience`.

    Attributes
    ----------
    multiple : float
        Of the 99th percentile; more while few calls are known.
    at_least, window : int
        Calls before anything is learned of a model, and calls that are remembered.
    bytes_a_step : int
        With each so many bytes of a prompt (8,000 tokens of English) the first token may take as long once more.
    most_scale : float
        The most that the length of a prompt multiplies a deadline by.
    most_candidates : int
        Of whom times are remembered.
    first, idle : bounds to the first token, and of a pause within a stream, by how much a call makes a model think
    whole : of an answer that does not come as a stream
    short : of one that does not, because it may have only a few tokens; they take 7 s longer than the first at most
    """

    multiple: float = 4.0
    at_least: int = 5
    window: int = 100
    bytes_a_step: int = 32_000
    most_scale: float = 10.0
    most_candidates: int = 1_000
    first: Mapping[Thinking, Bounds] = field(
        default_factory=lambda: {
            Thinking.NONE: Bounds(5.0, 30.0, 60.0),
            Thinking.SOME: Bounds(60.0, 300.0, 300.0),
            Thinking.DEEP: Bounds(120.0, 600.0, 600.0),
        }
    )
    idle: Mapping[Thinking, Bounds] = field(
        default_factory=lambda: {
            Thinking.NONE: Bounds(10.0, 30.0, 60.0),
            Thinking.SOME: Bounds(60.0, 120.0, 120.0),
            Thinking.DEEP: Bounds(120.0, 300.0, 300.0),
        }
    )
    whole: Bounds = Bounds(60.0, 600.0, 600.0)
    short: Bounds = Bounds(12.0, 37.0, 67.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings of forwarding; what a provider may take is in its `Deadlines`.

    Attributes
    ----------
    max_attempts : int
        Of one request, at all candidates together.
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
        The part of a stream that is read before the caller takes it.
    unread_s : float
        How long a stream may wait for its caller, once so much of it is read ahead; then it is ended.
    health : HealthRules
        Of a model at its provider: when it is paused, and for how long.
    refusals : RefusalRules
    patience : PatienceRules
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
    unread_s: float = 120.0
    health: HealthRules = field(default_factory=HealthRules)
    refusals: RefusalRules = field(default_factory=RefusalRules)
    patience: PatienceRules = field(default_factory=PatienceRules)
