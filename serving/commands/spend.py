"""``router-model spend``: what calls cost by key, model, provider, router or day, and what is left of budgets."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from router_model.help_pages import Command
from router_model.progress import working
from router_model.serving.commands.log import log_option, moment, spool_option, with_log
from router_model.serving.common.extra import needing_serve
from router_model.wording import counted, usd

if TYPE_CHECKING:
    from router_model.serving.access.key_file import KeyFile

_BY: Final = ("key", "model", "provider", "router", "day")
_WITHOUT: Final = {"key": "without a key", "model": "unknown", "provider": "unknown", "router": "not known"}


@click.command(
    "spend",
    cls=Command,
    examples=r"""
    router-model spend --log sqlite:///router-log.db --since 30d
    # each key's models, with the keys' names and what is left of budgets
    router-model spend --by key --by model --keys keys.toml
    """,
)
@click.option("--by", type=click.Choice(_BY), multiple=True, help="What it is grouped by; repeatable [key].")
@click.option("--since", type=moment, default="30d", show_default=True, metavar="TIME", help="Calls since then.")
@click.option("--until", type=moment, metavar="TIME", help="Calls before then [now].")
@click.option(
    "--keys", "key_file", type=click.Path(path_type=Path, dir_okay=False), envvar="ROUTER_KEYS",
    show_envvar=True, help="The key file: for names and budgets.",
)  # fmt: skip
@click.option(
    "--budget-file", type=click.Path(path_type=Path, dir_okay=False), default=Path("router-budgets.db"),
    envvar="ROUTER_BUDGET_FILE", show_default=True, show_envvar=True, help="Where the service keeps budgets.",
)  # fmt: skip
@log_option
@spool_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    *,
    by: tuple[str, ...],
    since: datetime,
    until: datetime | None,
    key_file: Path | None,
    budget_file: Path,
    url: str,
    spool: Path,
    as_json: bool,
) -> None:
    """Say what calls cost, by key, model, provider, router or day.

    With --keys it also says what is left of each key's budget. It reads the
    decision log: costs are those of calls that were forwarded here, and of reports of other calls.
    """
    with needing_serve("'spend'"):
        from router_model.serving.access.key_file import read_key_file  # noqa: PLC0415  (--help stays fast)
        from router_model.serving.decision_log.spend import By, spent  # noqa: PLC0415
        from router_model.serving.decision_log.store import Period  # noqa: PLC0415

        if until is not None and since >= until:
            raise click.UsageError(
                f"--since {since:%Y-%m-%dT%H:%MZ} is not earlier than --until {until:%Y-%m-%dT%H:%MZ}"
            )
        groups = tuple(map(By, dict.fromkeys(by))) or (By.KEY,)
        with working("adding up calls"):
            rows = with_log(url, spool, lambda store: spent(store, Period(since, until), groups))
        keys = None if key_file is None else read_key_file(key_file)
        budgets = [] if keys is None else _left(keys, budget_file)
    names = {} if keys is None else {key.id: key.name for key in keys.keys.values()}
    if as_json:
        rows = [row | {"last_used": row["last_used"].isoformat()} for row in rows]
        click.echo(json.dumps({"spend": rows, "budgets": budgets}, ensure_ascii=False))
    else:
        _show(rows, groups, names, since)
        _show_budgets(budgets, names)


def _left(keys: "KeyFile", budget_file: Path) -> list[dict[str, Any]]:
    """Return what is left of budgets; what nothing was spent of yet is whole."""
    from router_model.serving.access.budgets import Budgets  # noqa: PLC0415
    from router_model.serving.access.key_budget import usd_of  # noqa: PLC0415

    with_budget = [(key.id, key.budget) for key in keys.keys.values() if key.budget and key.revoked is None]
    if not budget_file.exists():  # opening it would make it, perhaps as a user that the service is not
        return [_budget(key, str(budget), float(budget.usd), 0.0, float(budget.usd)) for key, budget in with_budget]
    ledger = Budgets(budget_file)
    try:
        return [
            _budget(key, str(budget), *(float(usd_of(one)) for one in (of.limit, of.spent + of.reserved, of.remaining)))
            for key, budget, of in ledger.standings(with_budget)
        ]
    finally:
        ledger.close()


def _budget(key: str, budget: str, limit: float, used: float, left: float) -> dict[str, Any]:
    return {"key": key, "budget": budget, "limit_usd": limit, "spent_or_reserved_usd": used, "left_usd": left}


def _show(rows: list[dict[str, Any]], by: tuple[str, ...], names: Mapping[str, str], since: datetime) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from router_model.terminal_tables import print_table  # noqa: PLC0415

    if not rows:
        click.echo(f"No calls since {since:%Y-%m-%d %H:%M} UTC.")
        return
    n_calls, total = sum(row["calls"] for row in rows), sum(row["usd"] for row in rows)
    click.echo(f"{usd(total)} for {counted(n_calls, 'call')} since {since:%Y-%m-%d %H:%M} UTC.")
    if unpriced := sum(row["unpriced"] for row in rows):
        click.echo(f"Without {counted(unpriced, 'call')} of unknown cost: the catalog lacks a price.")
    table = Table(box=None, pad_edge=False)
    table.add_column(", ".join(by), overflow="fold")
    for name in ("cost", "calls", "tokens in", "out"):
        table.add_column(name, justify="right")
    table.add_column("last used (UTC)")
    for row in rows:
        said = [_said(one, row, names) for one in by]
        last = f"{row['last_used']:%Y-%m-%d %H:%M}"
        counts = (f"{row[name]:,}" for name in ("calls", "input_tokens", "output_tokens"))
        table.add_row(escape(", ".join(said)), usd(row["usd"]), *counts, last)
    print_table(Console(), table)


def _show_budgets(budgets: list[dict[str, Any]], names: Mapping[str, str]) -> None:
    for one in budgets:
        left, limit = usd(one["left_usd"]), usd(one["limit_usd"])
        click.echo(f"Budget of {names[one['key']]} ({one['key']}), {one['budget']}: {left} of {limit} left.")


def _said(by: str, row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    value = row[by]
    if value is None:
        return "a model was named" if row.get("model_named") and by == "router" else _WITHOUT[by]
    return f"{names[value]} ({value})" if by == "key" and value in names else value
