"""The first screen of a report: what routing is worth a month, at what quality, and what to do next."""

from math import isfinite
from typing import Final

from router_model.pages.blocks import Block, Bullets, Number, Numbers, Paragraph, Section, Verdict
from router_model.training.measuring.verdict import NOTHING_SAVED, Difference, Finding
from router_model.training.reporting.report import Report
from router_model.training.reporting.wording import (
    TONES,
    points_between,
    quality_in_words,
    saved_number,
    scaled,
    tone,
)
from router_model.wording import percent, points, sentence, usd

FEW: Final = 100
"""Independent prompts below which a report warns: intervals by bootstrap are too narrow then, and kinds are missing."""


def first_screen(report: Report) -> Section:
    """Return the answer for somebody who reads one screen."""
    doubts = warnings(report)
    tone_of_all = "neutral" if doubts else TONES[report.verdict.finding]
    blocks: list[Block] = [
        Verdict(headline(report), sentence(report.verdict.sentence), tone_of_all),
        *(Paragraph(doubt, warns=True) for doubt in doubts),
        Numbers(_numbers(report)),
        Paragraph(_volume(report), soft=True),
        _steps(report),
    ]
    return Section("", tuple(blocks))


def _steps(report: Report) -> Bullets:
    steps = next_steps(report)
    return Bullets(steps, numbered=len(steps) > 1, heading="What to do next")


def headline(report: Report) -> str:
    """Say the verdict in words and dollars."""
    difference, finding = report.against_best, report.verdict.finding
    saved = scaled(difference.saved_usd or NOTHING_SAVED, report.volume.n_requests)
    amount, says = usd(abs(saved.value)), report.volume.says
    quality = quality_in_words(difference, report.margin)
    if finding is Finding.UNCLEAR:
        n_more = report.verdict.n_more
        more = "very many more" if n_more is None else f"about {n_more:,} more"
        return f"Too early to tell: it takes {more} graded prompts to say whether routing pays"
    if finding in (Finding.TIE, Finding.WORSE):
        alone = report.verdict.reference
        why = "brings nothing that matters" if finding is Finding.TIE else "does not pay"
        return f"Routing {why} here: send everything to {alone}"
    if finding is Finding.BETTER and saved.low <= 0:
        return f"Routing pays in quality: {quality}, for about the same money"
    if finding is Finding.BETTER_DEARER:
        return f"Routing pays in quality: {quality}, and it costs {amount} more {says}"
    return f"Routing saves {amount} {says}, and {quality}"


def warnings(report: Report) -> tuple[str, ...]:
    """Say why the figures may mislead: the router learned from these prompts, or they are few."""
    found, n = [], report.against_best.n_independent
    if report.n_seen:
        found.append(
            f"The router learned from {report.n_seen:,} of these prompts, or from near duplicates of them. It knows "
            "their answers, so the figures are too good. Measure it on prompts that it never saw."
        )
    if n < FEW:
        found.append(
            f"Only {n:,} independent prompts were measured. Intervals of so few are rough, and the next prompts may be "
            f"others. Measure at least {FEW}."
        )
    return tuple(found)


def next_steps(report: Report) -> tuple[str, ...]:
    """Say what to do, the most important first."""
    finding, best = report.verdict.finding, report.best
    alone = f"Send everything to `{report.verdict.reference}`. Ask again when prices or models change."
    steps = {
        Finding.BETTER: (
            "Serve it: `router-model serve ROUTER --insecure --providers providers.toml` (this machine only; `--keys` "
            "for others), and send it the model `auto`."
        ),
        Finding.BETTER_DEARER: "Serve it if the better answers are worth the money. Cheaper settings are below.",
        Finding.TIE: alone,
        Finding.WORSE: alone,
        Finding.UNCLEAR: (
            f"Keep sending everything to `{best}`. Collect and grade more prompts: `router-model collect`, `grade`."
        ),
        Finding.CHEAPER_WORSE: "Train again with a smaller accepted loss: `router-model train --max-quality-loss`.",
    }
    found = [steps[finding]]
    if report.n_seen:
        found = ["Measure it without `--include-seen`, on prompts that it never saw. Decide only then."]
    if report.today is None:
        found.append("Say what you do today, to compare with it: `--today MODEL`, or `--today MODEL=0.6,OTHER=0.4`.")
    if not report.volume.is_month:
        found.append("Say how much you send, to see dollars a month: `--requests-a-month N`.")
    drifted = [one for one in report.drift.drifted if one.advice] if report.drift is not None else []
    if drifted:
        found.append(f"Something has changed since it was trained: {drifted[0].advice.rstrip('.?')}.")
    elif any(price.drifted for price in report.prices):
        found.append("Check the prices: some are over 90 days old, and all dollars here follow from them.")
    if finding is Finding.BETTER and not any(one.certified for one in report.router.certificates):
        found.append("If you need a promise rather than an estimate, certify a rate: `router-model certify`.")
    return tuple(found)


def _numbers(report: Report) -> tuple[Number, ...]:
    found = _pair(report, report.against_best, report.best, report.best_cost_usd, "the best single model")
    if report.today is not None:
        found += _pair(report, report.today.difference, report.today.name, report.today.cost_usd, "today")
    return found


def _pair(report: Report, difference: Difference, name: str, cost_usd: float, what: str) -> tuple[Number, ...]:
    """Return the money and the quality against one way to choose models."""
    volume = report.volume
    saved = scaled(difference.saved_usd or NOTHING_SAVED, volume.n_requests)
    share = _compared(difference.saving.value, usd(cost_usd * volume.n_requests))
    return (
        saved_number(saved, ("Saved", "Costs more"), f"{volume.says}, against {what}", note=f". {share} ({name})"),
        Number(
            points(difference.quality.value),
            f"Quality, against {what}",
            f"{points_between(difference.quality)}; a point is a hundredth of the scale from 0 to 1",
            tone(difference.quality, margin=report.margin),
        ),
    )


def _compared(saving: float, whole: str) -> str:
    """Say which part of another one's cost is saved, or how much more than it is spent.

    >>> _compared(0.4, "$5,000"), _compared(-0.2, "$5,000"), _compared(-2.0, "$50")
    ('40 % of $5,000', '20 % more than $5,000', '3.0 times $50')
    """
    if saving >= 0:
        return f"{percent(saving)} of {whole}"
    if saving >= -1:
        return f"{percent(-saving)} more than {whole}"
    return f"{1 - saving:,.1f} times {whole}" if isfinite(saving) else f"instead of {whole}"


def _volume(report: Report) -> str:
    volume = report.volume
    if not volume.is_month:
        return "No volume is known, so money is counted per 1,000 requests."
    return f"Money is counted for {volume.source}. Intervals are of 95 %, and hold for requests like those measured."
