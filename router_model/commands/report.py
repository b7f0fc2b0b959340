"""The command ``router-model report``: what routing is worth, as one page."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.log_source import LogSource, optional_log_options
from router_model.help_pages import Command
from router_model.pages.command_option import check_page
from router_model.progress import working

if TYPE_CHECKING:
    from router_model.training.reporting.report import Report


@click.command(
    "report",
    cls=Command,
    examples=r"""
    router-model report my-router unseen.parquet --requests-a-month 500000 \
      --today openai/gpt-5 --out report.html
    router-model report my-router --log sqlite:///router-log.db
    """,
    sections={
        "On which log": "--log",
        "The page": "--out",
        "What is counted": "--supported-only",
        "Output": "--json",
    },
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("table", type=click.Path(path_type=Path), required=False)
@optional_log_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page."
)
@click.option(
    "--requests-a-month", type=float, help="How much you send [that of the log, if it covers a day; else unknown]."
)
@click.option(
    "--today", metavar="MODEL[=SHARE],…", help="What you send to which model today; of a log, what the service did."
)
@click.option("--supported-only", is_flag=True, help="Of a log, leave out decisions that it could not have made.")
@click.option("--include-seen", is_flag=True, help="Of a table, count prompts the router was trained on, too.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities instead of the router's.")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--json", "as_json", is_flag=True, help="Print the first screen's figures as JSON, too.")
def command(
    artifact: Path,
    table: Path | None,
    *,
    source: LogSource | None,
    out: Path,
    requests_a_month: float | None,
    today: str | None,
    supported_only: bool,
    include_seen: bool,
    catalog: Path | None,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Write a page on what the router in ARTIFACT is worth.

    It is measured on the outcomes in TABLE, or on the log of a service. The
    first screen says what routing saves a month and at what quality, against
    the best single model and against what you do today, with intervals, a
    verdict and what to do next. The rest is for engineers. The page is one
    file that loads nothing and runs no script.
    """
    check_page(out)
    mix = None if today is None else read_shares(today)
    if (table is None) == (source is None):
        raise click.UsageError(f"expected TABLE or --log, got {'neither' if table is None else 'both'}")
    if table is not None and supported_only:
        raise click.UsageError("--supported-only is about --log, which is not given")
    if table is None and (mix is not None or include_seen):
        raise click.UsageError("--today and --include-seen are about TABLE; of a log, today is what the service did")
    with working("reading the router") as work:
        from router_model.features import load_encoder
        from router_model.pages.render import write_page
        from router_model.router import Router
        from router_model.training.reporting.first_screen import headline, warnings
        from router_model.training.reporting.report import report_on_log, report_on_table
        from router_model.training.reporting.report_page import report_page
        from router_model.training.table.outcomes import read_outcomes

        router = Router.load(artifact, catalog=catalog, encoder=None if encoder is None else load_encoder(encoder))
        work.step("measuring what routing is worth")
        if source is not None:
            with source.table() as exported:
                report = report_on_log(
                    router, exported, source=source.name, requests_a_month=requests_a_month,
                    supported_only=supported_only,
                )  # fmt: skip
        elif table is not None:
            report = report_on_table(
                router, read_outcomes(table), source=table.name, requests_a_month=requests_a_month, today=mix,
                include_seen=include_seen,
            )  # fmt: skip
        work.step("drawing the page")
        write_page(report_page(report, name=artifact.name, command=typed()), out)
    if as_json:
        click.echo(json.dumps({"out": str(out), **_figures(report)}, ensure_ascii=False))
    else:
        said = (f"{headline(report)}.", *warnings(report), f"Wrote {out}")
        click.echo("\n".join(said))


def read_shares(text: str) -> dict[str, float]:
    """Read what is sent to which model; without shares, all of it goes to equal parts.

    Examples
    --------
    >>> read_shares("openai/gpt-5=0.7, small=0.3"), read_shares("openai/gpt-5")
    ({'openai/gpt-5': 0.7, 'small': 0.3}, {'openai/gpt-5': 1.0})
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        model, _, share = part.strip().rpartition("=") if "=" in part else (part.strip(), "", "1")
        try:
            found[model] = float(share)
        except ValueError:
            found[""] = 0.0
    if "" in found:
        raise click.UsageError(f"--today: got {text!r}, expected MODEL, or MODEL=SHARE with commas between them")
    return found


def typed() -> str:
    """Return the command as it was given."""
    return shlex.join(["router-model", *sys.argv[1:]])


def _figures(report: "Report") -> dict[str, object]:
    from router_model.training.reporting.first_screen import warnings

    today = report.today
    return {
        "n_requests": report.volume.n_requests,
        "is_month": report.volume.is_month,
        "best_single": report.best,
        "against_best": report.against_best.as_dict(),
        "today": None if today is None else today.name,
        "against_today": None if today is None else today.difference.as_dict(),
        "verdict": report.verdict.as_dict(),
        "warnings": list(warnings(report)),
    }
