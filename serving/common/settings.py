"""All settings of the service: their defaults, how they are read, and how workers get them.

One source for the command line (`router-model serve`), the environment (``ROUTER_`` and the name in capitals, which
is also how settings reach several workers) and tests. Values are checked here; whether files exist is checked where
they are opened.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError, to_json
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as VariableError

from router_model.serving.common.log_lines import LogFormat
from router_model.serving.common.masking import masked_url
from router_model.serving.common.router_names import DEFAULT_ROUTER, split_named
from router_model.serving.common.service_errors import SettingsError

URLS: Final = frozenset({"log", "session_store"})
"""Settings that are URLs and may have a password in them; never shown as they are."""


_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\[\]:-]+")


class PromptStorage(StrEnum):
    """How much of a prompt the decision log keeps."""

    FULL = "full"
    FEATURES = "features"
    HASH = "hash"
    NONE = "none"


class BudgetFailure(StrEnum):
    """How calls are treated while budgets cannot be read or written."""

    CLOSED = "closed"
    OPEN = "open"


class Settings(BaseSettings):
    """The settings of the service.

    Examples
    --------
    >>> Settings(artifact="my-router").decision_deadline_s
    0.25
    """

    # errors say which setting is wrong, not what was given: that may be a URL with a password
    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True, extra="forbid", hide_input_in_errors=True)

    # what decides
    artifact: Path | None = Field(None, description="A router's folder, what names one, or a folder of 'promote'.")
    catalog: Path | None = Field(
        None,
        description="Prices and capabilities instead of the router's own; without one, what a starter is made of.",
    )
    encoder: str | None = Field(None, description="The encoder, where the router was trained with one of your own.")
    router: tuple[str, ...] = Field((), description="Another router, as NAME=ARTIFACT: 'auto:NAME' asks it.")
    router_catalog: tuple[str, ...] = Field((), description="NAME=FILE: as --catalog, of one of these routers.")
    default_plan: tuple[str, ...] = Field((), description="Models to answer with when deciding fails, best first.")
    decision_deadline_s: float = Field(0.25, gt=0, description="After it a request gets the default plan.")
    reload_every_s: float = Field(
        2.0, gt=0, description="How often artifact and providers' file are looked at for newer ones."
    )
    max_batch: int = Field(256, ge=1, description="Requests in one batch.")

    # exploration
    explore_share: float | None = Field(
        None, ge=0, le=1, description="Share of decisions that try another candidate; without it 0, of a starter 0.1."
    )
    explore_max_p_drop: float = Field(0.1, ge=0, le=1, description="P(success) below which a candidate is tried less.")
    explore_max_cost_ratio: float = Field(3.0, gt=0, description="Times the chosen one's cost a tried one may cost.")

    # a canary, of a folder of published routers
    canary_every_s: float = Field(60.0, gt=0, description="How often the canary's sessions are looked at.")
    canary_window_s: float = Field(900.0, gt=0, description="When a session's grades, cost and latency count.")
    canary_alpha: float = Field(0.05, gt=0, lt=1, description="Probability that an equal canary is ever stopped.")
    canary_quality_loss: float = Field(0.01, ge=0, lt=1, description="Quality that the canary may lose.")
    canary_cost_rise: float = Field(0.1, ge=0, le=5, description="Share of the cost by which it may be dearer.")
    canary_latency_rise: float = Field(0.2, ge=0, description="Share of the latency by which it may be slower.")

    # promotions from the console
    promotion_table: Path | None = Field(
        None, description="Table of held-out outcomes. The console compares a challenger with the champion on it."
    )

    # levels
    follow_levels: float = Field(
        0.0, ge=0, le=4, description="Largest shift of a model's log odds that feedback may bring between retrains."
    )
    follow_every_s: float = Field(10.0, gt=0, description="How often feedback is looked at for it.")

    # sessions
    session_ttl_s: float = Field(3600.0, gt=0, description="A session that is silent for longer is forgotten.")
    session_cache_ttl_s: float = Field(300.0, ge=0, description="How long providers keep a prompt cache.")
    max_sessions: int = Field(100_000, ge=1, description="Sessions kept in memory; the oldest go first.")
    session_store: str = Field("memory", description="'memory', 'log' (the log's database) or a redis:// URL.")

    # proxy
    providers: Path | None = Field(None, description="The file of providers; without it nothing is forwarded.")
    proxy_total_s: float = Field(600.0, gt=0, description="Longest time a forwarded call may take, all attempts.")

    proxy_max_attempts: int = Field(6, ge=1, le=6, description="Calls of providers for one forwarded call, at most.")
    proxy_keep_alive_s: float = Field(15.0, gt=0, description="A stream that is silent for so long gets a comment.")

    # decision log
    log: str = Field(
        "sqlite+aiosqlite:///router-log.db", description="sqlite://, postgresql://, parquet:folder or none."
    )
    log_prompts: PromptStorage | None = Field(None, description="What is kept of prompts; full on loopback, else hash.")
    log_key: Path | None = Field(None, description="Key file that seals features of prompts ('log new-key' makes it).")
    log_prompt_chars_a_minute: int = Field(
        200_000_000, ge=0, description="Of one key's prompts that are kept in full or as features; beyond it, neither."
    )
    store_responses: bool = Field(
        default=False,
        description="Keep the answers of /v1/responses with their input, for 'previous_response_id' and GET.",
    )
    log_spool: Path = Field(Path("router-spool"), description="Folder for records while the log is away.")
    log_queue: int = Field(20_000, ge=1, description="Records waiting for the writer; more go to the spool.")
    log_flush_s: float = Field(0.2, gt=0, description="Longest time a record waits before it is written.")
    log_retention_days: float | None = Field(None, gt=0, description="Older records are deleted; none: kept.")

    # access
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8484, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, description="Processes.")
    keys: Path | None = Field(None, description="The key file that 'router-model keys' writes.")
    insecure: bool = Field(default=False, description="Run without keys; on loopback only.")
    trusted_hosts: tuple[str, ...] = Field((), description="Host headers that are answered; empty: loopback's, host's.")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins of web pages that may call: https://chat.example.com; empty: none."
    )
    requests_per_minute: int | None = Field(None, ge=1, description="For each key, unless the key says otherwise.")
    feedback_per_day: int = Field(100_000, ge=0, description="For each key, unless the key says otherwise.")
    budget_usd: float | None = Field(
        None, gt=0, le=1e9, description="What calls of models may cost a day (UTC), all keys together."
    )
    budget_file: Path = Field(Path("router-budgets.db"), description="Where budgets are kept, once there are any.")
    budget_failure: BudgetFailure = Field(
        BudgetFailure.CLOSED,
        description="Calls where budgets cannot be kept (a full disk): closed refuses them, open lets them through.",
    )
    max_body_bytes: int = Field(8_388_608, ge=1, description="Larger requests are refused.")
    max_call_bytes: int = Field(33_554_432, ge=1, description="Larger calls to forward are refused; images count.")
    max_header_bytes: int = Field(32_768, ge=1, description="Larger headers are refused.")
    max_headers: int = Field(100, ge=1, description="More headers are refused.")
    body_deadline_s: float = Field(30.0, gt=0, description="Longest time a body may take to arrive.")
    max_json_depth: int = Field(64, ge=1, description="Deeper bodies are refused.")
    max_json_parts: int = Field(
        200_000, ge=1, description="Values in a body; an object, an array or a field counts four."
    )
    max_messages: int = Field(
        5000, ge=1, description="Messages of a body, or texts to embed; content parts: twice as many in all of them."
    )
    max_tools: int = Field(1024, ge=1, description="Tools of a body.")
    max_list_items: int = Field(
        1000, ge=1, description="Entries of any other list or object of a body: names, globs, metadata, stops."
    )

    # log lines
    log_format: LogFormat = Field(LogFormat.TEXT, description="Lines of standard error: text, or a JSON object each.")
    access_log: bool = Field(default=False, description="Write a line for each request, with its ids.")

    # ending
    drain_s: float = Field(10.0, ge=0, description="How long requests may take after SIGTERM.")

    @field_validator("router", "router_catalog")
    @classmethod
    def _are_named(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no NAME=PATH, and names and paths that are there twice."""
        try:
            pairs = [split_named(one) for one in given]
        except ValueError as exc:
            raise PydanticCustomError("named", "{why}", {"why": str(exc)}) from None
        for place, (name, _) in enumerate(pairs):
            if name in (other for other, _ in pairs[:place]):
                raise PydanticCustomError(
                    "named_twice", "the name '{name}' is there twice; give each router its own", {"name": name}
                )
        return given

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no origin; a star would let any page use a key that its visitor has, or the whole service."""
        for origin in origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise PydanticCustomError(
                    "origin", "got '{origin}'; expected an origin such as https://chat.example.com", {"origin": origin}
                )
        return origins

    @model_validator(mode="after")
    def _decides_somehow(self) -> "Settings":
        """Refuse settings by which the service could neither decide nor forward."""
        named = self.artifact, self.providers, self.catalog
        if not (any(one is not None for one in named) or self.router or self.default_plan):
            raise PydanticCustomError(
                "no_artifact",
                "no artifact: expected the folder of a trained router, or ROUTER_ARTIFACT; 'router-model train' makes "
                "one. Without a router, --catalog FILE decides by what it says of models, --providers FILE forwards "
                "calls, and --default-plan MODEL is what 'auto' means",
            )
        return self

    @model_validator(mode="after")
    def _routers_differ(self) -> "Settings":
        """Refuse routers of one name or one artifact, and catalogs of routers that are not there."""
        named = dict(map(split_named, self.router))
        if named and self.artifact is None and self.catalog is not None:
            raise PydanticCustomError(
                "catalog_of_which",
                "--catalog {path}: with --router and without ARTIFACT it is of none of the routers; expected "
                "--router-catalog NAME={path}, where NAME is one of {names}",
                {"path": str(self.catalog), "names": ", ".join(named)},
            )
        if DEFAULT_ROUTER in named and self._has_nameless:
            raise PydanticCustomError(
                "default_twice",
                "--router {name}=…: the router without a name (ARTIFACT) is called that already; choose another name",
                {"name": DEFAULT_ROUTER},
            )
        seen = {} if self.artifact is None else {self.artifact.absolute(): DEFAULT_ROUTER}
        for name, path in named.items():
            other = seen.setdefault(Path(path).absolute(), name)
            if other != name:
                raise PydanticCustomError(
                    "artifact_twice",
                    "--router: '{other}' and '{name}' are both {path}; give each router an artifact of its own",
                    {"other": other, "name": name, "path": path},
                )
        for name in dict(map(split_named, self.router_catalog)):
            if name not in named:
                raise PydanticCustomError(
                    "catalog_of_nobody",
                    "--router-catalog {name}=…: there is no --router {name}=…; its names are {names}",
                    {"name": name, "names": ", ".join(named) or "none"},
                )
        return self

    @property
    def _has_nameless(self) -> bool:
        """Whether there is a router that ``router`` does not name."""
        return self.artifact is not None or not self.router

    @property
    def by_router(self) -> "dict[str, Settings]":
        """The settings of each router by its name, for the parts that know one router; ``auto`` means the first.

        That is the one that has no name or is called `DEFAULT_ROUTER`, else the one that ``router`` names first. What
        is about one artifact, its catalog and its table for promotions, is not the other routers'.
        """
        alone: dict[str, Any] = {"router": (), "router_catalog": ()}
        catalogs = {name: Path(path) for name, path in map(split_named, self.router_catalog)}
        found = {DEFAULT_ROUTER: self.model_copy(update=alone)} if self._has_nameless else {}
        for name, path in map(split_named, self.router):
            own = {"artifact": Path(path), "catalog": catalogs.get(name), "promotion_table": None}
            found[name] = self.model_copy(update=alone | own)
        first = DEFAULT_ROUTER if DEFAULT_ROUTER in found else next(iter(found))
        return {first: found[first]} | found

    @property
    def starts(self) -> bool:
        """Whether a starter decides: there is a catalog, and neither an artifact nor a default plan."""
        return self.artifact is None and self.catalog is not None and not self.default_plan

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what ``repr`` and ``str`` show: passwords are masked."""
        for name, value in super().__repr_args__():
            yield name, masked_url(value) if name in URLS else value


