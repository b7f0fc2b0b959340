"""The report for Python: it shows its verdict, draws its frontier, and saves its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from router_model.charts.drawing import Drawing
from router_model.pages.render import write_page
from router_model.router import Router
from router_model.summary import Summarised, Summary
from router_model.training.reporting.figures import router_frontier
from router_model.training.reporting.first_screen import headline, next_steps, warnings
from router_model.training.reporting.report import Report, report_on_log, report_on_table
from router_model.training.reporting.report_page import report_page
from router_model.training.table.frames import Table, name_of
from router_model.training.table.outcomes import read_outcomes


@dataclass(frozen=True, slots=True, repr=False)
class ShownReport(Summarised):
    """What a router is worth, and its page.

    Attributes
    ----------
    found : Report
    """

    found: Report

    def summary(self) -> Summary:
        """Return the verdict in money, and what to do."""
        return Summary(
            f"Report on {self.found.source}: {headline(self.found)}",
            notes=(*warnings(self.found), *next_steps(self.found)),
        )

    def plot(self, *, width: int = 640) -> Drawing:
        """Draw quality over cost with the settings that a request can ask for.

        Raises
        ------
        ValueError
            Of a log, which does not know what every model would have answered.
        """
        if self.found.evaluation is None:
            raise ValueError("a log has no frontier to draw; save the page, or give a table")
        return Drawing(router_frontier(self.found.evaluation, width=width))

    def save(self, path: str | Path) -> None:
        """Write the page that ``router-model report`` writes: one file that loads nothing and runs no script."""
        write_page(report_page(self.found, name=self.found.router.artifact.content_hash[:19]), Path(path))


def report(
    router: Router | str | Path,
    table: Table | None = None,
    *,
    log: Path | str | None = None,
    requests_a_month: float | None = None,
    today: Mapping[str, float] | None = None,
) -> ShownReport:
    """Say what a router is worth in money, on a table or on the log of a service.

    Parameters
    ----------
    router : Router, or its folder
    table : path of an outcome table, a frame of polars, pandas or Arrow, or `Outcomes`
    log : path of a table of ``router-model log export``, instead
    requests_a_month : the volume; without it, money is counted per 1,000 requests, or over the log
    today : model -> share of the requests that it gets today; of a log, it is what the service did

    Raises
    ------
    ValueError
        If not exactly one of `table` and `log` is given.
    TableError, RequestError
        See `router_model.training.reporting.report`.
    """
    known = Router.of(router)
    if (table is None) == (log is None):
        raise ValueError(f"expected a table or a log, got {'neither' if table is None else 'both'}")
    if log is not None:
        return ShownReport(report_on_log(known, Path(log), source=Path(log).name, requests_a_month=requests_a_month))
    outcomes = read_outcomes(table)
    source = Path(name_of(table)).name
    return ShownReport(report_on_table(known, outcomes, source=source, requests_a_month=requests_a_month, today=today))
