"""Print the explanation of a decision in the terminal, for ``router-model route --explain``."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router_model.decision import Decision
from router_model.explanation_records import Changes, CostGap, Explanation, LoggedOutcome, Neighbour, SuccessExplanation
from router_model.terminal import figures_table
from router_model.wording import percent, usd

_SHOWN_ID = 10  # characters of an id before a text
_OTHER_COLUMNS = 49  # characters left of the logged prompts
_LEAST_CHARS = 24  # least characters of a logged prompt, however narrow the terminal
_SHOWN_LOG_ODDS = 0.005  # smaller contributions are not shown
_ROLES = ("chosen", "runner-up")
_IN_WORDS = {
    "record": "trees, against the record",
    "similar_prompts": "similar logged prompts",
    "learned_scores": "learned scores",
    "difficulty": "mean over all models",
    "familiarity": "familiarity",
    "surface": "surface of the text",
}


def show_explanation(decision: Decision, explanation: Explanation, console: Console) -> None:
    """Print the explanation of a decision."""
    models = [step.model for step in decision.plan[:2]]
    console.print()
    console.print(escape(_heading(models)))
    console.print()
    if explanation.neighbours:
        room = max(console.width - _OTHER_COLUMNS, _LEAST_CHARS)
        console.print(_neighbours(explanation.neighbours, models, room))
    told = [success for success in (explanation.chosen, explanation.runner_up) if success is not None]
    if told:
        console.print()
        console.print(_contributions(told))
        for feature in (found for found in told[0].surface if abs(found.log_odds) >= _SHOWN_LOG_ODDS):
            said = f"  {feature.log_odds:+.2f} {feature.name}: {feature.meaning}"
            console.print(escape(said), style="dim")
    if explanation.cost is not None:
        console.print()
        console.print(escape(_cost(explanation.cost, *models)))
    if explanation.changes is not None:
        console.print(escape(_changes(explanation.changes, models[1])))


def _heading(models: list[str]) -> str:
    chosen, *others = models
    return f"Why {chosen}, and not {others[0]} (the runner-up)" if others else f"Why {chosen}, the only candidate"


def _neighbours(neighbours: tuple[Neighbour, ...], models: list[str], room: int) -> Table:
    table = figures_table("nearest logged prompts", "similarity", *_ROLES[: len(models)], "all models")
    for near in neighbours:
        by_model = {outcome.model: outcome for outcome in near.outcomes}
        known = [outcome.success for outcome in near.outcomes if outcome.success is not None]
        table.add_row(
            escape(_named(near, room)),
            f"{near.similarity:.2f}",
            *(_outcome(by_model.get(model)) for model in models),
            f"{sum(known)} of {len(known)} succeed",
        )
    return table


def _named(near: Neighbour, room: int) -> str:
    name = near.prompt_id or "(no id stored)"
    if near.text is None:
        return name
    short = f"{name[: _SHOWN_ID - 1]}…" if len(name) > _SHOWN_ID else name
    said = f"{short}: {' '.join(near.text.split())}"
    return f"{said[: room - 1]}…" if len(said) > room else said


def _outcome(outcome: LoggedOutcome | None) -> str:
    if outcome is None or outcome.quality_from is None:  # an announced model has no outcomes
        return "not tried"
    return {True: "succeeds", False: "fails", None: "near the bar"}[outcome.success]


def _contributions(told: list[SuccessExplanation]) -> Table:
    table = figures_table("log odds of success", *_ROLES[: len(told)])
    table.add_row("overall record", *(f"{s.record_log_odds:.2f} ({percent(s.record)})" for s in told))
    table.add_row("calibration of it", *(f"{s.calibration:+.2f}" for s in told))
    for each in zip(*(success.contributions for success in told), strict=True):
        table.add_row(_IN_WORDS[each[0].source], *(f"{contribution.log_odds:+.2f}" for contribution in each))
    table.add_row("together", *(f"{s.log_odds:.2f} ({percent(s.p_success, digits=1)})" for s in told), style="bold")
    return table


def _cost(gap: CostGap, chosen: str, runner_up: str) -> str:
    more = "more" if gap.difference_usd > 0 else "less"
    return (
        f"{chosen} is expected to cost {usd(abs(gap.difference_usd))} {more} than {runner_up}: "
        f"{_signed(gap.from_prices_usd)} by prices, {_signed(gap.from_tokens_usd)} by tokens."
    )


def _signed(amount_usd: float) -> str:
    return f"+{usd(amount_usd)}" if amount_usd > 0 else usd(amount_usd)


def _changes(changes: Changes, runner_up: str) -> str:
    said = list(_conditions(changes))
    if not said:
        return f"No single change of price, probability or knob would put {runner_up} first."
    return f"{runner_up} would be first if {', or '.join(said)}."


def _conditions(changes: Changes) -> Iterator[str]:
    for what, value in (("a success", changes.success_value_usd), ("quality 1", changes.quality_value_usd)):
        if value is not None:
            side = "more" if value.direction == "above" else "less"
            yield f"{what} were worth {side} than ${value.flips_at:.3g} (now ${value.now:.3g})"
    threshold, factor = changes.threshold, changes.cost_factor
    if threshold is not None:
        side = "above" if threshold.direction == "above" else "at most"
        yield f"the threshold were {side} {threshold.flips_at:.4g} (now {threshold.now:.4g})"
    for what, p in (("P(success)", changes.p_success), ("expected quality", changes.expected_quality)):
        if p is not None:
            yield f"its {what} were above {p.flips_at:.4g} (now {p.now:.4g})"
    if factor is not None:
        yield f"its prices were under {percent(factor.flips_at, digits=1)} of today's"
