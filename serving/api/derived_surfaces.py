"""Paths that are answered by way of a surface: older completions, Google's embeddings, and counts of tokens.

A text completion is a chat of one message, and Google's embeddings are OpenAI's in other words. What the other format
cannot say is refused by name.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from router_model.serving.api.answer_models import AnthropicErrorAnswer, AnyAnswer, GoogleErrorAnswer
from router_model.serving.api.parts import forward, open_call
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import (
    EmptyPlanError,
    InvalidRequestError,
    ModelNotFoundError,
    NotFoundError,
)
from router_model.serving.formats.format import Surface
from router_model.serving.formats.shapes import mapping
from router_model.serving.http_edge.endpoint import EVENTS, Endpoint
from router_model.serving.http_edge.error_answers import Handler
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.requests import MESSAGES_EXAMPLE, open_body
from router_model.serving.proxy.counting import count_tokens as counted
from router_model.serving.proxy.envelope import ProxyEnvelope
from router_model.serving.proxy.proxy_request import ProxyRequest

_SAID: Final = "Is 2027 prime? Answer yes or no."
_CONTENT: Final = {"parts": [{"text": _SAID}]}
_COUNTED_BY: Final = "x-router-token-count"
_EVENT: Final = b"data: "
_NOT_IN_CHAT: Final = ("suffix", "echo", "logprobs", "best_of")


class CompletionsRequest(ProxyEnvelope):
    """OpenAI's older body, whose prompt is one text."""

    model_config = open_body(model="auto", prompt=_SAID, max_tokens=200)

    prompt: Any


class CountTokensRequest(ProxyEnvelope):
    """Anthropic's Messages body, to be counted."""

    model_config = open_body(model="auto", messages=MESSAGES_EXAMPLE)

    messages: list[Any]


class GoogleCountRequest(BaseModel):
    """Google's body, to be counted."""

    model_config = open_body(contents=[{"role": "user", "parts": [{"text": _SAID}]}])


class EmbedContentRequest(BaseModel):
    """A text to embed, in Google's words."""

    model_config = open_body(content=_CONTENT)


class BatchEmbedRequest(BaseModel):
    """Texts to embed, in Google's words."""

    model_config = open_body(requests=[{"content": _CONTENT}])


async def completions(request: Request) -> Response:
    """Complete a text, in OpenAI's older format: a chat whose one message is the prompt."""
    answer = await forward(request, Surface.CHAT, _as_chat)
    return _Completion(answer)


async def count_tokens(request: Request) -> Response:
    """Count the tokens of a conversation in Anthropic's format.

    By a provider that counts, else here; `x-router-token-count` says by whom.
    """
    n_tokens, by = await _counted(request, Surface.MESSAGES)
    return json_response({"input_tokens": n_tokens}, headers={_COUNTED_BY: by})


async def google_count_tokens(request: Request) -> Response:
    """Count the tokens of a conversation in Google's format; `x-router-token-count` says by whom."""
    n_tokens, by = await _counted(request, Surface.GENERATE, path_model=request.path_params["model"], path_stream=False)
    return json_response({"totalTokens": n_tokens}, headers={_COUNTED_BY: by})


async def embed_content(request: Request) -> Response:
    """Embed a text, in Google's format, by the model in the path."""
    vectors, headers = await _embedded(request, lambda body: [body])
    return json_response({"embedding": {"values": vectors[0] if vectors else []}}, headers=headers)


async def batch_embed_contents(request: Request) -> Response:
    """Embed texts, in Google's format, by the model in the path."""
    vectors, headers = await _embedded(request, _requests)
    return json_response({"embeddings": [{"values": one} for one in vectors]}, headers=headers)


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """Return a completion's body as a chat's.

    >>> _as_chat({"model": "m", "prompt": "Hi", "max_tokens": 5, "echo": False})
    {'model': 'm', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'Hi'}]}
    """
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequestError("prompt: expected one text; several prompts are several requests", param="prompt")
    for name in _NOT_IN_CHAT:
        if body.get(name) and not (name == "best_of" and body[name] == 1):
            raise InvalidRequestError(
                f"{name}: cannot be said in a chat, which answers this path; leave it out", param=name
            )
    kept = {name: value for name, value in body.items() if name != "prompt" and name not in _NOT_IN_CHAT}
    return kept | {"messages": [{"role": "user", "content": prompt}]}


class _Completion(Response):
    """An answer to a chat, written as one to a completion while it is sent."""

    def __init__(self, chat: Response) -> None:
        self._chat = chat
        if not _is_stream(chat):
            self._chat = json_response(_as_completion(orjson.loads(chat.body)), headers=_router_headers(chat))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def translated(message: AsgiMessage) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                message = {**message, "body": _as_completion_events(message["body"])}
            await send(message)

        await self._chat(scope, receive, translated if _is_stream(self._chat) else send)


