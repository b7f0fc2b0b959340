"""The report on a router as a page: the first screen, and what an engineer wants to know after it."""

from collections.abc import Mapping

from router_model.charts import CostPoint, frontier, intervals, shares
from router_model.charts.intervals import IntervalRow
from router_model.charts.names import short_model
from router_model.charts.scatter import PointKind
from router_model.pages.blocks import (
    Beside,
    Block,
    Bullets,
    Code,
    Facts,
    Figure,
    Folded,
    Page,
    Paragraph,
    Section,
    Table,
)
from router_model.saving import saving_cell
from router_model.training.measuring.evaluate import CHEAPER_POSITIONS
from router_model.training.measuring.evaluation import Evaluation
from router_model.training.measuring.verdict import Difference
from router_model.training.offpolicy.evaluate_on_log import PolicyValue
from router_model.training.offpolicy.savings import Ledger
from router_model.training.reporting.drift_page import drift_blocks
from router_model.training.reporting.figures import by_task_figures, reliability_figure, router_frontier
from router_model.training.reporting.first_screen import first_screen
from router_model.training.reporting.report import Report
from router_model.training.reporting.wording import margin_points, points_between, saving_between
from router_model.wording import number, percent, points, sentence, usd

_PER_1000 = 1000
_METRICS = (
    ("AUC", "auc"),
    ("log-loss", "log_loss"),
    ("calibration error", "calibration_error"),
    ("AIQ", "aiq"),
    ("AIQ gain over single models", "aiq_gain"),
    ("the gain that needs no knowledge of quality", "aiq_null"),
)


def report_page(report: Report, *, name: str, command: str = "") -> Page:
    """Return the page of a report.

    Parameters
    ----------
    name : of the router
    command : that makes the page again
    """
    sections = [
        first_screen(report),
        Section("Cost and quality", _settings(report)),
        Section("By task", _by_task(report)),
        Section("Which model answers", _models(report)),
        Section("Where it goes wrong", _failing(report)),
        Section("Can the probabilities be trusted", _reliability(report)),
        Section("What is promised", _certificates(report)),
        Section("Prices and models", _prices(report)),
        Section("How it was measured", _measured(report, command)),
    ]
    lead = f"Router `{name}`, measured on {report.source}."
    return Page("What routing is worth", lead, tuple(section for section in sections if section.blocks))


def _settings(report: Report) -> tuple[Block, ...]:
    if report.evaluation is not None:
        return _of_table(report, report.evaluation)
    return () if report.ledger is None else _of_log(report, report.ledger)


def _of_table(report: Report, evaluation: Evaluation) -> tuple[Block, ...]:
    return (
        Figure(
            lambda width: router_frontier(evaluation, width=width),
            "The line is what the router brings as an answer is worth little to much, found in hindsight. "
            "The filled diamond is its setting as trained; hollow ones are cheaper settings, which a request can ask "
            "for. Bars are 95 % intervals of the difference to the best single model. Circles are models that answer "
            "everything; the dashed line mixes them by lot. The cost axis is logarithmic.",
        ),
        _settings_table(report, evaluation.cheaper),
        Folded("What could have been kept for how much, in hindsight", (_hindsight(evaluation),)),
    )


def _settings_table(report: Report, cheaper: Mapping[int, Difference]) -> Table:
    settings = {"as trained": report.against_best}
    settings |= {f"position {position} of 10": difference for position, difference in cheaper.items()}
    rows = []
    for name, difference in settings.items():
        saved = 0.0 if difference.saved_usd is None else difference.saved_usd.value
        cost = usd((report.best_cost_usd - saved) * _PER_1000)
        saving = saving_cell(difference.saving.value), saving_between(difference.saving).removeprefix("95 %: ")
        quality = points(difference.quality.value), points_between(difference.quality).removeprefix("95 %: ")
        rows.append((name, cost, *saving, *quality))
    return Table.of(
        ("setting", "$ per 1,000", "saves", "95 %", "quality", "95 %"),
        rows,
        f"Settings against {report.best}. A request asks for one with `cost_quality_tradeoff`.",
    )


def _hindsight(evaluation: Evaluation) -> Block:
    rows = [
        (
            f"{percent(tradeoff.share)} of the best model's quality",
            "not at any setting" if tradeoff.saving is None else saving_cell(tradeoff.saving),
            "-" if tradeoff.quality_value_usd is None else f"{tradeoff.quality_value_usd:g}",
        )
        for tradeoff in evaluation.tradeoffs
    ]
    return Table.of(("kept", "saved", "--quality-value-usd"), rows)


