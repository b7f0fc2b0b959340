"""Write the HTML report of a benchmark: one file that loads nothing and runs no script (`router_model.pages`)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from router_model.pages.blocks import (
    Beside,
    Block,
    Bullets,
    Code,
    Facts,
    Folded,
    Number,
    Numbers,
    Page,
    Paragraph,
    Section,
    Table,
    Verdict,
)
from router_model.pages.render import render
from router_model.training.benchmark.glossary import GLOSSARY, HEADLINE
from router_model.training.benchmark.margins import is_shift, shift_summary
from router_model.training.benchmark.report import figures, tables
from router_model.training.benchmark.results import Interval, MethodResult, Results
from router_model.training.benchmark.verdicts import comparisons, ours, summary
from router_model.wording import percent, usd

ROUTING = ("aiq", "aiq_gain", "aiq_log", "perf_gain", "cost_save", "cost_save_95", "pareto_distance", "arena_score")
_PREDICTING = (
    "auc",
    "log_loss",
    "brier",
    "calibration_error",
    "excess_calibration_error",
    "cost_error",
    "tokens_error",
)
_NOISE = (
    "Learned methods are those that tell prompts apart; published packages count among them. A difference is "
    "within noise where its 95 % interval holds 0. Each interval stands alone: of twenty comparisons with nothing "
    "between them, one is expected to fall outside."
)


def write_html(results: Results, path: Path, *, shift: Results | None = None) -> None:
    """Write the report.

    Parameters
    ----------
    results : results over seeds, or over tasks left out
    path : the file
    shift : results over tasks left out, shown in addition to `results`
    """
    path.write_text(render_html(results, shift=shift), encoding="utf-8")


def render_html(results: Results, *, shift: Results | None = None) -> str:
    """Return the report as one HTML document; see `write_html`."""
    return render(benchmark_page(results, results if is_shift(results) else shift))


def benchmark_page(results: Results, shift: Results | None) -> Page:
    """Return the report as a page; `shift` has the results over tasks left out, which may be the same."""
    n = len(results.trials)
    took = f", {results.seconds:.0f} seconds" if results.seconds else ""
    sections = (
        Section("", _summary(results, shift)),
        Section("Cost and quality", figures.frontier_figures(results)),
        Section("Chosen on validation", _chosen(results)),
        Section("Best on test", _best(results)),
        Section("Paired differences", _differences(results)),
        Section("Reliability", _beside(figures.reliability_figures(results))),
        Section("Savings by task", _savings(results)),
        Section("Decision shares", (figures.shares_figure(results),)),
        Section("Shift", () if shift is None else _shift(shift, is_all=shift is results)),
        Section("Two models", _two_models(results)),
        Section("Leakage audit", _leakage(results)),
        Section("Methods not run", (Facts(tuple(results.not_run.items())),) if results.not_run else ()),
        Section("Setting and versions", _setting(results)),
        Section("Glossary", (Facts(_glossary(results)),)),
    )
    lead = f"Routing methods side by side: the same prompts, vectors and metrics. {n} trial{'s' * (n != 1)}{took}."
    return Page(results.title, lead, tuple(section for section in sections if section.blocks))


def _summary(results: Results, shift: Results | None) -> tuple[Block, ...]:
    first, *others = [*summary(results), *([] if shift is None else shift_summary(shift))]
    reference = ours(results)
    numbers = () if reference is None else _money(reference)
    return (
        Verdict(first),
        *([Numbers(numbers)] if numbers else []),
        Bullets(tuple(others)),
        Paragraph(_NOISE, soft=True),
    )


def _money(reference: MethodResult) -> tuple[Number, ...]:
    """Return what our chosen configuration costs and saves, in dollars."""
    costs = figures.chosen_cost(reference)
    saving, kept = (reference.metrics.get(key) for key in ("chosen_saving", "chosen_quality_kept"))
    if costs is None or saving is None or saving.value is None:
        return ()
    found = [
        Number(
            usd(costs["best"] - costs["own"]),
            "Saved per 1,000 prompts, against the best single model",
            f"{GLOSSARY['chosen_saving'].write(saving.value)}{_between(saving)} of {usd(costs['best'])}",
            "good" if (saving.low or 0.0) > 0 else "neutral",
        )
    ]
    if kept is not None and kept.value is not None:
        term = GLOSSARY["chosen_quality_kept"]
        found.append(
            Number(term.write(kept.value), "Quality kept of the best single model's", _between(kept).strip(" ()"))
        )
    return tuple(found)


def _between(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f" (95 %: {percent(interval.low, digits=1)} to {percent(interval.high, digits=1)})"


def _chosen(results: Results) -> tuple[Block, ...]:
    return (
        Paragraph(
            "What a user gets: the cheapest configuration that, on validation prompts, had the best single model's "
            "quality (or 95 % of it; where none had, the one with the highest quality), realised on test prompts."
        ),
        replace(
            tables.chosen_on_validation(results),
            caption="Saving and quality kept are against the single model that was best on validation.",
        ),
    )


def _best(results: Results) -> tuple[Block, ...]:
    caption = (
        "Means over trials, by AIQ; bold: the best learned method. * in some trials only, - not defined. Point at a "
        "number for its interval, at a head for its meaning."
    )
    return (
        Paragraph("Configurations are picked on the test prompts, as papers do: comparable, but not what a user gets."),
        replace(tables.best_on_test(results, ROUTING), caption=f"Routing. {caption}"),
        replace(tables.best_on_test(results, _PREDICTING, times=True), caption="Predictions, and the time they take"),
    )


def _differences(results: Results) -> tuple[Block, ...]:
    metrics = [metric for metric in HEADLINE if comparisons(results, metric)]
    return tuple(
        block
        for metric in metrics
        for block in (
            figures.differences_figure(results, metric),
            Folded(
                f"{GLOSSARY[metric].label}: the numbers",
                (
                    replace(
                        tables.differences(results, metric), caption=f"{GLOSSARY[metric].label}, ours minus each rival"
                    ),
                ),
            ),
        )
    )


def _savings(results: Results) -> tuple[Block, ...]:
    reference = ours(results)
    drawn = () if reference is None else figures.savings_figures(figures.task_savings(reference))
    if not drawn or reference is None:
        return ()
    said = f"{reference.name}, as chosen on validation, against the single model that was best on validation."
    return (Paragraph(said), *_beside(drawn))


def _shift(shift: Results, *, is_all: bool) -> tuple[Block, ...]:
    others = "" if is_all else "The sections above are in distribution. "
    return (
        Paragraph(
            f"Each task in turn is kept from training and tested on. {others}The line to beat is the static mix of "
            "single models: a margin below 0 loses to doing nothing clever."
        ),
        *_beside(figures.shift_figures(shift)),
        replace(tables.shift(shift), caption="Learned methods, by mean margin over the tasks left out"),
    )


def _two_models(results: Results) -> tuple[Block, ...]:
    found = tables.two_models(results)
    if found is None:
        return ()
    return (replace(found, caption="RouteLLM's metrics, defined between a weak and a strong model only"),)


def _leakage(results: Results) -> tuple[Block, ...]:
    facts = tuple(tables.facts(results.leakage))
    if not facts:
        return (Paragraph("No audit was made."),)
    return (Paragraph("Prompts of the test side that the training side holds too, exactly or nearly:"), Facts(facts))


def _setting(results: Results) -> tuple[Block, ...]:
    command = str(results.provenance.get("command", ""))
    facts = tuple(fact for fact in tables.facts(results.provenance) if fact[0] != "command")
    settings = [
        (method.name, trial.trial, "; ".join(f"{name} {said}" for name, said in tables.facts(trial.settings)))
        for method in results.methods
        for trial in method.trials
        if trial.settings
    ]
    folded = Folded("Hyperparameters chosen on validation", (Table.of(("method", "trial", "chosen"), settings),))
    return (*([Code(command)] if command else []), Facts(facts), _trials(results), *([folded] if settings else []))


def _trials(results: Results) -> Table:
    rows = []
    for trial in results.trials:
        counts = [f"{n:,}" for n in (trial.n_train, trial.n_validation, trial.n_test)]
        best = [[one.model, f"{one.quality:.4f}", usd(1000 * one.cost_usd)] for one in trial.singles[:1]]
        rows.append([trial.name, *counts, *(best[0] if best else [])])
    heads = ("trial", "train", "validation", "test", "best single model", "quality", "$ per 1,000")
    return Table.of(heads, rows, "Trials")


def _glossary(results: Results) -> tuple[tuple[str, str], ...]:
    terms = [GLOSSARY[key] for key in tables.present(results, tuple(GLOSSARY))]
    return tuple(
        (term.label, f"{term.meaning} {'Lower' if term.lower_is_better else 'Higher'} is better.") for term in terms
    )


def _beside(blocks: Sequence[Block]) -> tuple[Block, ...]:
    return (Beside(tuple(blocks)),) if blocks else ()
