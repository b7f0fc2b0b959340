"""What came of a promotion, as a page."""

from router_model.pages.blocks import Block, Cell, Column, Number, Numbers, Page, Row, Section, Table, Verdict
from router_model.training.measuring.verdict import Difference
from router_model.training.promotion.check import Status
from router_model.training.promotion.promote import Promotion
from router_model.training.reporting.wording import percent, percent_between, points, points_between, tone

_MARKS = {Status.PASSED: "ahead", Status.FAILED: "behind"}


def promotion_page(promotion: Promotion) -> Page:
    """Return the page of the command ``promote``."""
    done = promotion.promoted or not promotion.failed
    headline = "Promoted" if promotion.promoted else "Nothing was changed" if done else "Refused"
    first: list[Block] = [Verdict(headline, f"{promotion.sentence}.", "good" if done else "bad")]
    if promotion.evidence is not None:
        first.append(Numbers(_numbers(promotion.evidence.difference)))
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


def _numbers(difference: Difference) -> tuple[Number, ...]:
    saving, quality = difference.saving, difference.quality
    return (
        Number(percent(saving.value), "Cost saved, against the champion", percent_between(saving), tone(saving)),
        Number(points(quality), "Quality, against the champion", points_between(quality), tone(quality)),
    )