def _of_log(report: Report, ledger: Ledger) -> tuple[Block, ...]:
    found = [_point(short_model(model), value, "single") for model, value in ledger.singles.items()]
    found += [_point(f"position {position}", value, "option") for position, (value, _) in ledger.cheaper.items()]
    found.append(_point("the router", ledger.routed, "router"))
    if report.on_log is not None:
        found.append(_point("today", report.on_log.as_logged, "candidate"))
    unknown = [f"Nothing can be said of `{model}`: {why}." for model, why in ledger.unknown.items()]
    unknown += [
        f"Nothing can be said of position {position} of 10: the log could not have made some of its choices."
        for position in CHEAPER_POSITIONS
        if position not in ledger.cheaper
    ]
    cheaper = {position: difference for position, (_, difference) in ledger.cheaper.items()}
    figure = Figure(
        lambda width: frontier(found, width=width, height=380),
        "What the router would have brought, what the service did, and what each model alone would have brought, "
        "estimated from explored choices (doubly robust), with 95 % intervals. The filled diamond is the router's "
        "setting as trained; hollow ones are cheaper settings. The cost axis is logarithmic.",
    )
    return (figure, _settings_table(report, cheaper), *([Bullets(tuple(unknown))] if unknown else []))


def _point(label: str, value: PolicyValue, kind: PointKind) -> CostPoint:
    quality, cost = value.quality, max(value.cost_usd.value, 0.0)
    return CostPoint(label, cost, quality.value, quality.low, quality.high, kind=kind, needed=kind != "single")


def _by_task(report: Report) -> tuple[Block, ...]:
    if report.tasks is not None and report.tasks.shown:
        left = report.tasks.n_left_out
        note = f" {left:,} prompts are not shown: they have no task, or their tasks are too small." if left else ""
        rows = [
            (
                one.task, f"{one.difference.n_prompts:,}", saving_cell(one.difference.saving.value),
                saving_between(one.difference.saving).removeprefix("95 %: "), points(one.difference.quality.value),
                points_between(one.difference.quality).removeprefix("95 %: "),
            )
            for one in report.tasks.shown
        ]  # fmt: skip
        heads = ("task", "prompts", "saves", "95 %", "quality", "95 %")
        return (
            Beside(by_task_figures([(one.task, one.difference) for one in report.tasks.shown])),
            Paragraph(
                f"Against {report.best} on the same prompts. Tasks with fewer than 30 independent prompts are taken "
                f"together. Of many tasks, one in twenty lies outside its interval by chance.{note}",
                soft=True,
            ),
            Folded("The numbers", (Table.of(heads, rows),)),
        )
    if report.on_log is not None and report.on_log.by_task and not report.on_log.difference.same_choices:
        shown = sorted(report.on_log.by_task.items(), key=lambda one: -one[1][0])[:15]
        rows_of_log = [
            IntervalRow(f"{task} ({n:,})", 100 * quality.value, 100 * quality.low, 100 * quality.high)
            for task, (n, quality, _) in shown
        ]
        return (
            Figure(
                lambda width: intervals(
                    rows_of_log, axis="points of quality, the router minus the policy of the log",
                    description="Difference in quality on each task", write="{:+.1f}".format, width=width,
                ),
                "Difference in quality on each task, with 95 % intervals; in brackets the number of decisions.",
            ),
        )  # fmt: skip
    return ()


def _models(report: Report) -> tuple[Block, ...]:
    if report.evaluation is not None:
        evaluation = report.evaluation
        cheapest = [one.label for one in sorted(evaluation.singles, key=lambda one: one.cost_usd)]
        rows = [
            (
                single.label + (" (best)" if single.label == report.best else ""), f"{single.quality:.3f}",
                usd(single.cost_usd * _PER_1000), percent(evaluation.shares[single.label]),
                saving_cell(evaluation.savings[single.label]),
            )
            for single in evaluation.singles
        ]  # fmt: skip
        heads = ("every prompt to", "quality", "$ per 1,000", "gets", "router saves")
        return (
            Figure(
                lambda width: shares({"the router": evaluation.shares}, cheapest_first=cheapest, width=width),
                "Share of the prompts that the router sends to each model, the cheapest first.",
            ),
            Table.of(heads, rows, "Each model alone, on the same prompts"),
        )
    if report.ledger is not None:
        ledger = report.ledger
        cheapest = sorted(ledger.singles, key=lambda model: ledger.singles[model].cost_usd.value)
        of_both = {
            name: {model: both[place] for model, both in ledger.shares.items()}
            for place, name in enumerate(("the router", "today"))
        }
        singles = [
            (
                model + (" (best)" if model == report.best else ""),
                number(value.quality.value, value.quality.half_width, digits=3), usd(value.cost_usd.value * _PER_1000),
                saving_cell(report.ledger.against[model].saving.value),
            )
            for model, value in report.ledger.singles.items()
        ]  # fmt: skip
        titles = ("every request to", "quality ± 95 %", "$ per 1,000", "router saves")
        return (
            Figure(
                lambda width: shares(of_both, cheapest_first=cheapest, width=width),
                "Share of the requests that the router would send to each model, and that the service sent to it.",
            ),
            Table.of(titles, singles, "Each model alone, estimated from the log"),
        )
    return ()


