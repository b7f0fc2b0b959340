"""The tables of a benchmark as cells of plain text, for the HTML report and the terminal.

This module decides which figures stand in which column. It does not escape text and knows no markup.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from router_model.pages.blocks import Cell, Column, Row, Table
from router_model.training.benchmark.glossary import GLOSSARY, NOT_DEFINED, Term
from router_model.training.benchmark.margins import by_margin, null_of
from router_model.training.benchmark.results import MethodResult, Results
from router_model.training.benchmark.verdicts import LEARNED_KINDS, Verdict, comparisons, mean, ranked

CHOSEN = ("chosen_saving", "chosen_quality_kept", "chosen_saving_95", "chosen_quality_kept_95", "robustness")
"""Metrics of configurations chosen on validation, which are what a user gets."""

TWO_MODELS = ("apgr", "cpt_50", "cpt_80")


_METHOD = Column("method", numeric=False)


def metric_columns(keys: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of metrics, with their meanings."""
    return tuple(Column(GLOSSARY[key].head, GLOSSARY[key].meaning) for key in keys)


def metric_cells(results: Results, method: MethodResult, keys: Iterable[str]) -> tuple[Cell, ...]:
    """Return a method's metrics; the best learned method of each is marked."""
    return tuple(_metric_cell(results, method, GLOSSARY[key]) for key in keys)


def _metric_cell(results: Results, method: MethodResult, term: Term) -> Cell:
    interval, n_trials = method.metrics.get(term.key), len(results.trials)
    text = term.write_beside_null(method.metrics, n_trials)
    note = ""
    if interval is not None and interval.value is not None:
        if interval.low is not None and interval.high is not None:
            note = f"95 % interval {term.write(interval.low)} to {term.write(interval.high)}"
        if interval.n_trials < n_trials:
            reached = "reached" if term.may_not_be_reached else "defined"
            note = f"{reached} in {interval.n_trials} of {n_trials} trials" + (f"; {note}" if note else "")
    elif term.may_not_be_reached and interval is not None:
        text = "not reached"
    return Cell(text, note, "best" if _is_best(results, method, term) else "")


def _is_best(results: Results, method: MethodResult, term: Term) -> bool:
    """Return whether this is a learned method that no other learned method beats, in the figures as shown."""
    value = mean(method, term.key)
    if value is None or method.kind not in LEARNED_KINDS:
        return False
    learned = [each for each in results.methods if each.kind in LEARNED_KINDS]
    best = mean(ranked(learned, term.key)[0], term.key)
    return best is not None and term.write(value) == term.write(best)


def best_on_test(results: Results, wanted: Sequence[str], *, times: bool = False) -> Table:
    """Tabulate metrics of every method by AIQ, with configurations chosen on test prompts, as in papers.

    Parameters
    ----------
    wanted : metrics; those that no method has are left out
    times : whether to add how long each method takes
    """
    keys = present(results, wanted)
    columns = (_METHOD, Column("kind", numeric=False), *metric_columns(keys), *(_TIMES if times else ()))
    rows = (
        Row((*_named(method), *metric_cells(results, method, keys), *(_times(method) if times else ())), method.kind)
        for method in ranked(results.methods)
    )
    return Table(columns, tuple(rows))


_TIMES = (
    Column("fit, s", "Seconds to learn and to choose, mean over trials."),
    Column("decide, ms", "Milliseconds a prompt, in a batch, mean over trials."),
)


def _times(method: MethodResult) -> tuple[Cell, Cell]:
    n_trials = max(len(method.trials), 1)
    fit = sum(trial.fit_s for trial in method.trials) / n_trials
    decide = sum(trial.decide_ms for trial in method.trials) / n_trials
    return Cell(f"{fit:,.1f}"), Cell(f"{decide:.3f}")


def _named(method: MethodResult) -> tuple[Cell, Cell]:
    return Cell(method.name, f"{method.origin}; configurations: {method.knob}"), Cell(method.kind)


def chosen_on_validation(results: Results) -> Table:
    """Tabulate every method by AIQ, with the configuration chosen on validation and measured on test prompts."""
    keys = present(results, CHOSEN)
    columns = (_METHOD, Column("kind", numeric=False), *metric_columns(keys), *_REALISED)
    rows = (
        Row((*_named(method), *metric_cells(results, method, keys), *_realised(method)), method.kind)
        for method in ranked(results.methods)
    )
    return Table(columns, tuple(rows))


