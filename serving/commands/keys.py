"""``router-model keys``."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router_model.help_pages import Group
from router_model.progress import working
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.commands.log import moment, spool_option, with_log
from router_model.serving.common.callers import Role
from router_model.serving.common.extra import needing_serve
from router_model.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router_model.serving.access.keys import Key

_FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("keys.toml"),
    show_default=True,
    envvar="ROUTER_KEYS",
    show_envvar=True,
    help="The key file.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_USED_SINCE = "90d"


class _Usd(click.ParamType[Decimal]):
    """An amount that can be a budget."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the amount."""
        try:
            return KeyBudget(Decimal(value)).usd
        except InvalidOperation:
            self.fail(f"{value!r}; expected a number of USD, such as 10 or 2.50", param, ctx)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


_SPAN = re.compile(r"(\d{1,5})([dhm])")


class _Span(click.ParamType[timedelta]):
    """A time from now on: ``90d``, ``12h`` or ``30m``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time."""
        if isinstance(value, timedelta):
            return value
        found = _SPAN.fullmatch(value)
        if found is None:
            self.fail(f"{value!r}; expected days, hours or minutes, such as 90d, 12h or 30m", param, ctx)
        return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[found[2]]: int(found[1])})


class _Expiry(click.ParamType[datetime]):
    """A moment in the future: a date or time, in UTC unless it says otherwise, or how long from now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment."""
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            if _SPAN.fullmatch(value) is None:
                self.fail(f"{value!r}; expected a date such as 2027-01-31, or 90d, 12h or 30m", param, ctx)
            moment = now + _Span().convert(value, param, ctx)
        try:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError:
            self.fail(f"{value!r}; expected a time that is in the calendar in UTC", param, ctx)
        if moment <= now:
            self.fail(f"{value!r} is over; expected a time from now on, such as 90d", param, ctx)
        return moment


@click.group(
    "keys",
    cls=Group,
    examples="""
    router-model keys create --name alice --role decide --role proxy
    router-model keys list
    """,
)
def command() -> None:
    """Make, list, rotate and revoke the keys of the service.

    The key file holds no key, only keyed hashes. They are made with the
    secret in ROUTER_KEYS_SECRET, or else in a file next to the key file.
    """


