"""Read ``providers.toml``: which providers are called, at which URLs, with which keys; see docs/providers.md.

::

    [openai]
    kind = "openai"                                    # openai, anthropic, gemini, echo
    base_url = "https://api.openai.com/v1"
    keys = ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]      # NAMES of environment variables
    models = {"openai/gpt-4o" = "gpt-4o", "openai/*" = "*"}
    headers = {openai-organization = "org-1"}
    deadlines = {connect_s = 5, first_token_s = 60, idle_s = 60, total_s = 600}
    max_connections = 200
    collects_data = true                               # false: keeps no prompts, so data_collection = deny may call it
    stream_whole_answers = true                        # false: whole answers are asked for as such

A table ``aliases`` beside them says which model is meant by a name that a client cannot be told to change::

    [aliases]
    "claude-opus-*" = "auto"
    "gpt-5*" = {model = "auto", target_success = 0.9}  # and other options of the body's ``router``

A file of aliases alone is one, too: nothing is forwarded, and `POST /v1/systemone` reads them as names of options.

Everything that can be wrong is said when the file is read, one thing at a time, and never with a secret in it.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, Final

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.providers.base_urls import DEFAULTS, ECHO, checked_base_url
from router_model.serving.providers.provider import STAR, Deadlines, Kind, Provider
from router_model.serving.providers.secret_values import read_keys, read_proxy

ALIASES: Final = "aliases"
_EXAMPLE: Final = "deploy/providers.example.toml"
_KEYS: Final = (
    *("kind", "base_url", "keys", "models", "headers", "deadlines", "max_connections", "collects_data"),
    *("allow_http", "proxy", "stream_whole_answers"),
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect"),
        *("host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_KEY_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-api-key", "x-goog-api-key", "api-key"})


def load_providers(path: str | Path, environ: Mapping[str, str] | None = None) -> tuple[Provider, ...]:
    """Read a file of providers, in its order.

    Parameters
    ----------
    path : str or Path
    environ : where keys are looked up; default: the process' environment

    Raises
    ------
    SettingsError
        If it cannot be read, or anything in it is wrong.
    """
    return parse_providers(_content(path), origin=str(path), environ=os.environ if environ is None else environ)


def load_aliases(path: str | Path) -> tuple["Alias", ...]:
    """Read the aliases of a file of providers, in its order.

    Raises
    ------
    SettingsError
        If one is not a pair of a name and a model.
    """
    document = _document(_content(path), str(path))
    return tuple(_alias(name, meant, f"{path}: alias {name!r}") for name, meant in document.get(ALIASES, {}).items())


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that callers ask for, and what is meant.

    Attributes
    ----------
    pattern : a model's name, or a glob over such names
    model : what is asked for instead; ``auto`` leaves the choice to the router
    options : of the body's ``router``, for callers that do not say them
    """

    pattern: str
    model: str
    options: Mapping[str, Any]


def _alias(name: str, meant: object, where: str) -> Alias:
    options = {"model": meant} if isinstance(meant, str) else dict(meant) if isinstance(meant, dict) else {}
    model = options.pop("model", None)
    if not name or not isinstance(model, str) or not model:
        raise SettingsError(f"{where}: names no model; expected 'NAME' = 'auto', or = {{model = 'auto', ...}}")
    return Alias(name, model, options)


