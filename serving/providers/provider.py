"""What is known of a provider, and the (model, provider) pairs that can be called."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from router_model.catalog import ModelCard

_OPENROUTER: Final = re.compile(r"https?://([\w-]+\.)*openrouter\.ai(/|:|$)")


class Kind(StrEnum):
    """The format a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    ECHO = "echo"
    """OpenAI's format, answered in this process without any network."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Longest times a provider may take, in seconds.

    Attributes
    ----------
    connect_s : to connect, or to get a free connection
    first_token_s : from sending to the first token of a stream
    idle_s : between two pieces of a stream; keep-alive comments do not count
    total_s : for the whole call of one attempt, a stream included
    """

    connect_s: float = 5.0
    first_token_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of ``providers.toml``.

    Attributes
    ----------
    name : str
    kind : Kind
    base_url : str
        Without a slash at its end, e.g. ``https://api.openai.com/v1``; the only place upstream URLs come from.
    key_variables : names of environment variables, one a key; empty: no key is sent
    models : mapping of our model id to the provider's
    headers : sent with every request, e.g. ``openai-organization``
    deadlines : Deadlines
    max_connections : int
    collects_data : bool
        Whether it may keep prompts, e.g. to train on them: a request with ``data_collection: deny`` leaves it out.
    """

    name: str
    kind: Kind
    base_url: str
    key_variables: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    deadlines: Deadlines = field(default_factory=Deadlines)
    max_connections: int = 200
    collects_data: bool = True

    @property
    def is_openrouter(self) -> bool:
        """Whether it is OpenRouter itself, which reads ``provider`` and ``plugins`` of a body."""
        return _OPENROUTER.match(self.base_url) is not None


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider: what an attempt calls.

    Attributes
    ----------
    model : our id, which answers carry
    provider : Provider
    upstream_model : the provider's id
    card : prices and limits; None where the catalog has none
    """

    model: str
    provider: Provider
    upstream_model: str
    card: ModelCard | None = None

    @property
    def name(self) -> str:
        """For logs and metrics, e.g. ``openai:openai/gpt-4o``."""
        return f"{self.provider.name}:{self.model}"
