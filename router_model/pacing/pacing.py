"""Keep average spend under a limit over a stream of requests, and lose as little quality as possible.

The best use of a fixed budget values a success equally in all requests. (This value is the dual variable of the
budget.) If two requests had different values, moving money from one to the other would gain quality. So the pacer
starts from the value that spends exactly the limit on the training prompts. It changes this value only as far as is
needed to use up the rest of the budget by the end of the period. The method is dual descent on the running spend
(Balseiro & Gur, "Learning in Repeated Auctions with Budgets", Management Science 65(9), 2019), with a step that grows
as the period runs out. docs/decisions/0005 compares the alternatives that were tried.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from router_model.decision import Decision, Reason
from router_model.errors import RequestError
from router_model.explanation.explain import explain_decisions
from router_model.features import Prompt, PromptLike
from router_model.features.featuriser import featurise
from router_model.pacing.budget import PacingBudget
from router_model.policy import Rule, rank_by_budget
from router_model.router import Router
from router_model.screening.constraints import Constraints
from router_model.spend_curve import SpendCurve

OVERDRAFT = 0.005
"""Share of a period's budget that its last requests may overspend; it is taken from the next period."""

_LANDING = 20  # requests over which a difference is spread at least, so that the last few do not swing
_RATE_PRIOR = 0.1  # the expected request rate weighs as much as a tenth of a period
_FLOOR_PRIOR = 20  # requests that the curve's cheapest cost weighs against what is seen
_MOST_PENDING = 10_000  # decisions whose realised cost is waited for; older ones keep their expected cost
_SCALE_LIMIT = 10.0  # the curve may be corrected by this factor at most
_STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Paced:
    """A decision that was charged to a budget.

    Attributes
    ----------
    decision : Decision
    ticket : int
        For `BudgetPacer.settle`.
    """

    decision: Decision
    ticket: int


@dataclass(slots=True)
class _State:
    """Everything a pacer remembers; times in seconds, money in USD, of this period unless said."""

    started_s: float
    expected_requests: float
    n_requests: int = 0
    spent_usd: float = 0.0
    owed_usd: float = 0.0  # by earlier periods
    cheapest_usd: float = 0.0  # what the cheapest models would have cost
    steered_usd: float = 0.0  # spent by decisions that the guard left alone ...
    steered_curve_usd: float = 0.0  # ... and what the curve expected of them
    scale: float = 1.0  # of costs against the curve, learned in earlier periods
    n_tickets: int = 0  # ever


