"""Evaluate a router on the log of another policy: whether it is better than the champion, and whether the log can tell.

The challenger is a saved router. The champion is the policy that wrote the log, without its exploration, or a second
saved router. Exploration costs quality or money, and a challenger would explore, too: compared with the policy as it
ran, every router would look better, even itself. The paired difference is estimated (`offpolicy.estimates`).

- **Unseen prompts.** Prompts that a router was trained on, and their near duplicates, are left out: neither its choices
  nor its predictions may have learned from the row that judges them. They are known by the hashes and sketches that
  each router stores of its training prompts.
- **Support.** A choice that the log could not have made, with propensity 0, has no unbiased estimate. Such logs are
  refused, unless the decisions with support are asked for by name; nothing is clipped.
- **Simplifies.** Routers decide by their own default rule among the models that the request did not exclude. They do
  not keep sessions, and those that did are not in the log that is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.charts import IntervalRow, intervals
from router_model.charts.drawing import Drawing
from router_model.errors import SupportError, TableError
from router_model.router import Router
from router_model.summary import Summarised, Summary
from router_model.training.distributed.prompts import Progress, blocks, featurise_all, no_progress, predict_all
from router_model.training.measuring.evaluate import cheaper_goals, eligible_models, near_seen, seen_before
from router_model.training.measuring.moves import main_move
from router_model.training.measuring.verdict import (
    MARGIN,
    Difference,
    Estimate,
    Finding,
    Verdict,
    comparison_verdict,
    describe,
)
from router_model.training.offpolicy.estimates import (
    Chances,
    LoggedPolicy,
    PairedParts,
    Rewards,
    all_differences,
    anytime_difference,
    dr_value,
    effective_size,
    mean_with_interval,
    paired_parts,
    requests_to_show,
    saving_on_log,
    smallest_shown,
)
from router_model.training.offpolicy.logged import LoggedDecisions, known_costs, nothing_known, read_logged
from router_model.training.table.frames import Table
from router_model.wording import number, percent, usd

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

ENOUGH_ROWS: Final = 150
"""Graded answers of a policy's own choices, where the two disagree, from which on normal intervals hold (measured)."""

SEEN: Final = "that a router was trained on, or nearly"
UNEXPLORED: Final = "the policy of the log, without its exploration"
AS_LOGGED: Final = "the policy of the log, with its exploration"
ANOTHER_ROUTER: Final = "another router"
UNSUPPORTED: Final = "on which a choice had propensity 0"
_WORSE_THAN_CHANCE = 3.3  # standard errors; one check in a thousand is that far off by chance


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much the log says about the choices of the two policies.

    Attributes
    ----------
    share_different : of the decisions, those on which the two choose different models
    n_challenger, n_champion : of these, graded answers by the challenger's and by the champion's choice
    effective_size : of the challenger's weights, over graded answers
    n_graded : graded answers
    largest_weight : of the challenger
    mean_weight : of the challenger; 1, up to chance, if propensities are right
    """

    share_different: float
    n_challenger: int
    n_champion: int
    effective_size: float
    n_graded: int
    largest_weight: float
    mean_weight: Estimate

    @property
    def is_off(self) -> bool:
        """Whether the mean weight is so far from 1 that the propensities cannot be right."""
        return abs(self.mean_weight.value - 1) > _WORSE_THAN_CHANCE / 1.96 * self.mean_weight.half_width

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        names = ("share_different", "n_challenger", "n_champion", "effective_size", "n_graded", "largest_weight")
        return {**{name: getattr(self, name) for name in names}, "mean_weight": self.mean_weight.as_dict()}


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy would have brought, by DR: mean quality, and mean cost in USD."""

    quality: Estimate
    cost_usd: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {"quality": self.quality.as_dict(), "cost_usd": self.cost_usd.as_dict()}


