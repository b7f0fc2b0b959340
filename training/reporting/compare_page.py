"""Two routers on the same prompts as a page, and whether the second is published."""

from router_model.charts import IntervalRow, intervals, shares
from router_model.pages.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Figure,
    Number,
    Numbers,
    Page,
    Paragraph,
    Row,
    Section,
    Table,
    Verdict,
)
from router_model.saving import saving_cell
from router_model.training.measuring.compare import Comparison
from router_model.training.measuring.moves import main_move_in_words
from router_model.training.measuring.verdict import Difference, Finding
from router_model.training.promotion.check import Status
from router_model.training.promotion.promote import Promotion
from router_model.training.reporting.wording import (
    TONES,
    points_between,
    saved_number,
    saving_between,
    scaled,
    tone,
)
from router_model.wording import percent, points, sentence

_PER_1000 = 1000
_MARKS = {Status.PASSED: "ahead", Status.FAILED: "behind"}


def compare_page(found: Comparison, *, first: str, second: str) -> Page:
    """Return the page of the command ``compare``; A is the first router, B the second."""
    sections = (
        Section("", (_verdict(found), _numbers(found), *_favoured(found), Paragraph(_moves(found)))),
        Section("Differences", (_figure(found), _table(found))),
        Section("Which model answers", (_shares(found),)),
        Section("How it was measured", (Facts(_facts(found, first, second)),)),
    )
    lead = f"A is `{first}`, B is `{second}`. Both decided on the same {found.n_prompts:,} prompts."
    return Page("Which router is better", lead, sections)


def _verdict(found: Comparison) -> Verdict:
    headlines = {
        Finding.BETTER: "B is better",
        Finding.BETTER_DEARER: "B is better, and dearer",
        Finding.TIE: "A tie: it does not matter which of them serves",
        Finding.UNCLEAR: "Too few prompts to tell",
        Finding.CHEAPER_WORSE: "B is cheaper, and worse",
        Finding.WORSE: "A is better",
    }
    finding = found.verdict.finding
    return Verdict(headlines[finding], sentence(found.verdict.sentence), TONES[finding])


def _numbers(found: Comparison) -> Numbers:
    saved, quality = scaled(found.cost_usd, -_PER_1000), found.difference.quality
    return Numbers(
        (
            saved_number(saved, ("B saves", "B costs more"), "per 1,000 prompts"),
            Number(points(quality.value), "Quality of B minus A", points_between(quality), tone(quality)),
        )
    )


def _favoured(found: Comparison) -> tuple[Paragraph, ...]:
    """Warn where the verdict stands that a router was measured on what it learned from."""
    if not found.n_seen:
        return ()
    return (
        Paragraph(
            f"{found.n_seen:,} of the prompts have a text that A or B was trained on, which favours it.", warns=True
        ),
    )


def _moves(found: Comparison) -> str:
    most = main_move_in_words(found.main_move)
    return f"They choose different models for {percent(found.share_different)} of the prompts{most}."


def _figure(found: Comparison) -> Figure:
    rows = [
        IntervalRow(name, 100 * one.value, 100 * one.low, 100 * one.high)
        for name, one in (
            ("quality, points", found.difference.quality),
            ("success, points", found.success),
            ("AIQ, hundredths", found.aiq),
        )
    ]
    return Figure(
        lambda width: intervals(
            rows, axis="B minus A", description="Differences between two routers", write="{:+.2f}".format, width=width
        ),
        "B minus A, paired on the same prompts, with 95 % intervals by conversation and text.",
    )


def _table(found: Comparison) -> Table:
    a, b = found.first, found.second
    rows = [
        (name, f"{scale * mine:.4f}", f"{scale * theirs:.4f}", f"{scale * one.value:+.4f}",
         f"{scale * one.low:+.4f} to {scale * one.high:+.4f}")
        for name, mine, theirs, one, scale in (
            ("quality", a.quality, b.quality, found.difference.quality, 1),
            ("success", a.success, b.success, found.success, 1),
            ("$ per 1,000", a.cost_usd, b.cost_usd, found.cost_usd, _PER_1000),
            ("AIQ", a.aiq, b.aiq, found.aiq, 1),
        )
    ]  # fmt: skip
    return Table.of(("", "A", "B", "B minus A", "95 %"), rows)


def _shares(found: Comparison) -> Figure:
    of = {"A": found.first.shares, "B": found.second.shares}
    models = sorted(found.first.shares, key=lambda model: -found.first.shares[model])
    return Figure(
        lambda width: shares(of, cheapest_first=models, width=width),
        "Share of the prompts that each router sends to each model; those that A uses most come first.",
    )


def _facts(found: Comparison, first: str, second: str) -> tuple[tuple[str, str], ...]:
    sources = ", ".join(f"{n:,} {name}" for name, n in found.cost_sources.items() if n)
    counts = (
        (found.n_prompts - found.n_independent, "in a conversation or text with another, which count as one"),
        (found.n_seen, "counted, although A or B was trained on them"),
        (found.n_left_out, "left out, because A or B was trained on them"),
        (found.n_incomplete, "left out, because an outcome of some model is missing"),
    )
    return (
        (f"A, {first}", found.first.rule),
        (f"B, {second}", found.second.rule),
        ("success", f"quality of at least {found.quality_bar:g}"),
        ("costs", f"{sources} (pairs of prompt and model)"),
        *((says, f"{n:,} prompts") for n, says in counts if n),
    )


def promotion_page(promotion: Promotion) -> Page:
    """Return the page of the command ``promote``."""
    done = promotion.promoted or not promotion.failed
    headline = "Promoted" if promotion.promoted else "Nothing was changed" if done else "Refused"
    first: list[Block] = [Verdict(headline, f"{promotion.sentence}.", "good" if done else "bad")]
    if promotion.evidence is not None:
        first.append(Numbers(_gains(promotion.evidence.difference)))
    columns = (Column("check", numeric=False), Column("result", numeric=False), Column("figures", numeric=False))
    rows = tuple(
        Row((Cell(check.name), Cell(check.status.value, mark=_MARKS.get(check.status, "noise")), Cell(check.said)))
        for check in promotion.checks
    )
    sections = [Section("", tuple(first))]
    if rows:
        sections.append(Section("Every check", (Table(columns, rows),)))
    champion = "nothing" if promotion.champion is None else f"`{promotion.champion}`"
    lead = f"Challenger `{promotion.challenger}` for `{promotion.place.name}`, which served {champion}."
    return Page("Whether a router is published", lead, tuple(sections))


def _gains(difference: Difference) -> tuple[Number, ...]:
    saving, quality = difference.saving, difference.quality
    return (
        Number(saving_cell(saving.value), "Cost saved, against the champion", saving_between(saving), tone(saving)),
        Number(points(quality.value), "Quality, against the champion", points_between(quality), tone(quality)),
    )
