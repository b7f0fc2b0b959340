"""Endpoints that forward calls: the paths of OpenAI's, Anthropic's and Google's SDKs, and their documented bodies."""

from typing import Any, Final

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.api.answer_models import AnthropicErrorAnswer, AnyAnswer, GoogleErrorAnswer
from router_model.serving.api.parts import forward
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import EmptyPlanError, ModelNotFoundError, NotFoundError
from router_model.serving.formats.format import Surface
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.endpoint import SESSION_HEADER, Endpoint, header
from router_model.serving.http_edge.error_answers import ErrorAnswer, Handler
from router_model.serving.http_edge.requests import MESSAGES_EXAMPLE, Message, ShortText, open_body
from router_model.serving.proxy.envelope import ProxyEnvelope
from router_model.serving.proxy.proxy_request import GUARD, METADATA, TIMEOUT

_SAID: Final = "Is 2027 prime? Answer yes or no."


class ChatRequest(ProxyEnvelope):
    """OpenAI's chat body; fields that are not named here go to the provider, fitted to its model."""

    model_config = open_body(
        model="auto", messages=MESSAGES_EXAMPLE, max_tokens=200, router={"quality_bar": 0.5, "session_id": "chat-17"}
    )

    messages: list[Message]


class MessagesRequest(ProxyEnvelope):
    """Anthropic's Messages body; fields that are not named here go to the provider, fitted to its model."""

    model_config = open_body(model="auto", messages=MESSAGES_EXAMPLE, max_tokens=200)

    messages: list[Message]
    max_tokens: int | None = Field(None, ge=1)


class ResponsesRequest(ProxyEnvelope):
    """OpenAI's Responses body; fields that are not named here go to the provider, fitted to its model."""

    model_config = open_body(model="auto", input=_SAID, max_output_tokens=200, store=False)

    input: str | list[Any] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1)


class GenerateRequest(ProxyEnvelope):
    """Google's body; the model is in the path."""

    model_config = open_body(contents=[{"role": "user", "parts": [{"text": _SAID}]}])

    contents: list[Any]


class EmbeddingsRequest(ProxyEnvelope):
    """OpenAI's embeddings body; the model is one of the providers', never chosen."""

    model_config = open_body(model="text-embedding-3-small", input=_SAID)

    model: ShortText
    input: Any


async def chat_completions(request: Request) -> Response:
    """Answer a chat, in OpenAI's format, by the model that the router chooses or that is named.

    `model`: `auto` (or `openrouter/auto`, `router`, nothing) decides, an id is forwarded as asked. With `stream` the
    answer comes as server-sent events.
    """
    return await forward(request, Surface.CHAT)


async def responses(request: Request) -> Response:
    """Answer a conversation, in OpenAI's Responses format, by the model that the router chooses or that is named.

    With `stream` the answer comes as typed events. `previous_response_id` goes on from an answer that is kept here
    (`--store-responses`) or by its provider.
    """
    return await forward(request, Surface.RESPONSES)


async def messages(request: Request) -> Response:
    """Answer a conversation, in Anthropic's Messages format, by the model that the router chooses or that is named."""
    return await forward(request, Surface.MESSAGES)


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    validated(EmbeddingsRequest, body)
    return body


async def embeddings(request: Request) -> Response:
    """Embed texts, in OpenAI's format, by the model that is named."""
    return await forward(request, Surface.EMBEDDINGS, _checked)


async def generate_content(request: Request) -> Response:
    """Answer a conversation, in Google's format; the path names the model, or `auto`."""
    return await forward(request, Surface.GENERATE, path_model=request.path_params["model"], path_stream=False)


async def stream_generate_content(request: Request) -> Response:
    """Answer a conversation, in Google's format, as server-sent events (as with `alt=sse`)."""
    return await forward(request, Surface.GENERATE, path_model=request.path_params["model"], path_stream=True)


_HEADERS: Final = {
    "x-router-model": "The model that answered.",
    "x-router-provider": "The provider that answered.",
    "x-router-attempts": "Calls that were made.",
    "x-router-degraded": "'true' where the default plan decided.",
}
_PARAMETERS: Final = (
    SESSION_HEADER,
    header(
        GUARD,
        "'buffer': hold a stream back until it is whole, so that one that is cut is tried again.",
        enum=["buffer"],
    ),
    header(TIMEOUT, "Seconds for the whole call, at most what the service allows.", pattern="^[1-9][0-9]*$"),
    header(METADATA, "'enabled': say in `openrouter_metadata` how the call was routed.", minLength=0),
)
_MODEL: Final = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "`auto`, or a model's id; it may have slashes in it.",
    "schema": {"type": "string", "minLength": 1},
    "example": "auto",
}
_RAISED: Final = (NotFoundError, ModelNotFoundError, EmptyPlanError)


def _surface(path: str, handler: Handler, summary: str, body: type[BaseModel], **given: Any) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        given.get("answer", AnyAnswer),
        body,
        roles=(Role.PROXY,),
        errors=_RAISED,
        parameters=(*given.get("parameters", ()), *_PARAMETERS),
        headers=_HEADERS,
        media="text/event-stream",
        error=given.get("error", ErrorAnswer),
        streams=given.get("streams", False),
        aliases=given.get("aliases", ()),
    )


_GOOGLE: Final = "/v1beta/models/{model:path}"
_GOOGLE_V1: Final = "/v1/models/{model:path}"
"""The version that google-genai asks for since 3.0, unless it is told to use ``v1beta``."""
ENDPOINTS: Final = (
    _surface("/v1/chat/completions", chat_completions, "Chat (OpenAI)", ChatRequest, streams=True),
    _surface("/v1/responses", responses, "Respond (OpenAI)", ResponsesRequest, streams=True),
    _surface("/v1/messages", messages, "Chat (Anthropic)", MessagesRequest, streams=True, error=AnthropicErrorAnswer),
    _surface("/v1/embeddings", embeddings, "Embed (OpenAI)", EmbeddingsRequest),
    _surface(
        f"{_GOOGLE}:generateContent",
        generate_content,
        "Chat (Google)",
        GenerateRequest,
        parameters=(_MODEL,),
        error=GoogleErrorAnswer,
        aliases=(f"{_GOOGLE_V1}:generateContent",),
    ),
    _surface(
        f"{_GOOGLE}:streamGenerateContent",
        stream_generate_content,
        "Stream (Google)",
        GenerateRequest,
        parameters=(_MODEL,),
        answer=None,
        error=GoogleErrorAnswer,
        aliases=(f"{_GOOGLE_V1}:streamGenerateContent",),
    ),
)
