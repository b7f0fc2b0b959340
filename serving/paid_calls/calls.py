"""A call that is paid for, and what came of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Self

import orjson

from router_model.serving.common.service_errors import ServiceError
from router_model.serving.formats.shapes import Json, mapping, mappings, text

_OF_THE_PROMPT: Final = frozenset({400, 413, 422})
"""Statuses of errors that are about what was asked, so that asking it again is in vain."""
_WAITING: Final = frozenset({429, 503})
"""Statuses of errors that say: later."""


@dataclass(frozen=True)
class PaidCall:
    """One chat body for one model.

    Attributes
    ----------
    id : str
        The caller's name for it. The same body under another id is another call, and is paid for again.
    model : str
        As the providers file serves it.
    body : mapping
        A chat body in OpenAI's form. Its ``model`` and ``stream`` are not read.
    max_tokens : int or None
        The most that the model may write if the body sets no limit. It is no part of the call's identity: a call that
        was answered under another limit is not asked again.
    """

    id: str
    model: str
    body: Mapping[str, Any]
    max_tokens: int | None = None

    @cached_property
    def key(self) -> str:
        """The call's name in the journal: a hash of the id, the model and the body.

        >>> PaidCall("1", "m", {"messages": []}).key == PaidCall("1", "m", {"messages": [], "seed": 1}).key
        False
        """
        content = orjson.dumps([self.id, self.model, self.body], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a call has no answer.

    Attributes
    ----------
    status : int
        HTTP status that the proxy would have answered with.
    code : str
        E.g. ``context_length_exceeded``, ``content_filter``, ``rate_limit_exceeded``, ``upstream_timeout``.
    message : str
    """

    status: int
    code: str
    message: str

    @classmethod
    def of(cls, error: ServiceError) -> Self:
        """Return it for an error of forwarding."""
        return cls(error.status, error.code, error.message)

    @property
    def is_final(self) -> bool:
        """Whether the prompt itself was refused, so that a later run does not ask again."""
        return self.status in _OF_THE_PROMPT

    @property
    def says_later(self) -> bool:
        """Whether a limit was reached, or a provider is overloaded."""
        return self.status in _WAITING


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What came of a call.

    Attributes
    ----------
    id, model : of the call
    answer : dict or None
        The chat completion in OpenAI's form; None if no model answered.
    error : CallError or None
        Why there is no answer.
    finish_reason : str or None
        Of the answer, in OpenAI's words.
    cost_usd : float or None
        What the provider charged for the answer, or else its list price; None without an answer.
    input_tokens, output_tokens : int or None
        Cached input and reasoning included. All that the provider said is in the answer's ``usage``.
    latency_s : float or None
        From the request that was answered to the end of its answer, in seconds.
    provider : str or None
        Who answered.
    called_at : str or None
        When the request that was answered began, UTC, ISO 8601.
    """

    id: str
    model: str
    answer: dict[str, Any] | None = None
    error: CallError | None = None
    finish_reason: str | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_s: float | None = None
    provider: str | None = None
    called_at: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the call is done: answered, or refused for what it asks."""
        return self.error is None or self.error.is_final

    @property
    def text(self) -> str | None:
        """What the model said, or its refusal in words; None if it said nothing, as with tool calls alone.

        >>> CallOutcome("1", "m", {"choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}}]}).text
        'Hi'
        """
        content = self._message.get("content")
        if isinstance(content, list):
            content = "".join(text(part.get("text")) for part in mappings(content))
        return text(content) or text(self._message.get("refusal")) or None

    @property
    def tool_calls(self) -> list[Json]:
        """The tool calls of the answer in OpenAI's form."""
        return mappings(self._message.get("tool_calls"))

    @property
    def _message(self) -> Json:
        first = next(iter(mappings(mapping(self.answer).get("choices"))), {})
        return mapping(first.get("message"))

    def dumps(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def loads(cls, content: bytes) -> Self:
        """Read what `dumps` wrote."""
        fields = orjson.loads(content)
        error = fields.pop("error")
        return cls(**fields, error=None if error is None else CallError(**error))