@command.command(
    "create",
    examples=r"""
    router-model keys create --name alice --role decide --role proxy \
      --budget-usd 20
    """,
    sections={"The key": "--name", "Limits": "--requests-per-minute", "File and output": "--file"},
)
@click.option("--name", required=True, help="What you call it, such as who uses it.")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    required=True,
    help="What it is for; can be repeated.",
)
@click.option("--expires", type=_Expiry(), help="When it ends: a date, or from now on, such as 90d [never].")
@click.option("--router", metavar="NAME", help="The router that 'auto' means to it [the service's].")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Its own limit [the service's].")
@click.option("--feedback-per-day", type=click.IntRange(min=0), help="Its own cap [the service's].")
@click.option("--max-concurrent", type=click.IntRange(min=1), help="Calls of models at a time [no limit].")
@click.option("--budget-usd", type=_Usd(), help="What its calls of models may cost [no limit].")
@click.option(
    "--budget-per",
    type=click.Choice([per.value for per in Per]),
    default=Per.MONTH.value,
    show_default=True,
    help="The period of the budget, in UTC; each one begins with all of it.",
)
@_FILE
@_JSON
def create(
    *,
    name: str,
    roles: tuple[str, ...],
    requests_per_minute: int | None,
    feedback_per_day: int | None,
    max_concurrent: int | None,
    budget_usd: Decimal | None,
    budget_per: str,
    expires: datetime | None,
    router: str | None,
    path: Path,
    as_json: bool,
) -> None:
    """Make a key and print it, this once.

    Only its hash is kept: it cannot be shown again.
    """
    from router_model.serving.access.issuing import create_key

    key, text = create_key(
        path,
        name=name,
        roles=map(Role, roles),
        requests_per_minute=requests_per_minute,
        feedback_per_day=feedback_per_day,
        max_concurrent=max_concurrent,
        budget=None if budget_usd is None else KeyBudget(budget_usd, Per(budget_per)),
        expires=expires,
        router=router,
    )
    _print_key(key, text, path, as_json=as_json)
    if Role.PROXY not in key.roles and (key.budget is not None or key.max_concurrent is not None):
        click.echo(
            "note: its limits apply to calls of models only, and it may not make any: it lacks the role proxy", err=True
        )


@command.command(
    "rotate",
    examples="""
    router-model keys rotate k7f3q9xw2m4t --overlap 7d
    """,
)
@click.argument("key_id", metavar="ID|KEY")
@click.option(
    "--overlap", type=_Span(), default="1d", show_default=True, help="How long the former text is valid, too; 0m: not."
)
@_FILE
@_JSON
def rotate(key_id: str, *, overlap: timedelta, path: Path, as_json: bool) -> None:
    """Give the key ID a new text and print it, this once.

    Its id, roles, limits, budget and decisions stay. Running services know the
    new text within a second.
    """
    from router_model.serving.access.issuing import rotate_key

    key, text = rotate_key(path, key_id, overlap=overlap)
    _print_key(key, text, path, as_json=as_json)
    click.echo(f"The former text is refused from {key.former_until:%Y-%m-%d %H:%M:%S} UTC on.", err=True)


@command.command(
    "list",
    examples="""
    router-model keys list
    router-model keys list --log sqlite:///router-log.db
    """,
)
@_FILE
@click.option("--log", "url", metavar="URL", help="The decision log: says when each key was last used.")
@click.option(
    "--since", type=moment, metavar="TIME", help=f"Use since then counts; needs --log or ROUTER_LOG [{_USED_SINCE}]."
)
@spool_option
@_JSON
def list_(*, path: Path, url: str | None, since: datetime | None, spool: Path, as_json: bool) -> None:
    """List the keys, those that have ended, too.

    With --log it says when each one last asked for a decision, called a model
    or reported something. What only reads, such as metrics, is not logged.
    """
    from router_model.serving.access.key_file import read_key_file

    if since is not None and url is None:
        # Not otherwise: keys have to be listed where the log cannot be reached, too.
        url = os.environ.get("ROUTER_LOG")
        if not url:
            raise click.UsageError(
                "--since is about the last use of keys, and the log knows it: add --log URL, or set ROUTER_LOG"
            )
    since = since or moment(_USED_SINCE)
    keys = list(read_key_file(path).keys.values())
    now, uses = datetime.now(UTC), None if url is None else _uses(url, spool, since)
    if as_json:
        known = [_described(key) | {"days_left": _days_left(key, now)} | _last_used(key, uses) for key in keys]
        click.echo(json.dumps(known, ensure_ascii=False))
    elif not keys:
        click.echo(f"{path} has no keys yet.")
    else:
        _show(keys, now, uses, since)


def _uses(url: str, spool: Path, since: datetime) -> "Mapping[str, datetime]":
    """Return when keys were last used."""
    with needing_serve("'keys list --log'"):
        from router_model.serving.decision_log.spend import last_used
        from router_model.serving.decision_log.store import Period

        with working("looking for the last use of keys"):
            return with_log(url, spool, lambda store: last_used(store, Period(since)))


def _last_used(key: "Key", uses: "Mapping[str, datetime] | None") -> dict[str, str | None]:
    if uses is None:
        return {}
    return {"last_used": uses[key.id].isoformat() if key.id in uses else None}


@command.command(
    "revoke",
    examples="""
    router-model keys revoke k7f3q9xw2m4t
    """,
)
@click.argument("key_id", metavar="ID|KEY")
@_FILE
def revoke(key_id: str, *, path: Path) -> None:
    """Revoke the key ID; running services refuse it within a second."""
    from router_model.serving.access.issuing import revoke_key

    key = revoke_key(path, key_id)
    click.echo(f"Key {key.id} ({key.name}) is revoked since {key.revoked:%Y-%m-%d %H:%M:%S} UTC.")


def _print_key(key: "Key", text: str, path: Path, *, as_json: bool) -> None:
    click.echo(json.dumps({**_described(key), "key": text}) if as_json else text)
    # On standard error, so that a script gets the key alone.
    click.echo(f"Key {key.id} ({key.name}: {_roles(key)}) is in {path}.", err=True)
    click.echo("Copy it now: it is printed this once, and only its hash is kept.", err=True)


def _roles(key: "Key") -> str:
    return ", ".join(role for role in Role if role in key.roles)


def _described(key: "Key") -> dict[str, Any]:
    """Return what may be shown of a key, as plain JSON types."""
    return {
        "id": key.id,
        "name": key.name,
        "roles": [role.value for role in Role if role in key.roles],
        "created": key.created.isoformat(),
        "revoked": key.revoked.isoformat() if key.revoked else None,
        "expires": key.expires.isoformat() if key.expires else None,
        "former_expires": key.former_expires.isoformat() if key.former_expires else None,
        "requests_per_minute": key.requests_per_minute,
        "feedback_per_day": key.feedback_per_day,
        "max_concurrent": key.max_concurrent,
        "budget_usd": None if key.budget is None else float(key.budget.usd),
        "budget_per": None if key.budget is None else key.budget.per.value,
        "router": key.router,
    }


def _show(keys: "list[Key]", now: datetime, uses: "Mapping[str, datetime] | None", since: datetime) -> None:
    """Print a table; without the limits that no key has."""
    has_routers = any(key.router is not None for key in keys)
    head = ["id", "name", "roles", "created", "requests/min", "feedback/day", "concurrent", "budget"]
    head += [*(["router"] if has_routers else []), *([] if uses is None else ["last used (UTC)"]), "state"]
    rows = [
        (
            key.id,
            key.name,
            _roles(key),
            f"{key.created:%Y-%m-%d %H:%M}",
            "default" if key.requests_per_minute is None else str(key.requests_per_minute),
            "default" if key.feedback_per_day is None else str(key.feedback_per_day),
            "any" if key.max_concurrent is None else str(key.max_concurrent),
            "none" if key.budget is None else str(key.budget),
            *(["-" if key.router is None else key.router] if has_routers else []),
            *([] if uses is None else [f"{uses[key.id]:%Y-%m-%d %H:%M}" if key.id in uses else "-"]),
            _state(key, now),
        )
        for key in keys
    ]
    # A limit that no key has takes a column from a terminal of 80.
    unset = {"requests/min": "default", "feedback/day": "default", "concurrent": "any", "budget": "none"}
    columns = [column for column in zip(head, *rows, strict=True) if {*column[1:]} != {unset.get(column[0])}]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if uses is not None:
        click.echo(f"-: nothing of it is in the log since {since:%Y-%m-%d %H:%M} UTC.")


def _days_left(key: "Key", now: datetime) -> int | None:
    """Return the whole days until a key expires, 0 of one that has ended; None: it does not expire."""
    if key.revoked is not None:
        return 0
    return None if key.expires is None else max((key.expires - now).days, 0)


def _state(key: "Key", now: datetime) -> str:
    if key.revoked is not None:
        return f"revoked {key.revoked:%Y-%m-%d %H:%M}"
    if key.expires is not None and key.expires <= now:
        return f"expired {key.expires:%Y-%m-%d %H:%M}"
    state = "valid"
    if key.expires is not None:
        state += f" until {key.expires:%Y-%m-%d %H:%M} ({counted(_days_left(key, now) or 0, 'day')} left)"
    if key.former_until is not None and key.former_until > now:
        state += f"; its former text until {key.former_until:%Y-%m-%d %H:%M}"
    return state
