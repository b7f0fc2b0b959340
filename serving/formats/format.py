"""The interface of a format: read a provider's answers in it, and write a surface's answers in it.

`router_model.serving.formats.adapter.Adapter` puts three things together for an attempt: the surface's format, the
provider's, and the `Translation` between them. Bodies are parsed JSON everywhere; unknown fields pass through
untouched.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from router_model.serving.common.turn_marks import Piece, mark_of, with_piece
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Kind, Target
from router_model.serving.providers.usage import Usage

OF_GOOGLE: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
        "JAILBREAK",
    }
)
FILTERED: Final = frozenset({"content_filter", "refusal", "guardrail_intervened", "OTHER"}) | OF_GOOGLE
"""Why answers with nothing in them end, in the words of OpenAI, Anthropic, Bedrock and Google (`OTHER`: a prompt)."""
_NEVER_PASSED_ON: Final = frozenset(
    {"authorization", "cookie", "content-length", "host", "x-api-key", "x-goog-api-key"}
)
"""Of the caller's headers: its key is for the router."""


class Surface(StrEnum):
    """The format of a caller; the values are those of `DecisionRecord.surface`."""

    CHAT = "chat"
    """OpenAI's ``/v1/chat/completions``."""
    MESSAGES = "messages"
    """Anthropic's ``/v1/messages``."""
    RESPONSES = "responses"
    """OpenAI's ``/v1/responses``."""
    GENERATE = "generate"
    """Google's ``:generateContent`` and ``:streamGenerateContent``."""
    EMBEDDINGS = "embeddings"
    """OpenAI's ``/v1/embeddings``."""


KIND_OF_SURFACE: Final = {
    Surface.CHAT: Kind.OPENAI,
    Surface.RESPONSES: Kind.RESPONSES,
    Surface.MESSAGES: Kind.ANTHROPIC,
    Surface.GENERATE: Kind.GEMINI,
}
"""A surface speaks the format of this kind of provider."""


@dataclass(slots=True)
class Exchange:
    """A request of Responses and its answer, where the service keeps answers.

    Attributes
    ----------
    input : str or None
        The request's own items as JSON, without those of the responses that it goes on from; None if the answer is not
        to be kept.
    previous_id : of the response that it goes on from
    response_id : for the answer of a provider that keeps none itself, whose ids need not be unique
    response : the answer as the caller got it, once all of it was written
    output : its items, with the reasoning that goes back to the model
    """

    input: str | None
    previous_id: str | None
    response_id: str
    response: Json | None = None
    output: Sequence[Json] = ()

    @property
    def is_kept(self) -> bool:
        """Whether the answer is to be kept."""
        return self.input is not None

    def id_from(self, target: Target) -> str | None:
        """Return the id of a candidate's answer; None if its provider's is used."""
        return self.response_id if self.is_kept and target.provider.kind is not Kind.RESPONSES else None


@dataclass(frozen=True, slots=True)
class Call:
    """A call for a candidate, in the surface's format.

    Attributes
    ----------
    surface : Surface
    body : as the caller sent it, without the fields that are for the router alone; its ``model`` is not read
    stream : whether the answer is to come in pieces
    headers : of the caller's, to go along where provider and surface speak the same format (``anthropic-beta``)
    wants_usage : what the caller said in ``stream_options.include_usage``: True is a chunk of its own for the usage of
        a stream, False is no usage; None: nothing was said, and usage is on the last chunk
    trace : headers that say which trace the call is part of; every provider gets them
    openrouter : fields of the body that are sent along if the provider is OpenRouter itself (``provider``, ``plugins``)
    is_long : whether the body is so long that it is translated and written in a thread
    for_openrouter : whether OpenRouter's SDK reads the answer, which knows an error in a stream by its own shape
    exchange : of a call of Responses, where the service keeps answers; else None
    """

    surface: Surface
    body: Mapping[str, Any]
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    wants_usage: bool | None = None
    trace: Mapping[str, str] = field(default_factory=dict)
    openrouter: Mapping[str, Any] = field(default_factory=dict)
    is_long: bool = False
    for_openrouter: bool = False
    exchange: Exchange | None = None

    @property
    def declares_functions(self) -> bool:
        """Whether the caller of chat uses OpenAI's older ``functions``, and so expects ``function_call``."""
        return "functions" in self.body and "tools" not in self.body and self.surface is Surface.CHAT


def request_headers(call: Call, target: Target, key: Mapping[str, str], *, speaks: bool) -> dict[str, str]:
    """Return the headers; what the provider's entry says goes before what the caller says, and the key before both.

    Parameters
    ----------
    key : the header with the provider's key; empty without one
    speaks : whether the caller speaks the provider's format, so that its own headers go along
    """
    headers = {"content-type": "application/json", "accept": "text/event-stream" if call.stream else "application/json"}
    if speaks and call.headers:
        passed_on = {name.lower(): value for name, value in call.headers.items()}
        headers |= {name: value for name, value in passed_on.items() if name not in _NEVER_PASSED_ON}
    return headers | {name.lower(): value for name, value in target.provider.headers.items()} | dict(key)


