"""``router-model simulate``: replay a table as production traffic.

It needs both sides: `router_model.training` reads the table, `router_model.serving` decides and logs.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.serving.common.extra import needing_serve
from router_model.terminal import figures_table, plain_console, print_table
from router_model.wording import counted, sentence, usd

if TYPE_CHECKING:
    from rich.console import Console

    from router_model.router import Router
    from router_model.serving.simulation.truth import Simulated, Value
    from router_model.serving.simulation.world import Change, World

_SHOWN = 8  # ways to choose, the best single models among them
_SHARE = click.FloatRange(0, 1)
_PATH = click.Path(path_type=Path)
_shown = partial(click.option, show_default=True)
_TRAFFIC = (
    "n_requests", "requests_per_hour", "turns", "keys", "degraded", "feedback", "delay_s", "duplicates", "noise",
    "adversary",
)  # fmt: skip
_CHANGES = {  # option -> (class in router_model.serving.simulation.world, types, metavar, help)
    "quality_change": ("QualityChange", (float, str, float), "AT MODEL BY", "A model's mean quality changes."),
    "price_change": ("PriceChange", (float, str, float), "AT MODEL FACTOR", "A model is billed at other prices."),
    "task_change": ("TaskChange", (float, str, float), "AT TASK FACTOR", "A task is asked more or less often."),
    "retire": ("Retirement", (float, str), "AT MODEL", "Calls of a model fail from then on."),
    "redirect": ("Redirect", (float, str, str), "AT MODEL OTHER", "Another model answers, and bills, its calls."),
}


def _change_options(command: Any) -> Any:
    for name, (_, types, metavar, text) in reversed(_CHANGES.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, type=types, multiple=True, metavar=metavar, help=text)(command)
    return command


@click.command(
    "simulate",
    cls=Command,
    examples=r"""
    # a model's quality falls by 20 points in the middle of a week
    router-model simulate my-router table.parquet --log sqlite:///a.db \
      --explore 0.1 --feedback 0.3 --quality-change 0.5 large -0.2
    # a task is asked half as often, and a name is answered by another model
    router-model simulate my-router table.parquet --log sqlite:///b.db \
      --task-change 0.3 poetry 0.5 --redirect 0.6 small large
    # then learn from it as from any log
    router-model log export --log sqlite:///a.db --out sim.parquet
    """,
    sections={
        "Log": "--log",
        "Traffic": "--requests",
        "Exploration and a challenger": "--explore",
        "Feedback": "--feedback",
        "What changes": "--quality-change",
        "Router": "--catalog",
        "Output": "--json",
    },
)
@click.argument("artifact", type=_PATH)
@click.argument("table", type=_PATH)
@click.option("--log", required=True, help="URL of a log of its own, such as sqlite:///sim.db; 'none' keeps nothing.")
@click.option("--spool", type=_PATH, help="Folder for records that are not in the log yet [router-spool].")
@click.option("--append", is_flag=True, help="Add to a log that has decisions.")
@click.option("--log-prompts", help="What the log keeps of prompts, as for 'serve' [full].")
@_shown("--requests", "n_requests", type=click.IntRange(min=1), default=10_000)
@_shown("--seed", type=click.IntRange(min=0), default=0, help="All draws follow from it.")
@_shown("--start", type=click.DateTime(), default="2026-01-01", metavar="TIME", help="Of the first request, in UTC.")
@_shown("--requests-per-hour", type=click.FloatRange(min=0, min_open=True), default=60.0)
@_shown("--turns", type=click.FloatRange(min=1), default=1.0, help="Mean number of a conversation's turns.")
@_shown("--keys", type=click.IntRange(min=1), default=10, help="Callers.")
@_shown("--explore", "explore_share", type=_SHARE, default=0.0, help="Share of decisions that try another candidate.")
@click.option("--explore-max-p-drop", type=_SHARE, help="As for 'serve'.")
@click.option("--explore-max-cost-ratio", type=float, help="As for 'serve'.")
@click.option("--challenger", type=_PATH, help="A second router that is tried, as by 'challenge'.")
@click.option(
    "--challenger-mode",
    type=click.Choice(["explore", "canary"]),
    default="explore",
    show_default=True,
    help="Draw where it disagrees, or let it decide for a share of the sessions.",
)
@_shown("--challenger-share", type=_SHARE, default=0.5, help="Probability of its choice, or share of the sessions.")
@_shown("--degraded", type=_SHARE, default=0.0, help="Share of requests that get the default plan, as if it was late.")
@_shown("--feedback", type=_SHARE, default=0.3, help="Share of answers that are judged.")
@_shown("--feedback-delay-s", "delay_s", type=click.FloatRange(min=0), default=3600.0, help="Mean delay.")
@_shown("--duplicates", type=_SHARE, default=0.0, help="Share of feedback that comes twice.")
@_shown("--noise", type=_SHARE, default=0.0, help="Share of feedback that says the opposite.")
@_shown(
    "--adversary",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Share of all feedback that one more key gives, all of it false.",
)
@_change_options
@click.option("--catalog", type=_PATH, help="Prices and capabilities instead of the router's.")
@click.option("--encoder", help="The encoder, if the router was trained with your own (hub id or folder).")
@click.option("--include-seen", is_flag=True, help="Ask prompts the router was trained on, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the truth as JSON.")
def command(artifact: Path, table: Path, *, include_seen: bool, as_json: bool, **given: Any) -> None:
    """Replay TABLE as production traffic that the router in ARTIFACT decides.

    The decisions, and what came of them, go to the log as a service would
    write them. The table knows every outcome, so the summary says what is
    true: what the calls brought, and what others would have brought.

    Changes happen AT a share of the requests, from 0 to 1. Each of their
    options can be repeated.
    """
    from router_model.features import load_encoder
    from router_model.router import Router
    from router_model.saved.place import Mode

    with needing_serve("'simulate'"):
        from router_model.serving.common.settings import read_settings
        from router_model.serving.simulation import world as worlds
        from router_model.serving.simulation.simulate import Trying, simulate
        from router_model.serving.simulation.traffic import Traffic

    kinds = {name: getattr(worlds, kind) for name, (kind, *_) in _CHANGES.items()}
    changes = [kinds[name](*values) for name in _CHANGES for values in given.pop(name)]
    traffic = Traffic(start=given.pop("start").replace(tzinfo=UTC), **{name: given.pop(name) for name in _TRAFFIC})
    seed, append, encoder, spool = (given.pop(name) for name in ("seed", "append", "encoder", "spool"))
    path, mode, share = (given.pop(f"challenger{of}") for of in ("", "_mode", "_share"))
    settings = read_settings(artifact=artifact, encoder=encoder, log_spool=spool, **given)
    with working("reading the router and the table"):
        known = None if encoder is None else load_encoder(encoder)
        router = Router.load(artifact, catalog=settings.catalog, encoder=known)
        trying = None
        if path is not None:
            trying = Trying(Router.load(path, catalog=settings.catalog, encoder=known), Mode(mode), share)
        read = read_world(
            table, router, changes, include_seen=include_seen, challenger=None if trying is None else trying.router
        )
    with working("simulating", total=traffic.n_requests) as work, _said_if_interrupted():
        done = simulate(
            settings, read.world, traffic, changes=changes, seed=seed, append=append, challenger=trying,
            on_request=work.advance,
        )  # fmt: skip
    if as_json:
        left_out = {"n_prompts": len(read.world.prompts), "n_seen": read.n_seen, "n_incomplete": read.n_incomplete}
        click.echo(json.dumps(left_out | done.as_dict(), ensure_ascii=False))
    else:
        show(done, read, plain_console())


@contextmanager
def _said_if_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as exc:
        exc.add_note("what was simulated until then is in the log")
        raise


class Read(NamedTuple):
    """A world that was read from a table, and the prompts that are not in it.

    Attributes
    ----------
    world : World
    n_seen, n_incomplete : int
        Left out because the router was trained on them, or nearly; because an outcome or a cost is missing.
    """

    world: "World"
    n_seen: int
    n_incomplete: int


def read_world(
    path: Path,
    router: "Router",
    changes: Sequence["Change"] = (),
    *,
    include_seen: bool = False,
    challenger: "Router | None" = None,
) -> Read:
    """Read an outcome table as a world for a router.

    Parameters
    ----------
    path : of the Parquet table
    router : its models are those of the world; prompts that it was trained on are left out
    changes : models that answer for others are in the world, too
    include_seen : bool
        Keep prompts that the router was trained on.
    challenger : Router, optional
        Its models are in the world, too, and prompts that it was trained on are left out.

    Raises
    ------
    TableError
        If the table lacks a model, or no prompt is left.
    """
    import numpy as np

    from router_model.catalog import Catalog
    from router_model.errors import TableError
    from router_model.serving.simulation.world import Redirect, World
    from router_model.training.measuring.evaluate import near_seen, seen_before
    from router_model.training.table.costs import realised_costs
    from router_model.training.table.outcomes import read_outcomes

    routers = [router] if challenger is None else [router, challenger]
    others = [change.to for change in changes if isinstance(change, Redirect)]
    own = tuple(dict.fromkeys(model for one in routers for model in one.models))
    table = read_outcomes(path).select_models(tuple(dict.fromkeys((*own, *others))))
    billed = table.cost_usd
    if np.isnan(billed).any():  # the catalogs may not know models that only answer for others
        catalog = Catalog({model: card for one in reversed(routers) for model, card in one.catalog.cards.items()})
        billed = np.column_stack([realised_costs(table.select_models(own), catalog), billed[:, len(own) :]])
    complete = ~(np.isnan(table.quality) | np.isnan(billed)).any(axis=1)
    seen = np.any([seen_before(one, table.prompts) | near_seen(one, table.prompts) for one in routers], axis=0)
    rows = np.flatnonzero(complete if include_seen else complete & ~seen)
    n_seen, n_incomplete = 0 if include_seen else int(seen.sum()), int((~complete & (include_seen | ~seen)).sum())
    if not len(rows):
        raise TableError(
            f"{path}: no prompt is left to ask: {n_seen:,} were trained on, or nearly (--include-seen asks them, too), "
            f"and of {n_incomplete:,} an outcome or a cost of some model is missing"
        )
    kept = table.take(rows)
    names = ("quality", "input_tokens", "output_tokens", "latency_s")
    matrices = {name: getattr(kept, name) for name in names}
    world = World(kept.prompts, kept.tasks, kept.models, cost_usd=billed[rows], **matrices)
    return Read(world, n_seen, n_incomplete)


def show(done: "Simulated", read: Read, console: "Console") -> None:
    """Print the truth about a simulation for people."""
    of, n = done.counts, len(done.rows)
    left_out = [
        (read.n_seen, "left out because the router was trained on them, or nearly"),
        (read.n_incomplete, "left out because an outcome or a cost is missing"),
    ]
    said = "".join(f"; {count:,} {why}" for count, why in left_out if count)
    console.print(f"[bold]Asked[/] {n:,} requests, drawn from {counted(len(read.world.prompts), 'prompt')}{said}.")
    events = [
        ("explored", "another candidate explored"), ("kept", "model kept by the session"), ("degraded", "default plan"),
        ("fallbacks", "answered by a fallback"), ("refused", "refused, as no model takes the prompt"),
        ("judged", "answers judged"), ("judged_falsely", "of these falsely"), ("judged_twice", "of these twice"),
    ]  # fmt: skip
    said = ", ".join(f"{text} {of[name]:,}" for name, text in events if of.get(name))
    if said:
        console.print(sentence(said), style="dim")
    table = figures_table("what is true", "quality", "$ per 1k")
    values = done.values()
    for value in list(values)[:_SHOWN]:
        star = " *" if value is values.singles[0] else ""
        table.add_row(f"{value.label}{star}", f"{value.quality:.3f}", usd(1000 * value.cost_usd))
    print_table(console, table)
    if (n_more := len(list(values)) - _SHOWN) > 0:
        console.print(f"… and {n_more} other models (--json lists all)", style="dim")
    console.print(
        "* the best single model. In hindsight: the cheapest of the best answers to each request.", style="dim"
    )
    stretches = done.stretches()
    for stretch in stretches if len(stretches) > 1 else ():
        what = f" ({', '.join(stretch.changes)})" if stretch.changes else ""
        logged, best = stretch.values.logged, stretch.values.singles[0]
        console.print(f"From request {stretch.first:,}{what}:")
        console.print(f"  as logged {_in_words(logged)}; {best.label} {_in_words(best)}")


def _in_words(value: "Value") -> str:
    return f"{value.quality:.3f} for {usd(1000 * value.cost_usd)}"
