"""The traffic of a simulation: who asks what and when, and who says how good the answers were.

Conversations begin as a Poisson process; the number of their turns is geometric, the pauses between turns and the
delays of feedback are exponential. All of it is drawn before anything is decided, from the seed alone. So two routers
that are simulated with one seed get the same requests, and the same requests are judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from router_model.errors import RequestError
from router_model.serving.simulation.world import FloatArray, IntArray, Phase

ADVERSARY = "key_adversary"
"""The id of the key all of whose feedback is false."""
SAME_REPORT = 1
"""`Arrival.repeats` where a report is sent again with its id."""
_PAUSE_S = 60.0
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """The settings of the traffic.

    Attributes
    ----------
    n_requests : int
    start : datetime
    requests_per_hour : float
    turns : float
        Mean number of a conversation's turns. Each asks a prompt of the table by itself, of the task of the first.
    keys : int
        Callers, who have equally many conversations.
    degraded : float
        Share of requests that the predictor misses its deadline on.
    feedback : float
        Probability that an answer is judged.
    delay_s : float
        Mean delay of feedback.
    duplicates : float
        Share of feedback that comes twice: every other time as the same report sent again (with its id), else as
        another one.
    noise : float
        Share of feedback that says the opposite: 1 - quality.
    adversary : float
        Share of all feedback that comes from one more key, which judges each of its answers, always with the opposite.
    """

    n_requests: int = 10_000
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    requests_per_hour: float = 60.0
    turns: float = 1.0
    keys: int = 10
    degraded: float = 0.0
    feedback: float = 0.3
    delay_s: float = _HOUR_S
    duplicates: float = 0.0
    noise: float = 0.0
    adversary: float = 0.0

    def __post_init__(self) -> None:
        shares = ("degraded", "feedback", "duplicates", "noise")
        checks = [(name, 0 <= getattr(self, name) <= 1, "0 to 1") for name in shares]
        checks += [(name, getattr(self, name) >= 1, "1 or more") for name in ("n_requests", "turns", "keys")]
        checks.append(("adversary", 0 <= self.adversary < 1, "0 to less than 1"))
        checks.append(("requests_per_hour", 0 < self.requests_per_hour < np.inf, "a number above 0"))
        checks.append(("delay_s", 0 <= self.delay_s < np.inf, "0 or more"))
        for name, is_right, expected in checks:
            if not is_right:
                raise RequestError(f"{name}: got {getattr(self, name)}; expected {expected}")

    @property
    def adversary_share(self) -> float:
        """The adversary's share of the conversations, which gives it its share of the feedback.

        With s of the requests it has ``s / (s + (1 - s) feedback)`` of the feedback.

        >>> traffic = Traffic(feedback=0.3, adversary=0.05)
        >>> share = traffic.adversary_share
        >>> round(share, 4), round(share / (share + (1 - share) * 0.3), 4)
        (0.0155, 0.05)
        """
        others = self.feedback * self.adversary
        return others / (1 - self.adversary + others) if self.adversary else 0.0


class Arrival(NamedTuple):
    """One request.

    Attributes
    ----------
    at : float
        Seconds since 1970.
    phase, row : int
        The phase of the world, and the prompt.
    key_id, session_id : str
    is_late : bool
        Whether the predictor misses its deadline.
    judged_after_s : float or None
        When feedback comes, counted from the answer; None: never.
    is_false : bool
        Whether the feedback says the opposite.
    repeats : int
        0: the feedback comes once; 1: the same report comes twice; 2: another report says the same.
    """

    at: float
    phase: int
    row: int
    key_id: str
    session_id: str
    is_late: bool
    judged_after_s: float | None
    is_false: bool
    repeats: int


def draw_arrivals(traffic: Traffic, phases: Sequence[Phase], rng: np.random.Generator) -> list[Arrival]:
    """Return the requests of a simulation, in the order of their time."""
    n = traffic.n_requests
    session, at = _turns(traffic, rng)
    n_sessions = int(session.max()) + 1
    is_adversary = rng.random(n_sessions) < traffic.adversary_share
    key = rng.integers(traffic.keys, size=n_sessions)
    phase = np.searchsorted([each.first for each in phases], np.arange(n), side="right") - 1
    row = _rows(session, phase, phases, rng)
    late, judged, noisy, repeated = (rng.random(n) for _ in range(4))
    delay = rng.exponential(traffic.delay_s, size=n)
    begun = traffic.start.timestamp()
    return [
        Arrival(
            at=begun + float(at[i]),
            phase=int(phase[i]),
            row=int(row[i]),
            key_id=ADVERSARY if is_adversary[session[i]] else f"key_{key[session[i]]:02d}",
            session_id=f"conversation-{session[i]}",
            is_late=bool(late[i] < traffic.degraded),
            judged_after_s=float(delay[i]) if is_adversary[session[i]] or judged[i] < traffic.feedback else None,
            is_false=bool(is_adversary[session[i]] or noisy[i] < traffic.noise),
            repeats=0 if repeated[i] >= traffic.duplicates else 1 + i % 2,
        )
        for i in range(n)
    ]


def _turns(traffic: Traffic, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return the conversation of each request and its time in seconds from the start, in the order of time."""
    n = traffic.n_requests
    begun = rng.exponential(_HOUR_S * traffic.turns / traffic.requests_per_hour, size=n).cumsum()
    n_turns = rng.geometric(1 / traffic.turns, size=n)
    session = np.repeat(np.arange(n), n_turns)
    pauses = rng.exponential(_PAUSE_S, size=len(session))
    is_first = np.append(True, session[1:] != session[:-1])
    pauses[is_first] = 0.0
    since_first = pauses.cumsum()
    at = begun[session] + since_first - since_first[is_first][session]
    # The first n in time: conversations that begin later than all of them have no turn here.
    order = np.argsort(at, kind="stable")[:n]
    return session[order], at[order]


def _rows(session: IntArray, phase: IntArray, phases: Sequence[Phase], rng: np.random.Generator) -> IntArray:
    """Draw the prompt of each request by the weights of its phase; later turns stay at the task of the first."""
    tasks = np.array(phases[0].world.tasks)
    of_session: dict[int, str] = {}
    drawn = rng.random(len(session))
    rows = np.empty(len(session), np.intp)
    cumulative: dict[tuple[int, str | None], FloatArray] = {}
    for i, (one, now, u) in enumerate(zip(session.tolist(), phase.tolist(), drawn.tolist(), strict=True)):
        task, weights = of_session.get(one), phases[now].world.weights
        if (now, task) not in cumulative:
            of_task = np.zeros_like(weights) if task is None else np.where(tasks == task, weights, 0.0)
            # A task that nobody asks for any more ends in the middle of conversations, too.
            cumulative[now, task] = (of_task if of_task.any() else weights).cumsum()
        sums = cumulative[now, task]
        rows[i] = np.searchsorted(sums, u * sums[-1], side="right")
        of_session.setdefault(one, str(tasks[rows[i]]))
    return rows