class BudgetPacer:
    """Paces decisions so that a budget is kept. The only part of a router with a memory; threads may share it.

    Parameters
    ----------
    curve : SpendCurve
        Where to start: `for_router` takes the artifact's.
    budget : PacingBudget
    clock : returns seconds
        Only asked for budgets over time.

    Notes
    -----
    With budget ``B`` for ``N`` requests, ``L = B / N``, after ``n`` requests that spent ``S``, the value of a success
    is the curve's value at the cost ``L + sqrt(n / N) * (n L - S) / max(N - n, 20)``. A model is only chosen if its
    expected cost leaves enough for the remaining requests at the cheapest models' cost (the curve's, moved towards
    what is seen, if dearer, as the period passes), with an overdraft of 0.5 % of the budget; if none is cheap
    enough, the cheapest model is. What cannot be kept: a limit below the cheapest model's cost, or one whose costs
    jump or whose bills arrive when little of the period is left; the next period pays.
    Several processes share a budget by each having its part of it.

    Examples
    --------
    ::

        pacer = BudgetPacer.for_router(router, PacingBudget.per_request(0.002))
        paced = pacer.route(router, "Prove that 17 is prime.")
        answer = call(paced.decision.model)
        pacer.settle(paced.ticket, answer.cost_usd)
    """

    def __init__(self, curve: SpendCurve, budget: PacingBudget, *, clock: Callable[[], float] = time.time) -> None:
        self.curve = curve
        self.budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: OrderedDict[int, float] = OrderedDict()
        self._state = _State(started_s=self._now(), expected_requests=float(budget.n_requests))

    @classmethod
    def for_router(
        cls, router: Router, budget: PacingBudget, *, clock: Callable[[], float] = time.time
    ) -> "BudgetPacer":
        """Start from what the router cost on its training prompts.

        Raises
        ------
        RequestError
            If the router was saved by a release that did not measure it.
        """
        curve = router.artifact.spend_curve
        if curve is None:
            raise RequestError(
                "this router was saved without a spend curve; train it again, or measure one on prompts of yours: "
                "BudgetPacer(SpendCurve.measure(table.p_success, table.expected_cost_usd), budget) with "
                "table = router.predict(prompts)"
            )
        return cls(curve, budget, clock=clock)

    def route(
        self,
        router: Router,
        prompt: PromptLike,
        *,
        quality_bar: float | None = None,
        constraints: Constraints | None = None,
        explain: bool = False,
    ) -> Paced:
        """Decide for one prompt within the budget; see `Router.route` for the arguments and errors.

        It has no target, value or trade-off: the budget sets the value of a success. An explanation is of the paced
        decision; its ``changes`` are None where what is left of the budget ruled a model out, as no value would then
        bring that one back.
        """
        paced, all_fit = self._pace(router.route(prompt, quality_bar=quality_bar, constraints=constraints))
        if not explain:
            return paced
        return replace(paced, decision=_explained(router, prompt, paced.decision, all_fit=all_fit))

    def pace(self, decision: Decision) -> Paced:
        """Rank the plan of a decision anew at the current price of quality, and charge its expected cost.

        Looking, choosing and charging are one step, so concurrent requests cannot spend the same money. A certificate
        and an explanation were of the decision before, and are dropped.
        """
        return self._pace(decision)[0]

    def _pace(self, decision: Decision) -> tuple[Paced, bool]:
        """Return the paced decision, and whether all of its models fit what is left of the budget."""
        p = np.array([[step.cautious_p_success for step in decision.plan]])
        cost = np.array([decision.plan.column("expected_cost_usd")])
        with self._lock:
            self._roll_over(for_request=True)
            value, allowance = self._success_value_usd(), self._allowance_usd()
            ranked = rank_by_budget(
                p, cost, np.ones(p.shape, dtype=bool), success_value_usd=value, allowance_usd=allowance
            )[0]
            steered = ranked[0] == np.argmin(cost[0] - p[0] * value)
            self._state.cheapest_usd += float(cost.min())
            ticket = self._charge(float(cost[0, ranked[0]]), value, steered=bool(steered))
        plan = decision.plan.take(ranked.tolist())
        reason = Reason.ONLY_CANDIDATE if len(plan) == 1 else Reason.BEST_UNDER_BUDGET
        paced = replace(
            decision,
            model=plan.models[0],
            reason=reason,
            plan=plan,
            threshold=None,
            success_value_usd=value,
            certificate=None,
            explanation=None,
        )
        return Paced(paced, ticket), bool((cost <= allowance).all())

    def settle(self, ticket: int, cost_usd: float) -> bool:
        """Replace the expected cost of a decision by what was billed; 0 where the call was not made.

        May come late or never: until then the expected cost stands. It counts in the period that runs when it comes.

        Returns
        -------
        bool
            False, and nothing changes, if the ticket was settled before, or is not known: more than 10,000 others
            were given out since, or the pacer was restarted.

        Raises
        ------
        RequestError
            If the cost is negative or not finite.
        """
        if not 0 <= cost_usd < math.inf:
            raise RequestError(f"cost_usd={cost_usd!r}; expected what the call cost in USD, 0 or more")
        with self._lock:
            expected = self._pending.pop(ticket, None)
            if expected is None:
                return False
            self._state.spent_usd += cost_usd - expected
            self._state.steered_usd += cost_usd - expected
            return True

    @property
    def spent_usd(self) -> float:
        """Spent in this period so far, billed where known and expected elsewhere."""
        with self._lock:
            self._roll_over()
            return self._state.spent_usd

    @property
    def success_value_usd(self) -> float:
        """What the next decision values a success at."""
        with self._lock:
            self._roll_over()
            return self._success_value_usd()

    def export_state(self) -> dict[str, Any]:
        """Return what a restarted pacer needs, as plain JSON types; open tickets stay behind at their expected cost."""
        with self._lock:
            return {"version": _STATE_VERSION, **asdict(self._state)}

    def import_state(self, state: dict[str, Any]) -> None:
        """Continue from `export_state`; the budget and the curve may have changed.

        Raises
        ------
        RequestError
            If the state is damaged; the pacer then stays as it was.
        """
        restored = _State(**_checked(state))
        with self._lock:
            self._state = restored
            self._pending.clear()

    def _now(self) -> float:
        return self._clock() if self.budget.period_s is not None else 0.0

    def _charge(self, expected_usd: float, value: float, *, steered: bool) -> int:
        state = self._state
        state.n_requests += 1
        state.spent_usd += expected_usd
        if steered:
            state.steered_usd += expected_usd
            state.steered_curve_usd += self.curve.cost_at(value)
        state.n_tickets += 1
        self._pending[state.n_tickets] = expected_usd
        if len(self._pending) > _MOST_PENDING:
            self._pending.popitem(last=False)
        return state.n_tickets

    def _progress(self) -> tuple[float, float]:
        """Return the share of the period that has passed, and how many requests it is still expected to bring."""
        state, period = self._state, self.budget.period_s
        if period is None:
            left = self.budget.n_requests - state.n_requests
            return state.n_requests / self.budget.n_requests, float(left)
        passed = min(max((self._now() - state.started_s) / period, 0.0), 1.0)
        rate = (state.n_requests + _RATE_PRIOR * state.expected_requests) / (passed + _RATE_PRIOR)
        return passed, max((1 - passed) * rate, 1.0)

    def _success_value_usd(self) -> float:
        """Return the dual variable: the value of a success that steers to the end of the budget."""
        state = self._state
        passed, left = self._progress()
        budget = self.budget.usd - state.owed_usd
        limit = budget / (state.n_requests + left)
        saved = limit * state.n_requests - state.spent_usd
        target = limit + math.sqrt(passed) * saved / max(left, _LANDING)
        return self.curve.value_at(target / state.scale)

    def _allowance_usd(self) -> float:
        """Return what this request may cost such that the others can still be answered by the cheapest model."""
        state = self._state
        passed, left = self._progress()
        cheapest = self.curve.mean_cost_usd[0] * state.scale
        seen = (state.cheapest_usd + _FLOOR_PRIOR * cheapest) / (state.n_requests + _FLOOR_PRIOR)
        # What is seen counts as far as the period has passed: a stream may begin with its dearest requests.
        reserved = (left - 1) * (cheapest + passed * max(seen - cheapest, 0.0))
        return self.budget.usd * (1 + OVERDRAFT) - state.owed_usd - state.spent_usd - reserved

    def _roll_over(self, *, for_request: bool = False) -> None:
        """Begin a new period where the old one is over: by the clock, or with the request that comes after it."""
        state, period = self._state, self.budget.period_s
        if period is None:
            n_periods = int(for_request and state.n_requests >= self.budget.n_requests)
        else:
            n_periods = max(int((self._now() - state.started_s) // period), 0)
        if not n_periods:
            return
        overspent = state.owed_usd + state.spent_usd - self.budget.usd * n_periods
        self._state = _State(
            started_s=state.started_s + n_periods * (period or 0.0),
            expected_requests=float(state.n_requests) if period and n_periods == 1 else state.expected_requests,
            owed_usd=max(overspent, 0.0),
            scale=_learned_scale(state),
            n_tickets=state.n_tickets,
        )


def _explained(router: Router, prompt: PromptLike, decision: Decision, *, all_fit: bool) -> Decision:
    """Attach the explanation of a paced decision."""
    rule = Rule(None, decision.success_value_usd)
    features = featurise([Prompt.parse(prompt)], router.encoder)
    (explained,) = explain_decisions([decision], features, artifact=router.artifact, catalog=router.catalog, rule=rule)
    if all_fit or explained.explanation is None:
        return explained
    return replace(explained, explanation=replace(explained.explanation, changes=None))


def _learned_scale(state: _State) -> float:
    """Correct the curve's scale halfway to what a period showed."""
    if state.steered_curve_usd <= 0 or state.steered_usd <= 0:
        return state.scale
    learned = math.sqrt(state.scale * state.steered_usd / state.steered_curve_usd)
    return min(max(learned, 1 / _SCALE_LIMIT), _SCALE_LIMIT)


def _checked(state: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `_State`, or refuse what a damaged store gave."""
    if not isinstance(state, dict) or state.get("version") != _STATE_VERSION:
        raise RequestError(f"not the state of a budget pacer, version {_STATE_VERSION}; start without it")
    content = {key: value for key, value in state.items() if key != "version"}
    names = {field.name for field in fields(_State)}
    if set(content) != names:
        raise RequestError(f"pacer state has {sorted(content)}; expected {sorted(names)}; start without it")
    for name, value in content.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        counts = name in {"n_requests", "n_tickets"}
        if not number or (counts and not (isinstance(value, int) and value >= 0)):
            raise RequestError(f"pacer state: {name} is {value!r}; expected a number; start without it")
    if not 1 / _SCALE_LIMIT <= content["scale"] <= _SCALE_LIMIT:
        raise RequestError(f"pacer state: scale is {content['scale']!r}; expected 0.1 to 10; start without it")
    return content