def _failing(report: Report) -> tuple[Block, ...]:
    share = f"{report.n_failed:,} of {report.n_judged:,} answers failed" if report.n_judged else "No answer is graded"
    if not report.failing:
        why = "no kind of prompts stands out by more than chance explains" if report.n_failed else "none stands out"
        return (Paragraph(f"{share}; {why}."),)
    blocks: list[Block] = [
        Paragraph(
            f"{share}. These kinds of prompts fail more often than the others, by more than chance explains. They are "
            "groups of similar prompts, named by words that are frequent in them and rare elsewhere."
        )
    ]
    for kind in report.failing:
        avoidable = f" For {kind.n_avoidable:,} of these failures, another model succeeded." if kind.n_avoidable else ""
        task = f" Most are from `{kind.task}`." if kind.task and kind.words else ""
        said = (
            f"{kind.name}: {kind.n_failed:,} of {kind.n_prompts:,} fail ({percent(kind.n_failed / kind.n_prompts)}; "
            f"elsewhere {percent(kind.rate_elsewhere)}). Most go to `{kind.model}`.{avoidable}{task}"
        )
        blocks.append(Folded(said, (_examples(kind.examples),)) if kind.examples else Paragraph(said))
    return tuple(blocks)


def _examples(examples: tuple[str, ...]) -> Block:
    return Bullets(tuple(example.replace("`", "'") for example in examples))


def _reliability(report: Report) -> tuple[Block, ...]:
    if report.reliability is None:
        return ()
    blocks: list[Block] = [reliability_figure({"the router": report.reliability})]
    if report.evaluation is not None:
        metrics = report.evaluation.metrics
        pairs = [(label, "not defined" if (n := metrics[key]) is None else f"{n:.4f}") for label, key in _METRICS]
        expected, real = report.evaluation.expected_cost_usd, report.evaluation.router.cost_usd
        costs = f"expected {usd(expected * _PER_1000)}, real {usd(real * _PER_1000)} per 1,000 prompts"
        blocks.append(Facts((*pairs, ("cost of the chosen models", costs))))
    return tuple(blocks)


def _certificates(report: Report) -> tuple[Block, ...]:
    certificates = report.router.certificates
    if not certificates:
        return (
            Paragraph("Nothing is certified: all figures here are estimates with intervals, and none is a promise."),
            Code("router-model certify ROUTER TABLE --target-success 0.9"),
        )
    said = tuple(sentence(one.in_words()) for one in certificates)
    return (Bullets(said), Paragraph(certificates[0].assumptions, soft=True))


def _prices(report: Report) -> tuple[Block, ...]:
    if report.drift is not None:
        return drift_blocks(report.drift)
    if not report.prices:
        return (Paragraph("The catalog does not say when its prices were checked. Give each model a `price_date`."),)
    rows = [(one.subject, f"{one.effect:,.0f}{' (old)' if one.drifted else ''}") for one in report.prices]
    return (
        Paragraph("Dollars follow from prices, or from bills where the table has them."),
        Table.of(("model", "days since its price was checked"), rows),
    )


def _measured(report: Report, command: str) -> tuple[Block, ...]:
    artifact = report.router.artifact
    pairs = [
        ("measured on", report.source),
        ("money", report.volume.source if report.volume.is_month else "per 1,000 requests, as no volume is known"),
        ("router", f"{artifact.content_hash[:19]}…, trained on {_trained_on(report)}"),
        ("loss of quality that does not matter", f"{margin_points(report.margin)} of quality, hundredths of its scale"),
        ("intervals", "95 %; of a table by a bootstrap of whole conversations and texts, of a log by sessions"),
    ]
    if report.evaluation is not None:
        pairs += _table_facts(report.evaluation)
    elif report.ledger is not None:
        pairs += [(f"left out, {reason}", f"{n:,} decisions") for reason, n in report.ledger.left_out.items()]
    blocks: list[Block] = [Facts(tuple(pairs))]
    if command:
        blocks.append(Code(command))
    return tuple(blocks)


def _trained_on(report: Report) -> str:
    table = report.router.artifact.provenance.get("table", {})
    n = table.get("n_prompts")
    return "a table that it does not describe" if n is None else f"{n:,} prompts"


def _table_facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    sources = evaluation.cost_sources
    costs = ", ".join(f"{n:,} {name}" for name, n in sources.items() if n)
    counts = (
        (evaluation.n_left_out, "left out, because the router was trained on them"),
        (evaluation.n_near_left_out, "left out, because it was trained on near duplicates"),
        (evaluation.n_seen + evaluation.n_near, "counted, although it was trained on them, or nearly"),
        (evaluation.n_incomplete, "with outcomes missing, which are estimated (doubly robust)"),
        (evaluation.n_ungraded, "left out, because no outcome is known"),
    )
    return [
        ("rule", evaluation.rule),
        ("success", f"quality of at least {evaluation.quality_bar:g}"),
        ("costs", f"{costs} (pairs of prompt and model)"),
        *((says, f"{n:,} {'prompt' if n == 1 else 'prompts'}") for n, says in counts if n),
    ]
