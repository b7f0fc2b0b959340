"""What has changed since a router was trained, as blocks and as a page."""

from router_model.charts import intervals
from router_model.charts.intervals import IntervalRow
from router_model.pages.blocks import Block, Bullets, Figure, Folded, Page, Paragraph, Section, Table, Verdict
from router_model.training.drift.finding import Finding
from router_model.training.drift.watch import DriftReport
from router_model.wording import sentence

_MOST = 24
_REACH = 3.0


def drift_page(report: DriftReport) -> Page:
    """Return the page of the command ``drift``."""
    n = len(report.findings)
    found = len(report.drifted)
    verdict = Verdict(
        f"{found} of {n} checks found a change" if found else f"Nothing has changed in {n} checks",
        "A change counts where its effect has reached a threshold, and chance does not explain it.",
        "bad" if found else "good",
    )
    steps = tuple(sentence(advice.rstrip("?")) for advice in dict.fromkeys(one.advice for one in report.drifted))
    first: list[Block] = [
        verdict,
        *([Bullets(steps, numbered=len(steps) > 1, heading="What to do next")] if steps else []),
    ]
    return Page(
        "What has changed since the router was trained",
        _lead(report),
        (Section("", tuple(first)), Section("Every check", drift_blocks(report))),
    )


def drift_blocks(report: DriftReport) -> tuple[Block, ...]:
    """Return the findings as a chart of effects over their thresholds, and as a table."""
    told = [one for one in report.findings if one.n and "too few" not in one.says]
    largest = sorted(told, key=lambda one: (not one.drifted, -abs(one.effect) / one.threshold))[:_MOST]
    rows = [_row(one) for one in largest]
    table = Table.of(
        ("check", "of", "calls", "found"),
        [(one.check, one.subject, f"{one.n:,}", one.says) for one in report.findings],
    )
    blocks: list[Block] = [Paragraph(_lead(report), soft=True)]
    if rows:
        blocks.append(
            Figure(
                lambda width: intervals(
                    rows,
                    axis="effect, as a multiple of the threshold from which it counts",
                    limits=(-1.0, 1.0),
                    description="Effect of each check as a multiple of its threshold",
                    reach=(-_REACH, _REACH),
                    write="{:+.1f} x".format,
                    width=width,
                ),
                "Effects beyond a dashed line count if chance does not explain them (squares). Arrows lie further out.",
            ),
        )
    return (*blocks, Folded("Every check", (table,)))


def _row(one: Finding) -> IntervalRow:
    scale = 1 / one.threshold
    low, high = (None if end is None else end * scale for end in (one.low, one.high))
    name = f"{one.check}: {one.subject}" if one.subject else one.check
    return IntervalRow(name, one.effect * scale, low, high, kind="bad" if one.drifted else "neutral")


def _lead(report: DriftReport) -> str:
    between = "" if report.since is None else f" between {report.since[:16]} and {(report.until or '')[:16]}"
    other = f"; another router decided {report.n_other_artifact:,} of them" if report.n_other_artifact else ""
    return f"{report.n_calls:,} calls{between}, {report.n_graded:,} of them graded{other}."