def _content(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")  # Windows editors put a mark before it
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: the providers cannot be read ({exc}); expected a file like {_EXAMPLE}") from exc


def _document(content: str, origin: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{origin}: not valid TOML ({exc})") from exc
    for name, entry in document.items():
        if not isinstance(entry, dict):
            raise SettingsError(
                f"{origin}: {name!r} stands outside of a table; expected one table [NAME] for each provider"
            )
    return document


def with_default_plan(settings: Settings, providers: Sequence[Provider]) -> Settings:
    """Return settings in which a service without a router knows what "auto" means.

    Where neither an artifact nor a default plan is named, it means the models that the file of providers names, in
    their order. A provider of the kind "echo" that serves any name stands for one model, "echo".

    Raises
    ------
    SettingsError
        If there is neither, and no provider.
    """
    if settings.artifact is not None or settings.router or settings.default_plan or settings.starts:
        return settings
    if not providers:
        raise SettingsError(
            f"{settings.providers}: has aliases alone, and there is no router; expected tables [NAME], as in {_EXAMPLE}"
            ", or --artifact ROUTER"
        )
    named = [model for provider in providers for model in provider.models if STAR not in model]
    if not named and any(one.kind is Kind.ECHO and one.upstream_model(Kind.ECHO) for one in providers):
        named = [Kind.ECHO]
    return settings.model_copy(update={"default_plan": tuple(dict.fromkeys(named))})


def parse_providers(content: str, *, origin: str, environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Read providers from text; `origin` names it in errors."""
    document = _document(content, origin)
    aliases = document.pop(ALIASES, None)
    if not document and not aliases:
        raise SettingsError(f"{origin}: has no providers; expected tables [NAME], as in {_EXAMPLE}")
    return tuple(
        _provider(name, _Table(entry, f"{origin}: provider {name!r}"), environ) for name, entry in document.items()
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the file; values are taken from it by type, and never shown where they could be secrets."""

    entries: Mapping[str, Any]
    where: str

    def allow(self, known: Collection[str], what: str = "key") -> None:
        """Refuse keys that are not known."""
        for key in self.entries:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                meant = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
                raise SettingsError(f"{self.where}: unknown {what} {key!r}; {meant}")

    def text(self, key: str) -> str | None:
        value = self.entries.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise SettingsError(f"{self.where}: {key} is not a text; expected one in quotes")
        return value

    def number(self, key: str, default: float, *, whole: bool = False) -> float:
        value = self.entries.get(key, default)
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not right or not 0 < value < inf:
            raise SettingsError(
                f"{self.where}: {key} is {value!r}; expected a {'whole ' if whole else ''}number above 0"
            )
        return float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self.entries.get(key, default)
        if not isinstance(value, bool):
            raise SettingsError(f"{self.where}: {key} is {value!r}; expected true or false")
        return value

    def table(self, key: str) -> "_Table":
        value = self.entries.get(key, {})
        if not isinstance(value, dict):
            raise SettingsError(f"{self.where}: {key} is not a table; expected {key} = {{...}}")
        return _Table(value, f"{self.where}: {key}")

    def texts(self, key: str, example: str) -> list[str]:
        value = self.entries.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise SettingsError(f"{self.where}: {key} is not a list of names; expected one like {key} = [{example!r}]")
        if len(set(value)) < len(value):
            raise SettingsError(f"{self.where}: {key} has an entry twice; remove one of them")
        return value


def _provider(name: str, table: _Table, environ: Mapping[str, str]) -> Provider:
    if _NAME.fullmatch(name) is None:
        raise SettingsError(f"{table.where}: expected a name of letters, digits, '-', '_' and '.' (64 at most)")
    table.allow(_KEYS)
    kind = _kind(table)
    base_url = _base_url(name, kind, table)
    variables = tuple(table.texts("keys", "OPENAI_API_KEY"))
    if not variables and base_url == DEFAULTS.get(kind):
        raise SettingsError(
            f"{table.where}: has no keys; expected keys = ['{_vendor(kind).upper()}_API_KEY'] or other names"
        )
    read_keys(variables, environ, where=table.where)
    proxy = table.text("proxy")
    if proxy is not None:
        read_proxy(proxy, environ, where=table.where)
    return Provider(
        name=name,
        kind=kind,
        base_url=base_url,
        key_variables=variables,
        models=_models(table),
        headers=_headers(table.table("headers")),
        deadlines=_deadlines(table.table("deadlines")),
        max_connections=int(table.number("max_connections", 200, whole=True)),
        collects_data=kind is not Kind.ECHO and table.flag("collects_data", default=True),
        proxy_variable=proxy,
        stream_whole_answers=table.flag("stream_whole_answers", default=True),
    )


def _kind(table: _Table) -> Kind:
    said = table.text("kind")
    if said is None:
        raise SettingsError(f"{table.where}: lacks 'kind', the format it speaks; expected {', '.join(Kind)}")
    try:
        return Kind(said)
    except ValueError as exc:
        raise SettingsError(
            f"{table.where}: kind is {said!r}; expected {', '.join(Kind)} (most others speak openai, with a base_url)"
        ) from exc


def _base_url(name: str, kind: Kind, table: _Table) -> str:
    url = table.text("base_url")
    if kind is Kind.ECHO:
        for key in ("base_url", "keys", "proxy"):
            if key in table.entries:
                raise SettingsError(f"{table.where}: kind echo answers in this process; remove {key!r}")
        return ECHO
    if url is not None:
        return checked_base_url(url, allow_http=table.flag("allow_http"), where=table.where)
    if not name.lower().startswith(_vendor(kind)):  # a key must not be sent to somebody else for want of a line
        raise SettingsError(
            f"{table.where}: lacks 'base_url'; expected one (the default, {DEFAULTS[kind]}, is for providers whose "
            f"name begins with {_vendor(kind)!r})"
        )
    return DEFAULTS[kind]


def _vendor(kind: Kind) -> str:
    """Return whose format a kind is.

    >>> _vendor(Kind.RESPONSES), _vendor(Kind.GEMINI)
    ('openai', 'gemini')
    """
    return kind.value.partition("-")[0]


def _models(table: _Table) -> dict[str, str]:
    entries = table.entries.get("models")
    pairs = {model: model for model in table.texts("models", "openai/gpt-4o")} if isinstance(entries, list) else entries
    if not pairs or not isinstance(pairs, dict):
        raise SettingsError(
            f"{table.where}: has no models; expected models = {{OURS = THEIRS}}, or a list where both are the same"
        )
    for ours, theirs in pairs.items():
        if not ours or not isinstance(theirs, str) or not theirs:
            raise SettingsError(f"{table.where}: models: {ours!r} is not a pair of texts; expected 'OURS' = 'THEIRS'")
        if ours.count(STAR) != theirs.count(STAR) or ours.count(STAR) > 1:
            raise SettingsError(
                f"{table.where}: models: {ours!r} = {theirs!r}; expected one '*' on both sides, or none"
            )
    return dict(pairs)


def _headers(table: _Table) -> dict[str, str]:
    headers: dict[str, str] = {}
    for said, value in table.entries.items():
        name = said.lower()
        if name in _KEY_HEADERS:
            raise SettingsError(f"{table.where}: {said!r} would contain a key; name its environment variable in 'keys'")
        if name in _OUR_HEADERS or _HEADER_NAME.fullmatch(name) is None or name in headers:
            raise SettingsError(f"{table.where}: {said!r} cannot be set; expected a header's name, once")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise SettingsError(f"{table.where}: the value of {said!r} cannot be sent; expected text in ASCII")
        headers[name] = value
    return headers


def _deadlines(table: _Table) -> Deadlines:
    names = [field.name for field in fields(Deadlines)]
    table.allow(names, "deadline")
    given = {name: table.number(name, 0.0) for name in names if name in table.entries}
    return replace(Deadlines(), **given)
