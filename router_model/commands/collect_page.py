"""What ``router-model collect`` did, as a page."""

from router_model.charts.names import usd
from router_model.commands.collect_report import CollectReport
from router_model.pages.blocks import Block, Bullets, Facts, Number, Numbers, Page, Paragraph, Section, Verdict


def collect_page(report: CollectReport) -> Page:
    """Return the page of the command ``collect``."""
    complete = not report.n_left
    headline = "All pairs were asked" if complete else f"{report.n_left:,} pairs are left"
    what, *others = report.what_is_left()
    first: list[Block] = [
        Verdict(headline, what, "good" if complete else "neutral"),
        Numbers(
            (
                Number(f"{report.n_answered:,}", "Answers", f"of {report.n_pairs:,} pairs of prompt and model"),
                Number(usd(report.spent_usd), "Spent, earlier runs included", f"of {usd(report.budget_usd)}"),
            )
        ),
        *(Paragraph(line) for line in others),
    ]
    sections = [Section("", tuple(first)), Section("The run", (Facts(tuple(report.facts())),))]
    unanswered = report.unanswered()
    if unanswered:
        sections.append(Section("Pairs without an answer", (Bullets(tuple(line.strip() for line in unanswered)),)))
    lead = f"{report.n_prompts:,} prompts and {report.n_models:,} models."
    return Page("What was collected", lead, tuple(sections))