@dataclass(slots=True)
class Facts:
    """The facts that an answer tells about itself; they fill up while a stream is read.

    Attributes
    ----------
    response_id, response_model : as the provider said
    finish_reason : in the provider's words; None until it is known
    usage : Usage or None
        As the provider said; once it is settled (`router_model.serving.formats.settling`), what is believed of it or
        estimated.
    cost_usd : of `usage`; None if it is not known
    estimated : of what was estimated, since the provider's word for it cannot be: counts of `usage`, and ``cost``
    estimate_reasons : why, e.g. ``input_zero`` (`router_model.serving.providers.plausible`)
    budget_usd : float or None
        What budgets count where something was estimated; None: as `cost_usd`.
    is_settled : bool
    is_text : False for embeddings, which have no tokens of output
    has_content : whether a token, a tool call or a refusal has come
    is_complete : whether the answer said that it has ended
    n_bytes_written : of the text so far, by which the provider's count is judged, or else estimated
    call_id, said : of the answer as the caller gets it: the first tool call's id, and how the text begins
    """

    response_id: str | None = None
    response_model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    has_content: bool = False
    is_complete: bool = False
    n_bytes_written: int = 0
    estimated: tuple[str, ...] = ()
    estimate_reasons: tuple[str, ...] = ()
    budget_usd: float | None = None
    is_settled: bool = False
    is_text: bool = True
    call_id: str = field(default="", compare=False)
    said: str = field(default="", compare=False, repr=False)

    @property
    def mark(self) -> str | None:
        """By which the conversation is recognised in its next turn; None if many conversations may have it."""
        return mark_of(self.call_id, self.said)

    def note(self, pieces: Iterable[Piece]) -> None:
        """Take what the answer, or one event of it, says."""
        for piece in pieces:
            self.call_id, self.said = with_piece(self.call_id, self.said, piece)

    @property
    def is_filtered(self) -> bool:
        """Whether a content filter kept all of the answer back."""
        return not self.has_content and self.finish_reason in FILTERED


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event.

    Attributes
    ----------
    data : of its data lines
    name : of its ``event:`` line; empty if it has none
    """

    data: bytes
    name: str = ""


class EventReader(Protocol):
    """Reads the events of one stream of a provider, and keeps `facts`."""

    facts: Facts

    def read(self, event: Event) -> Json | None:
        """Return the event's JSON; None of one that says nothing (``[DONE]``, ``ping``).

        Raises
        ------
        UpstreamFailure
            If it is an error, or is malformed.
        """

    def end(self) -> list[Json]:
        """Return the facts that are known only after the body's end; nothing for an incomplete stream."""


class EventWriter(Protocol):
    """Writes the events of one stream of a surface, from that surface's JSON events.

    Holds back what cannot be sent yet: the end waits for the usage, so that the last chunk carries it with its cost.
    """

    def write(self, event: Json) -> list[bytes]:
        """Return events, ready to be sent."""

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the last events: usage with cost, `extras`, and what the format ends a stream with."""

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return the events of a clean error in the middle of a stream."""


class Assembler(Protocol):
    """Puts one stream of a provider together to the whole answer."""

    def add(self, event: Json) -> None:
        """Take the next event, as the `EventReader` returned it."""

    def answer(self, facts: Facts) -> Json:
        """Return the whole answer as the provider would have sent it; `facts` are those of the stream, at its end.

        Raises
        ------
        UpstreamFailure
            If the pieces make no answer.
        """


class Format(Protocol):
    """One format, e.g. `router_model.serving.formats.openai.chat_format.OpenAIFormat`."""

    def request(self, body: Json, call: Call, target: Target, key: str | None) -> HttpRequest:
        """Return the HTTP request: URL, key, ``model``, ``stream``, and usage asked for in streams."""

    def read_answer(self, content_type: str, content: bytes) -> tuple[Json, Facts]:
        """Return a whole answer of a provider (2xx) and what it says about itself.

        Raises
        ------
        UpstreamFailure
            If it is an error all the same, malformed, or has nothing in it.
        """

    def as_stream(self, answer: Json) -> Sequence[Json]:
        """Return the events of the stream that a whole answer, as `read_answer` returns it, would have come as."""

    def reader(self) -> EventReader:
        """Return what reads one stream of a provider."""

    def assembler(self) -> Assembler:
        """Return what puts one stream of a provider together."""

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status (the kind of failure, the provider's words, ``Retry-After``)."""

    def write_answer(
        self, answer: Json, facts: Facts, target: Target, extras: Mapping[str, Any], call: Call | None = None
    ) -> Json:
        """Return a whole answer as the surface sends it: our ``model``, usage with cost, `extras`.

        `call` is None if it is not known how the caller wants the answer.
        """

    def writer(self, call: Call, target: Target) -> EventWriter:
        """Return what writes one stream of the surface."""


class StreamTranslation(Protocol):
    """Turns the events of one stream into another format's."""

    def translate(self, event: Json) -> Sequence[Json]:
        """Return the translated events of this one."""

    def end(self, facts: Facts) -> Sequence[Json]:
        """Return the last events of a complete stream."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Translates from a surface's format to a provider's, and back.

    Attributes
    ----------
    request : body of the surface -> body for the provider
        Raises `InvalidRequestError` if something in it cannot be said in the provider's format and must not be
        dropped; ``param`` names it.
    answer : answer of the provider -> answer of the surface
        Its usage is written by the surface. Raises `UpstreamFailure` if it cannot be read.
    stream : nothing -> what translates one stream
    knows : names of the body's fields that are translated; all others are left out, and named. None: any.
    """

    request: Callable[[Mapping[str, Any]], Json]
    answer: Callable[[Json], Json]
    stream: Callable[[], StreamTranslation]
    knows: frozenset[str] | None = None
