"""What another router would have brought on the requests of a log, as a page."""

from router_model.charts import IntervalRow, intervals
from router_model.pages.blocks import Block, Facts, Figure, Number, Numbers, Page, Paragraph, Section, Table, Verdict
from router_model.training.measuring.verdict import NOTHING_SAVED, Estimate, Finding
from router_model.training.offpolicy.evaluate_on_log import LogEvaluation
from router_model.training.reporting.wording import TONES, points_between, saved_number, scaled, tone
from router_model.wording import number, percent, points, sentence, usd

_PER_1000 = 1000
_TASKS = 20


def log_evaluation_page(found: LogEvaluation, *, name: str) -> Page:
    """Return the page of the command ``ope``; `name` is the challenger's."""
    sections = (
        Section("", (_verdict(found), _numbers(found), Paragraph(f"The champion is {found.champion_name}."))),
        Section("Estimates", _estimates(found)),
        Section("By task", _by_task(found)),
        Section("How much the log can tell", (Facts(_overlap(found)),)),
    )
    counts = f"{found.n_decisions:,} of {found.n_logged:,} decisions, {found.n_sessions:,} sessions"
    lead = f"Challenger `{name}`, on {counts}."
    return Page("What another router would have brought", lead, tuple(one for one in sections if one.blocks))


def _verdict(found: LogEvaluation) -> Verdict:
    headlines = {
        Finding.BETTER: "The challenger is better",
        Finding.BETTER_DEARER: "The challenger is better, and dearer",
        Finding.TIE: "A tie",
        Finding.UNCLEAR: "This log cannot tell yet",
        Finding.CHEAPER_WORSE: "The challenger is cheaper, and worse",
        Finding.WORSE: "The champion is better",
    }
    finding = found.verdict.finding
    return Verdict(headlines[finding], sentence(found.verdict.sentence), TONES[finding])


def _numbers(found: LogEvaluation) -> Numbers:
    saved = scaled(found.difference.saved_usd or NOTHING_SAVED, _PER_1000)
    quality = found.difference.quality
    return Numbers(
        (
            saved_number(saved, ("Saved", "Costs more"), "per 1,000 requests"),
            Number(points(quality.value), "Quality, challenger minus champion", points_between(quality), tone(quality)),
        )
    )


def _estimates(found: LogEvaluation) -> tuple[Block, ...]:
    named = dict(found.quality)
    if found.anytime is not None:
        named["DR, however often one looks"] = found.anytime
    rows = [_interval(name, one) for name, one in named.items()]
    table = Table.of(
        ("± 95 %", "quality", "per 1,000"),
        [
            (name, number(value.quality.value, value.quality.half_width, digits=4),
             usd(_PER_1000 * value.cost_usd.value, _PER_1000 * value.cost_usd.half_width))
            for name, value in (
                ("challenger", found.challenger), ("champion", found.champion), ("as logged", found.as_logged)
            )
        ],
    )  # fmt: skip
    figure = Figure(
        lambda width: intervals(
            rows,
            axis="points of quality, challenger minus champion",
            description="Difference in quality by each estimator",
            write="{:+.2f}".format,
            width=width,
        ),
        "The same difference by several estimators. DR is unbiased, and what the verdict is read from; those without "
        "an interval trade bias for variance.",
    )
    return (table,) if found.difference.same_choices else (figure, table)


def _by_task(found: LogEvaluation) -> tuple[Block, ...]:
    shown = sorted(found.by_task.items(), key=lambda one: -one[1][0])[:_TASKS]
    if not shown or found.difference.same_choices:
        return ()
    rows = [_interval(f"{task} ({n:,})", quality) for task, (n, quality, _) in shown]
    return (
        Figure(
            lambda width: intervals(
                rows,
                axis="points of quality, challenger minus champion",
                description="Difference in quality on each task",
                write="{:+.1f}".format,
                width=width,
            ),
            "Difference in quality on each task, with 95 % intervals; in brackets the number of decisions.",
        ),
    )


def _overlap(found: LogEvaluation) -> tuple[tuple[str, str], ...]:
    overlap, weight = found.overlap, found.overlap.mean_weight
    return (
        ("they disagree on", f"{percent(overlap.share_different)} of the decisions"),
        (
            "graded there",
            f"{overlap.n_challenger:,} by the challenger's choice, {overlap.n_champion:,} by the champion's",
        ),
        ("largest weight", f"{overlap.largest_weight:.1f}"),
        ("mean weight", f"{number(weight.value, weight.half_width, digits=3)} (1 is right)"),
        ("graded answers", f"{overlap.n_graded:,}, which count as {overlap.effective_size:,.0f}"),
        ("this log shows", f"a difference from {100 * found.shown:.2g} points on"),
        ("a difference of a point takes", f"{float(f'{found.n_to_show_a_point:.2g}'):,.0f} requests"),
        *((f"left out, {reason}", f"{n:,} decisions") for reason, n in found.left_out.items()),
    )


def _interval(name: str, one: Estimate) -> IntervalRow:
    if not one.half_width < float("inf"):
        return IntervalRow(name, 100 * one.value)
    return IntervalRow(name, 100 * one.value, 100 * one.low, 100 * one.high)
