"""The command ``router-model benchmark``: compare routing methods on outcome tables."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.help_pages import Command
from router_model.progress import Work, working
from router_model.terminal import plain_console

if TYPE_CHECKING:
    from router_model.training.benchmark.benchmark import Bench
    from router_model.training.benchmark.method import Method
    from router_model.training.benchmark.results import Results


@click.command(
    "benchmark",
    cls=Command,
    examples=r"""
    router-model benchmark outcomes.parquet --methods in-house --out bench
    router-model benchmark outcomes.parquet --test unseen.parquet --seeds 1 \
      --out benchmark
    """,
    sections={
        "What is measured": "--test",
        "How": "--dedupe",
        "Output": "--title",
    },
)
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for results.json and report.html.")
@click.option("--test", "test_table", type=click.Path(path_type=Path), help="Learn from TABLE, test on this table.")
@click.option("--catalog", type=click.Path(path_type=Path), help="Prices and capabilities (TOML) [looked up].")
@click.option("--seeds", default=5, show_default=True, help="Splits to average over.")
@click.option(
    "--encoder",
    default="static",
    show_default=True,
    help="static, minilm-int8, multilingual, minilm, or a hub id or folder.",
)
@click.option(
    "--methods", default="all", show_default=True, help="all, in-house (no published packages), or a list with commas."
)
@click.option("--quality-bar", default=0.5, show_default=True, help="Quality that counts as success.")
@click.option("--models", help="Model ids to choose among, separated by commas [all of TABLE].")
@click.option("--max-prompts", type=int, help="Learn from and validate on this many prompts [all].")
@click.option("--dedupe", is_flag=True, help="Leave out test prompts that repeat a training prompt, or nearly.")
@click.option("--shift", type=click.Choice(["task"]), help="Also leave each task out in turn, and measure on it.")
@click.option("--resamples", default=1000, show_default=True, help="Resamples of the paired bootstrap, for intervals.")
@click.option("--title", default="", help="Title of the report [the table's name].")
@click.option(
    "--track/--no-track",
    default=None,
    help="Record it in MLflow [if MLFLOW_TRACKING_URI is set, or mlflow.db is here].",
)
@click.option("--baseline", type=click.Path(path_type=Path), help="A results.json: fail if our method became worse.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    table: Path,
    *,
    out: Path,
    test_table: Path | None,
    catalog: Path | None,
    seeds: int,
    encoder: str,
    methods: str,
    quality_bar: float,
    models: str | None,
    max_prompts: int | None,
    dedupe: bool,
    shift: str | None,
    resamples: int,
    title: str,
    track: bool | None,
    baseline: Path | None,
    as_json: bool,
) -> None:
    """Measure routing methods side by side on the outcomes in TABLE.

    All methods get the same prompts, vectors and metrics: simple ones, ideas
    of published routers, published packages in separate environments
    (installed on first use), and ours. Writes results.json and report.html
    into the folder OUT. Ends with status 1 if --baseline is given and our
    method became worse by more than noise.
    """
    from router_model.catalog import Catalog
    from router_model.errors import RequestError
    from router_model.training.benchmark.benchmark import Bench, BenchmarkConfig
    from router_model.training.benchmark.guard import falls
    from router_model.training.benchmark.methods import methods_named
    from router_model.training.benchmark.report.html import write_html
    from router_model.training.benchmark.report.terminal import show_results
    from router_model.training.benchmark.results import Results
    from router_model.training.table.prices import look_up
    from router_model.training.tracking import is_configured, track_benchmark

    recorded = None if baseline is None else Results.load(baseline)
    chosen = methods_named(methods)
    config = BenchmarkConfig(
        n_seeds=seeds,
        encoder=encoder,
        quality_bar=quality_bar,
        models=tuple(models.split(",")) if models else (),
        max_prompts=max_prompts,
        dedupe=dedupe,
        n_resamples=resamples,
        title=title,
    )
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is a file; expected a folder for results.json and report.html")
    with working("reading the table") as work:
        bar = _Bar(work)
        bench = Bench.prepare(
            table,
            test_table=test_table,
            catalog=None if catalog is None else Catalog.load(catalog, look_up=look_up),
            config=config,
            encoding=bar.encoding,
        )
        out.mkdir(parents=True, exist_ok=True)
        bar.expect(seeds, chosen)
        results = _reproducible(bench.measure(chosen, advance=bar.advance))
        results.save(out / "results.json")
        left_out = _shifted(bench, chosen, bar) if shift else None
    if left_out is not None:
        left_out.save(out / "shift.json")
    write_html(results, out / "report.html", shift=left_out)
    fallen = [] if recorded is None else falls(results, recorded)
    tracked = track_benchmark(results, out) if (is_configured() if track is None else track) else None
    if as_json:
        click.echo(json.dumps({**results.as_dict(), "fallen": fallen, "tracking": tracked}, ensure_ascii=False))
    else:
        console = plain_console()
        show_results(results, console)
        if left_out is not None:
            console.rule("one task left out")
            show_results(left_out, console)
        names = ", ".join(name for name in ("results.json", "shift.json", "report.html") if (out / name).exists())
        console.print(f"\n{results.seconds:,.0f} s. In {out}: {names}")
        if tracked is not None:
            console.print(f"Benchmark {tracked}", markup=False, soft_wrap=True)
        for sentence in fallen:
            console.print(f"[bold red]fallen:[/] {sentence}")
    if fallen:
        raise click.exceptions.Exit(1)


def _shifted(bench: "Bench", methods: "list[Method]", bar: "_Bar") -> "Results":
    bar.expect(len(bench.tasks), methods)
    return _reproducible(bench.measure_shift(methods, advance=bar.advance))


def _reproducible(results: "Results") -> "Results":
    """Add the command that repeats the benchmark to the results' provenance."""
    typed = shlex.join(["router-model", *sys.argv[1:]])
    return replace(results, provenance={"command": typed, **results.provenance})


class _Bar:
    """The current step and the remaining work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def encoding(self, n_done: int, n_prompts: int) -> None:
        self._work.reached(n_done, n_prompts, "encoding")

    def expect(self, n_trials: int, methods: "list[Method]") -> None:
        self._work.begin("splitting", n_trials * len(methods))

    def advance(self, trial: str, method: str, step: str) -> None:
        self._work.advance(f"{trial}: {method}, {step}", n=1 if step == "measured" else 0)