@dataclass(frozen=True, slots=True, repr=False)
class LogEvaluation(Summarised):
    """A challenger and a champion on the log of a policy; differences are the challenger minus the champion.

    Attributes
    ----------
    champion_name : str
    n_logged, n_decisions, n_sessions : decisions of the log, those that are counted, and their sessions
    left_out : reason -> number of decisions
    challenger, champion, as_logged : PolicyValue
        `as_logged` is the policy that wrote the log, with its exploration.
    difference : in quality and cost, by DR, with 95 % intervals for a fixed time
    quality, cost_usd : estimator -> difference
    anytime : Estimate or None
        Of the difference in quality, with an interval that holds however often one looks; None if the log does not have
        the propensities of all models.
    overlap : Overlap
    main_move : (from, to, share) of the most frequent change of the model; None if nothing changes
    by_task : task -> (number of decisions, difference in quality, difference in cost)
    quality_variance : of one decision's part of the difference in quality
    n_to_show_a_point : requests of such exploration that show a difference of a point of quality
    shown : the difference in quality that this log shows in 4 cases of 5
    verdict : Verdict
    """

    champion_name: str
    n_logged: int
    n_decisions: int
    n_sessions: int
    left_out: dict[str, int]
    challenger: PolicyValue
    champion: PolicyValue
    as_logged: PolicyValue
    difference: Difference
    quality: dict[str, Estimate]
    cost_usd: dict[str, Estimate]
    anytime: Estimate | None
    overlap: Overlap
    main_move: tuple[str, str, float] | None
    by_task: dict[str, tuple[int, Estimate, Estimate]]
    n_to_show_a_point: float
    shown: float
    verdict: Verdict

    def summary(self) -> Summary:
        """Return the verdict, and what the two policies would have brought."""
        rows = [
            (
                name,
                number(value.quality.value, value.quality.half_width, digits=4),
                usd(1000 * value.cost_usd.value, 1000 * value.cost_usd.half_width),
            )
            for name, value in (
                ("challenger", self.challenger),
                ("champion", self.champion),
                ("as logged", self.as_logged),
            )
        ]
        return Summary(
            f"Evaluation on {self.n_decisions:,} logged decisions: {self.verdict.sentence}",
            ("by DR, ± 95 %", "quality", "per 1k"),
            rows,
            [f"The champion is {self.champion_name}. They disagree on {percent(self.overlap.share_different)}."],
        )

    def plot(self, *, margin: float = MARGIN, width: int = 640) -> Drawing:
        """Draw the difference in quality by every estimator, with the loss that does not matter; needs ``report``."""
        known = self.quality if self.anytime is None else {**self.quality, "DR, anytime": self.anytime}
        rows = [
            IntervalRow(name, 100 * one.value, *((100 * one.low, 100 * one.high) if isfinite(one.half_width) else ()))
            for name, one in known.items()
        ]
        return Drawing(
            intervals(
                rows or [IntervalRow("the same choices", 0.0)],
                axis="points of quality, challenger - champion",
                description="Difference in quality between challenger and champion, by estimator",
                limits=(-100 * margin,),
                write="{:+.1f}".format,
                width=width,
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON types."""
        return {
            "champion_name": self.champion_name,
            "n_logged": self.n_logged,
            "n_decisions": self.n_decisions,
            "n_sessions": self.n_sessions,
            "left_out": self.left_out,
            "challenger": self.challenger.as_dict(),
            "champion": self.champion.as_dict(),
            "as_logged": self.as_logged.as_dict(),
            "challenger_minus_champion": {
                **self.difference.as_dict(),
                "anytime_quality": None if self.anytime is None else self.anytime.as_dict(),
                "by_estimator": {
                    kind: {name: estimate.as_dict() for name, estimate in found.items()}
                    for kind, found in (("quality", self.quality), ("cost_usd", self.cost_usd))
                },
                "by_task": {
                    task: {"n_decisions": n, "quality": quality.as_dict(), "cost_usd": cost.as_dict()}
                    for task, (n, quality, cost) in self.by_task.items()
                },
            },
            "overlap": self.overlap.as_dict(),
            "main_move": self.main_move,
            "n_to_show_a_point": round(self.n_to_show_a_point),
            "quality_difference_shown": self.shown,
            "verdict": self.verdict.as_dict(),
        }


def evaluate_on_log(
    challenger: Router | str | Path,
    log: Table | LoggedDecisions,
    *,
    against: Router | str | Path | None = None,
    supported_only: bool = False,
    margin: float = MARGIN,
    progress: Progress = no_progress,
) -> LogEvaluation:
    """Estimate what the challenger would have brought on the requests of a log, and how it differs from the champion.

    Parameters
    ----------
    challenger : Router, or its folder
    log : path of a table of ``router-model log export``, a frame of it, or `LoggedDecisions`
    against : the champion, or its folder
        Default: the policy that wrote the log, without its exploration. If the log does not say what that is (an old
        export, or another tool's), the champion is the policy as it ran.
    supported_only : leave out decisions on which a choice had propensity 0, instead of refusing the log
    margin : loss of quality that does not matter for the verdict
    progress : called with the number of decisions that a router made again, and of all

    Raises
    ------
    SupportError
        If a choice had propensity 0, or if the mean weight shows that propensities are missing or wrong.
    TableError
        If no decision is left, or no answer is graded or has a cost.
    """
    log = log if isinstance(log, LoggedDecisions) else read_logged(log)
    n_logged = log.n_logged
    routers = [Router.of(each) for each in (challenger, against) if each is not None]
    log = unseen_by(log, routers)
    models = tuple(dict.fromkeys([*log.outcomes.models, *(model for router in routers for model in router.models)]))
    log = with_models(log, models)
    views = [view_of(router, log, models, progress) for router in routers]
    log, views = supported(log, views, models, supported_only=supported_only)
    name, other = _champion(log, views)
    challenger_policy, champion = (
        LoggedPolicy.choosing(chosen, log.taken, log.propensity_taken, n_models=len(models))
        for chosen in (views[0].chosen, other)
    )
    if name == AS_LOGGED:
        champion = as_logged(log)
    rewards = rewards_of(log, views, routers)
    overlap = _overlap(log, challenger_policy, (views[0].chosen, other), rewards[0])
    if overlap.is_off and np.isnan(log.propensity).any():
        raise SupportError(
            f"the challenger's weights have the mean {overlap.mean_weight.value:.3f}, expected 1: the log could not "
            "have made some of its choices, or propensities are wrong. Export the log again, with those of all models"
        )
    found = _evaluation(log, (challenger_policy, champion), rewards, overlap, n_logged=n_logged, margin=margin)
    names = np.array(models)
    return replace(found, champion_name=name, main_move=main_move(names[other], names[views[0].chosen]))


def _champion(log: LoggedDecisions, views: Sequence["RouterView"]) -> tuple[str, Indices]:
    """Return who the champion is, and its choices."""
    if len(views) > 1:
        return ANOTHER_ROUTER, views[1].chosen
    if (log.preferred >= 0).all():
        return UNEXPLORED, log.preferred
    return AS_LOGGED, np.where(log.preferred >= 0, log.preferred, log.taken)


@dataclass(frozen=True, slots=True)
class RouterView:
    """What a router chooses and predicts on the decisions of a log; columns are those of all models.

    Attributes
    ----------
    chosen : by its default setting
    quality, cost_usd : predicted; NaN for models that the router does not know
    cheaper : position of the dial -> what that cheaper setting chooses
    """

    chosen: Indices
    quality: Float64Array
    cost_usd: Float64Array
    cheaper: Mapping[int, Indices] = field(default_factory=dict)

    def take(self, rows: Indices) -> "RouterView":
        """Return the view of some decisions."""
        cheaper = {position: chosen[rows] for position, chosen in self.cheaper.items()}
        return RouterView(self.chosen[rows], self.quality[rows], self.cost_usd[rows], cheaper)

    @classmethod
    def concatenate(cls, parts: Sequence["RouterView"]) -> "RouterView":
        """Join the views of several parts of a log."""
        chosen, quality, cost = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("chosen", "quality", "cost_usd")
        )
        cheaper = {at: np.concatenate([part.cheaper[at] for part in parts]) for at in parts[0].cheaper}
        return cls(chosen, quality, cost, cheaper)


def view_of(
    router: Router, log: LoggedDecisions, models: Sequence[str], progress: Progress = no_progress
) -> RouterView:
    """Return what a router chooses and predicts on the decisions of a log."""
    parts = (log.take(rows, left_out={}) for rows in blocks(len(log), progress))
    return RouterView.concatenate([_view_of_part(router, part, models) for part in parts])


def _view_of_part(router: Router, log: LoggedDecisions, models: Sequence[str]) -> RouterView:
    outcomes = log.outcomes
    features = featurise_all(outcomes.prompts, router.encoder)
    table = predict_all(router, features, router.artifact.operating_point.quality_bar)
    columns = np.array([models.index(model) for model in router.models])
    eligible = eligible_models(router, outcomes, features, table)
    asked = eligible & ~log.excluded[:, columns]
    eligible = np.where(asked.any(axis=1, keepdims=True), asked, eligible)
    chosen = columns[router.rank(router.rule(), table, eligible)[:, 0]]
    cheaper = {
        position: columns[router.rank(router.rule(goal), table, eligible)[:, 0]]
        for position, goal in cheaper_goals().items()
    }
    quality, cost = np.full((2, len(log), len(models)), np.nan)
    quality[:, columns], cost[:, columns] = table.mean_quality, table.expected_cost_usd
    return RouterView(chosen, quality, cost, cheaper)


def unseen_by(log: LoggedDecisions, routers: Sequence[Router]) -> LoggedDecisions:
    """Return the decisions on prompts that no router was trained on, nor on near duplicates of them.

    Raises
    ------
    TableError
        If none is left.
    """
    prompts = log.outcomes.prompts
    seen = np.zeros(len(log), dtype=np.bool_)
    for router in routers:
        seen |= seen_before(router, prompts) | near_seen(router, prompts)
    rows = np.flatnonzero(~seen)
    if not len(rows):
        raise TableError(
            f"a router was trained on the prompts of all {len(log):,} decisions, or nearly; give a log from after its "
            "training, or train it without a part of the log"
        )
    return log.take(rows, left_out={SEEN: int(seen.sum())})


def with_models(log: LoggedDecisions, models: tuple[str, ...]) -> LoggedDecisions:
    """Add columns for models that the log could not choose: their propensity is 0 where those of all are known.

    `models` begins with those of the log.
    """
    more = models[len(log.outcomes.models) :]
    if not more:
        return log
    none = np.zeros((len(log), len(more)))
    none[np.isnan(log.propensity).any(axis=1)] = np.nan
    return replace(
        log,
        outcomes=log.outcomes.with_models(more),
        propensity=np.hstack([log.propensity, none]),
        excluded=np.hstack([log.excluded, np.zeros(none.shape, dtype=np.bool_)]),
    )


def supported(
    log: LoggedDecisions, views: Sequence[RouterView], models: Sequence[str], *, supported_only: bool
) -> tuple[LoggedDecisions, list[RouterView]]:
    """Return the decisions that the log could have made as the routers do.

    Raises
    ------
    SupportError
        If a choice had propensity 0, and such decisions are not to be left out.
    """
    n = np.arange(len(log))
    missing = np.any([log.propensity[n, view.chosen] == 0 for view in views], axis=0)
    if not missing.any():
        return log, list(views)
    if supported_only and not missing.all():
        rows = np.flatnonzero(~missing)
        return log.take(rows, left_out={UNSUPPORTED: int(missing.sum())}), [view.take(rows) for view in views]
    wanted = np.bincount(views[0].chosen[missing], minlength=len(models))
    most = int(wanted.argmax())
    raise SupportError(
        f"the log could not have made the choice of a router on {missing.sum():,} of {len(log):,} decisions "
        f"({percent(missing.mean())}; on {wanted[most]:,} of them the challenger chooses {models[most]}): their "
        "propensity is 0, and nothing can be estimated of them. Explore wider ('serve --explore-share', "
        "'--explore-max-cost-ratio'), or evaluate the other decisions alone with --supported-only"
    )


def as_logged(log: LoggedDecisions) -> LoggedPolicy:
    """Return the policy that wrote the log: it would have done what was done."""
    n, n_models = log.propensity.shape
    whole = ~np.isnan(log.propensity).any(axis=1, keepdims=True)
    return LoggedPolicy(np.where(whole, np.nan_to_num(log.propensity), np.eye(n_models)[log.taken]), np.ones(n))


def rewards_of(log: LoggedDecisions, views: Sequence[RouterView], routers: Sequence[Router]) -> tuple[Rewards, Rewards]:
    """Return qualities and costs with the predictions of the challenger, or of the champion for models only it knows.

    A model that neither knows, as a retired one, gets the mean over the others of the prompt: any prediction will do
    that did not learn from the row.
    """
    rows = np.arange(len(log))
    predicted = []
    for name in ("quality", "cost_usd"):
        known = getattr(views[0], name)
        for view in views[1:]:
            known = np.where(np.isnan(known), getattr(view, name), known)
        predicted.append(np.where(np.isnan(known), np.nanmean(known, axis=1, keepdims=True), known))
    cost = known_costs(log.outcomes, [router.catalog for router in routers])
    found = log.outcomes.quality[rows, log.taken], cost[rows, log.taken]
    for name, values in zip(("quality", "cost"), found, strict=True):
        if np.isnan(values).all():
            raise nothing_known(name, len(log))
    return Rewards(found[0], predicted[0], log.taken), Rewards(found[1], predicted[1], log.taken)


def _overlap(log: LoggedDecisions, policy: LoggedPolicy, choices: tuple[Indices, Indices], quality: Rewards) -> Overlap:
    chosen, other = choices
    differ = chosen != other
    graded = quality.is_known
    weight = policy.weight[graded]
    return Overlap(
        share_different=float(differ.mean()),
        n_challenger=int((differ & graded & (log.taken == chosen)).sum()),
        n_champion=int((differ & graded & (log.taken == other)).sum()),
        effective_size=effective_size(weight),
        n_graded=int(graded.sum()),
        largest_weight=float(policy.weight.max()),
        mean_weight=mean_with_interval(policy.weight, _session_numbers(log)),
    )


def _session_numbers(log: LoggedDecisions) -> Indices:
    """Return a number of each decision's session, shape (n,); they are sorted often, and names are slow to sort."""
    return np.unique(np.array(log.outcomes.conversation_keys), return_inverse=True)[1]


def _evaluation(
    log: LoggedDecisions,
    policies: tuple[LoggedPolicy, LoggedPolicy],
    rewards: tuple[Rewards, Rewards],
    overlap: Overlap,
    *,
    n_logged: int,
    margin: float,
) -> LogEvaluation:
    (challenger, champion), (quality, cost) = policies, rewards
    sessions = _session_numbers(log)
    n_sessions = int(sessions.max()) + 1
    chances = (Chances.of_quality(log.propensity, quality), Chances.of_cost(log.propensity, cost))
    of_quality, of_cost = (
        all_differences(challenger, champion, each, sessions, drawn)
        for each, drawn in zip(rewards, chances, strict=True)
    )
    values = [
        PolicyValue(*(dr_value(policy, each, sessions, drawn) for each, drawn in zip(rewards, chances, strict=True)))
        for policy in (challenger, champion, as_logged(log))
    ]
    difference = Difference(
        quality=of_quality["DR"],
        saving=saving_on_log(challenger, champion, cost, sessions, chances[1]),
        n_prompts=len(log),
        n_independent=n_sessions,
        same_choices=bool((challenger.probabilities == champion.probabilities).all()),
        saved_usd=Estimate(-of_cost["DR"].value, -of_cost["DR"].high, -of_cost["DR"].low),
    )
    variance = len(log) * (difference.quality.half_width / 1.96) ** 2
    n_asked = log.n_read / len(log)
    return LogEvaluation(
        champion_name="",
        n_logged=n_logged,
        n_decisions=len(log),
        n_sessions=n_sessions,
        left_out=dict(log.left_out),
        challenger=values[0],
        champion=values[1],
        as_logged=values[2],
        difference=difference,
        quality=of_quality,
        cost_usd=of_cost,
        anytime=_anytime(log, challenger, champion, quality),
        overlap=overlap,
        main_move=None,
        by_task=_by_task(
            log, *(paired_parts(challenger, champion, *each) for each in zip(rewards, chances, strict=True))
        ),
        n_to_show_a_point=n_asked * requests_to_show(variance),
        shown=smallest_shown(variance, len(log)),
        verdict=_verdict(difference, overlap, n_read=log.n_read, margin=margin),
    )


def _anytime(
    log: LoggedDecisions, challenger: LoggedPolicy, champion: LoggedPolicy, quality: Rewards
) -> Estimate | None:
    if np.isnan(log.propensity).any():
        return None
    differ = (challenger.probabilities != champion.probabilities).any(axis=1)
    if not differ.any():
        return Estimate(0.0, 0.0, 0.0)
    largest = max(
        float(
            np.divide(
                policy.probabilities,
                log.propensity,
                out=np.zeros_like(log.propensity),
                where=differ[:, None] & (policy.probabilities > 0),
            ).max()
        )
        for policy in (challenger, champion)
    )
    return anytime_difference(challenger, champion, quality, largest_weight=largest)


def _by_task(
    log: LoggedDecisions, of_quality: PairedParts, of_cost: PairedParts
) -> dict[str, tuple[int, Estimate, Estimate]]:
    tasks, sessions = np.array(log.outcomes.tasks), _session_numbers(log)
    found = {}
    for task in sorted(set(tasks.tolist()) - {""}):
        rows = np.flatnonzero(tasks == task)
        quality, cost = (each.mean(sessions[rows], rows) for each in (of_quality, of_cost))
        found[task] = (len(rows), quality, cost)
    return found


def _verdict(difference: Difference, overlap: Overlap, *, n_read: int, margin: float) -> Verdict:
    """Return a verdict; where few answers stand for many, the interval is too narrow, and the log cannot tell."""
    names = {"first": "the champion", "second": "the challenger"}
    verdict = comparison_verdict(difference, margin=margin, **names)
    n_own = min(overlap.n_challenger, overlap.n_champion)
    if n_own < ENOUGH_ROWS and overlap.share_different > 0:
        n_more = n_read * (ENOUGH_ROWS / n_own - 1) if n_own else None
        why = f"where they disagree, it has {n_own:,} graded answers of one of them, and it takes {ENOUGH_ROWS}"
    elif verdict.finding is Finding.UNCLEAR:
        n_more = None if verdict.n_more is None else verdict.n_more * n_read / difference.n_prompts
        why = f"the challenger {describe(difference)}"
    else:
        return verdict
    return cannot_tell(verdict, n_more, why)


def cannot_tell(verdict: Verdict, n_more: float | None, why: str) -> Verdict:
    """Return the verdict of a log that cannot tell, and how many more requests would."""
    many = "very many" if n_more is None else f"about {float(f'{n_more:.2g}'):,.0f}"
    return replace(
        verdict,
        finding=Finding.UNCLEAR,
        sentence=f"this log cannot tell: {many} more requests of such exploration would ({why})",
        n_more=None if n_more is None else round(float(f"{n_more:.2g}")),
    )