_REALISED = (
    Column("quality", "Mean quality on test of the configuration chosen to have the best single model's quality."),
    Column("success", "Share of test prompts that met the quality bar with it."),
    Column("USD per 1,000", "Mean cost of 1,000 test prompts with it."),
)


def _realised(method: MethodResult) -> tuple[Cell, ...]:
    chosen = [trial.chosen for trial in method.trials]
    if not chosen:
        return (Cell(NOT_DEFINED),) * len(_REALISED)
    quality = sum(each.quality for each in chosen) / len(chosen)
    success = sum(each.success for each in chosen) / len(chosen)
    cost = sum(each.cost_usd for each in chosen) / len(chosen)
    return Cell(f"{quality:.4f}"), Cell(f"{success:.4f}"), Cell(f"{cost * 1000:,.4f}")


def two_models(results: Results) -> Table | None:
    """Tabulate the metrics that are defined for two models only; None if no method has them."""
    keys = present(results, TWO_MODELS)
    if not keys:
        return None
    rows = (Row((*_named(m), *metric_cells(results, m, keys)), m.kind) for m in ranked(results.methods))
    return Table((_METHOD, Column("kind", numeric=False), *metric_columns(keys)), tuple(rows))


def differences(results: Results, metric: str) -> Table:
    """Tabulate our method minus each other one in one metric, beginning with the best other method."""
    better = "lower is better" if GLOSSARY[metric].lower_is_better else "higher is better"
    columns = (
        Column("rival", numeric=False),
        Column("difference", f"Ours minus the rival; {better}. {GLOSSARY[metric].meaning}"),
        Column("95 % interval", "Paired bootstrap over test prompts."),
        Column("ours is", "Within noise: the interval holds 0.", numeric=False),
    )
    rows = []
    for found in comparisons(results, metric):
        term, difference = found.term, found.difference
        value = NOT_DEFINED if difference.value is None else term.write_change(difference.value)
        bounds = term.write_bounds(difference).strip() or NOT_DEFINED
        cells = Cell(found.rival.name), Cell(value), Cell(bounds), Cell(found.verdict, mark=_CLASS[found.verdict])
        rows.append(Row(cells, found.rival.kind))
    return Table(columns, tuple(rows))


_CLASS: Mapping[Verdict, str] = {
    Verdict.AHEAD: "ahead",
    Verdict.BEHIND: "behind",
    Verdict.NOISE: "noise",
    Verdict.UNTESTED: "noise",
}


def shift(results: Results) -> Table:
    """Tabulate the margins of learned methods over the static mix of single models, over trials with tasks left out."""
    columns = (
        _METHOD,
        Column("kind", numeric=False),
        Column("mean margin", "AIQ minus that of the single models' hull, mean over the tasks left out."),
        Column("null", GLOSSARY["aiq_null"].meaning),
        Column("tasks below", "Tasks on which the method loses to the static mix of single models."),
        Column("worst margin", "The least margin over tasks."),
        Column("worst task", numeric=False),
    )
    rows = (
        Row((*_named(method), *_margin_cells(margins, null_of(method))), method.kind)
        for method, margins in by_margin(results)
    )
    return Table(columns, tuple(rows))


def _margin_cells(margins: Mapping[str, float], null: float | None) -> tuple[Cell, ...]:
    worst = min(margins, key=lambda trial: margins[trial])
    below = sum(margin < 0 for margin in margins.values())
    return (
        Cell(f"{fmean(margins.values()):+.4f}"),
        Cell(GLOSSARY["aiq_null"].write(null)),
        Cell(f"{below} of {len(margins)}"),
        Cell(f"{margins[worst]:+.4f}"),
        Cell(worst),
    )


def present(results: Results, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that at least one method has."""
    return tuple(key for key in keys if any(mean(method, key) is not None for method in results.methods))


def facts(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten JSON types into lines of names and values.

    Examples
    --------
    >>> list(facts({"table": {"n_prompts": 12002}, "seeds": [0, 1]}))
    [('table, n prompts', '12,002'), ('seeds', '0, 1')]
    """
    for key, value in document.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from facts(value, f"{name}, ")
        else:
            yield name, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NOT_DEFINED}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_said(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
