"""A provider's description, and the (model, provider) pairs that can be called."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from router_model.catalog import ModelCard

_OPENROUTER: Final = re.compile(r"https?://([\w-]+\.)*openrouter\.ai(/|:|$)")
STAR: Final = "*"
"""Stands in an id of `Provider.models` for any characters, one at least."""
_PLAIN_ID: Final = re.compile(r"(?!.*\.\.)[\w@][\w.:/@+~-]{0,255}", re.ASCII)
"""The characters that a caller may fill a star with; they are limited, because ids of models get into URLs."""


class Kind(StrEnum):
    """The format a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    RESPONSES = "openai-responses"
    """OpenAI's Responses."""
    ECHO = "echo"
    """OpenAI's format, answered in this process without any network."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Longest times a provider may take, in seconds.

    Attributes
    ----------
    connect_s : to connect, or to get a free connection
    first_token_s : from sending to the first token of a stream; None: by what the model has lately needed
    idle_s : between two pieces of a stream, where keep-alive comments do not count; None: likewise
    total_s : for the whole call of one attempt, a stream included
    """

    connect_s: float = 5.0
    first_token_s: float | None = None
    idle_s: float | None = None
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
    key_variables : names of environment variables, one for each key; empty: no key is sent
    models : mapping of our model id to the provider's
        One `STAR` on both sides stands for any characters; the first that fits counts, an id without a star before all.
    headers : sent with every request, e.g. ``openai-organization``
    deadlines : Deadlines
    max_connections : int
    collects_data : bool
        Whether it may keep prompts, e.g. to train on them: a request with ``data_collection: deny`` leaves it out.
    proxy_variable : str or None
        Name of the environment variable with the URL of an HTTP proxy; None: no proxy, whatever the environment says.
    stream_whole_answers : bool
        Whether whole answers are asked for as streams, too, so that a provider that stalls is left early.
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
    proxy_variable: str | None = None
    stream_whole_answers: bool = True

    @property
    def is_openrouter(self) -> bool:
        """Whether it is OpenRouter itself, which reads ``provider`` and ``plugins`` of a body."""
        return _OPENROUTER.match(self.base_url) is not None

    @property
    def connections_key(self) -> Hashable:
        """The settings that connections depend on: providers with equal settings share connections."""
        return self.kind, self.base_url, self.max_connections, self.deadlines.connect_s, self.proxy_variable

    def upstream_model(self, model: str) -> str | None:
        """Return the provider's id of a model of ours; None if it does not serve it.

        Examples
        --------
        >>> provider = Provider("p", Kind.OPENAI, "https://p.example/v1", models={"fast": "f-1", "openai/*": "*"})
        >>> provider.upstream_model("fast"), provider.upstream_model("openai/gpt-4o"), provider.upstream_model("slow")
        ('f-1', 'gpt-4o', None)
        """
        if STAR in model:
            return None
        if (exact := self.models.get(model)) is not None:
            return exact
        if _PLAIN_ID.fullmatch(model) is None:
            return None
        return next(filter(None, (_filled(ours, theirs, model) for ours, theirs in self.models.items())), None)


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider: what an attempt calls.

    Attributes
    ----------
    model : our id, which answers carry
    provider : Provider
    upstream_model : the provider's id
    card : prices and limits; None if the catalog has none
    """

    model: str
    provider: Provider
    upstream_model: str
    card: ModelCard | None = None

    @property
    def served_model(self) -> str:
        """The model that is called, whatever its parameters: candidates that share it fail together."""
        return self.model if self.card is None else self.card.served_model

    @property
    def effort(self) -> str | None:
        """The effort that it is called with; None: the caller's."""
        return None if self.card is None else self.card.reasoning_effort

    @property
    def name(self) -> str:
        """For logs and metrics, e.g. ``openai:openai/gpt-4o``."""
        return f"{self.provider.name}:{self.model}"


def _filled(ours: str, theirs: str, model: str) -> str | None:
    """Return `theirs` with its star filled as that of `ours` is in `model`; None if `ours` has none or differs."""
    before, star, after = ours.partition(STAR)
    n_filled = len(model) - len(before) - len(after)
    if not star or n_filled < 1 or not model.startswith(before) or not model.endswith(after):
        return None
    return theirs.replace(STAR, model[len(before) : len(before) + n_filled])