def read_settings(**options: Any) -> Settings:
    """Return the settings of options; what was not given comes from the environment, or is the default.

    Raises
    ------
    SettingsError
        If one is out of its range; the message names the option.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        return Settings(**given)
    except VariableError as exc:  # of a list that is no JSON; the message names the field
        name = next((one for one in Settings.model_fields if f'"{one}"' in str(exc)), "")
        raise SettingsError(f"""{variable(name)}: expected a list as JSON has it, such as '["a", "b"]'""") from None
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        # An error without a place is about the settings as a whole, so there is no option to name.
        if not first["loc"]:
            raise SettingsError(first["msg"]) from None
        name = str(first["loc"][0])
        raise SettingsError(f"{option_name(name)} (or {variable(name)}): {_lowered(first['msg'])}") from None


def option_name(name: str) -> str:
    """Return a setting's option.

    >>> option_name("max_body_bytes")
    '--max-body-bytes'
    """
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return a setting's environment variable.

    >>> variable("max_body_bytes")
    'ROUTER_MAX_BODY_BYTES'
    """
    return f"ROUTER_{name.upper()}"


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that hand the settings to the processes of a service.

    >>> as_environment(Settings(artifact="r", trusted_hosts=("a", "b")))["ROUTER_TRUSTED_HOSTS"]
    '["a","b"]'
    """
    values = settings.model_dump(mode="json", exclude_none=True)
    return {variable(name): one if isinstance(one, str) else to_json(one).decode() for name, one in values.items()}


def _lowered(message: str) -> str:
    return message[0].lower() + message[1:]