def _is_stream(answer: Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/event-stream")


def _router_headers(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("x-router-")}


def _as_completion(chat: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer or a chunk of a chat as one of a completion; an error stays as it is.

    >>> chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    >>> _as_completion(chunk)["choices"]
    [{'text': 'Hi', 'index': 0, 'logprobs': None, 'finish_reason': None}]
    """
    if "error" in chat and "choices" not in chat:
        return dict(chat)
    choices = [
        {
            "text": (choice.get("message") or choice.get("delta") or {}).get("content") or "",
            "index": choice.get("index", 0),
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in chat.get("choices") or ()
    ]
    return {"created": int(time.time()), **chat, "object": "text_completion", "choices": choices}


def _as_completion_events(piece: bytes) -> bytes:
    """Return whole events of a chat's stream as those of a completion's."""
    events = piece.split(b"\n\n")
    return b"\n\n".join(
        _EVENT + orjson.dumps(_as_completion(orjson.loads(event[len(_EVENT) :])))
        if event.startswith(_EVENT + b"{")
        else event
        for event in events
    )


async def _counted(request: Request, surface: Surface, **path: Any) -> tuple[int, str]:
    parts, proxy, caller = open_call(request)

    def read(body: dict[str, Any]) -> ProxyRequest:
        if surface is Surface.MESSAGES and not isinstance(body.get("messages"), list):
            raise InvalidRequestError("messages: expected a list of messages", param="messages")
        if surface is Surface.GENERATE:  # Google takes a conversation, or a whole request to generate
            body = mapping(body.get("generateContentRequest")) or body
        return proxy.read(request, caller, surface, body, **path)

    return await counted(proxy, await parts.bodies.read(request, caller, read))


async def _embedded(request: Request, texts_of: Any) -> tuple[list[list[float]], dict[str, str]]:
    """Return the vectors of the texts in a body of Google's, and the router's headers."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        return _as_embeddings(request.path_params["model"], texts_of(body))

    answer = await forward(request, Surface.EMBEDDINGS, change)
    data = orjson.loads(answer.body).get("data") or []
    return [one.get("embedding") or [] for one in data], _router_headers(answer)


def _requests(body: Mapping[str, Any]) -> list[Any]:
    asked = body.get("requests")
    if not isinstance(asked, list) or not asked:
        raise InvalidRequestError("requests: expected a list of texts to embed", param="requests")
    return asked


def _as_embeddings(model: str, asked: Sequence[Any]) -> dict[str, Any]:
    """Return Google's requests as a body of OpenAI's.

    >>> _as_embeddings("m", [{"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "outputDimensionality": 8}])
    {'model': 'm', 'input': ['ab'], 'dimensions': 8}
    """
    body: dict[str, Any] = {"model": model, "input": [_text(one) for one in asked]}
    for name in ("outputDimensionality", "output_dimensionality"):
        if mapping(asked[0]).get(name) is not None:
            body["dimensions"] = asked[0][name]
    return body


def _text(asked: Any) -> str:
    fields = mapping(asked)
    for name in ("taskType", "task_type", "title"):
        if fields.get(name):
            raise InvalidRequestError(
                f"{name}: changes the embedding, and cannot be said to a provider in OpenAI's format; leave it out",
                param=name,
            )
    parts = mapping(fields.get("content")).get("parts")
    texts = [mapping(one).get("text") for one in parts] if isinstance(parts, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError("content: expected an object with 'parts', each with a 'text'", param="content")
    return "".join(map(str, texts))


_MODEL: Final = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "A model's id; it may have slashes in it.",
    "schema": {"type": "string", "minLength": 1},
    "example": "auto",
}


def _endpoint(path: str, handler: Handler, summary: str, body: type[BaseModel], **given: Any) -> Endpoint:
    is_counted = handler in (count_tokens, google_count_tokens)
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        AnyAnswer,
        body,
        roles=(Role.PROXY,),
        errors=(NotFoundError, ModelNotFoundError, EmptyPlanError),
        headers={_COUNTED_BY: "Who counted: a provider's name, or 'estimated'."} if is_counted else {},
        media=EVENTS,
        **given,
    )


def _of_google(call: str, handler: Handler, summary: str, body: type[BaseModel]) -> Endpoint:
    alias = f"/v1/models/{{model:path}}:{call}"
    path = f"/v1beta/models/{{model:path}}:{call}"
    return _endpoint(path, handler, summary, body, parameters=(_MODEL,), error=GoogleErrorAnswer, aliases=(alias,))


ENDPOINTS: Final = (
    _endpoint("/v1/completions", completions, "Complete (OpenAI)", CompletionsRequest, streams=True),
    _endpoint(
        "/v1/messages/count_tokens",
        count_tokens,
        "Count tokens (Anthropic)",
        CountTokensRequest,
        error=AnthropicErrorAnswer,
    ),
    _of_google("countTokens", google_count_tokens, "Count tokens (Google)", GoogleCountRequest),
    _of_google("embedContent", embed_content, "Embed a text (Google)", EmbedContentRequest),
    _of_google("batchEmbedContents", batch_embed_contents, "Embed texts (Google)", BatchEmbedRequest),
)
