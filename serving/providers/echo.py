"""The provider ``echo`` needs no network: it speaks OpenAI's format and repeats the last message.

Everything is deterministic, so that a whole product can be tried, taught and tested without an account.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from router_model.serving.common.extra import needing_serve
from router_model.serving.providers.echo_answers import chat_answer, chat_events, embeddings_answer
from router_model.serving.providers.http import HttpRequest

with needing_serve("the provider echo"):
    import orjson


class EchoResponse:
    """An answer whose pieces are all there; see `router_model.serving.providers.http.HttpResponse`."""

    def __init__(self, status: int, content_type: str, pieces: Sequence[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield one piece after the other, and let others work between them."""
        for piece in self._pieces:
            yield piece
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Do nothing, because this provider has no connection."""


class EchoTransport:
    """Answers ``/chat/completions`` and ``/embeddings``; see `router_model.serving.providers.http.Transport`."""

    async def send(self, request: HttpRequest) -> EchoResponse:
        """Return the answer."""
        try:
            body = orjson.loads(request.content)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            return _refusal(400, "the body is not a JSON object")
        return _answer(urlsplit(request.url).path, body)

    async def close(self) -> None:
        """Do nothing, because this provider has no connections."""


def _answer(path: str, body: Mapping[str, Any]) -> EchoResponse:
    if path.endswith("/embeddings"):
        return _json(200, embeddings_answer(body))
    if not path.endswith("/chat/completions"):
        return _refusal(404, f"echo has no {path}; expected /chat/completions or /embeddings")
    if not isinstance(body.get("messages"), list):
        return _refusal(400, "'messages' is not a list")
    if not body.get("stream"):
        return _json(200, chat_answer(body))
    events = [b"data: " + orjson.dumps(event) + b"\n\n" for event in chat_events(body)]
    return EchoResponse(200, "text/event-stream", [*events, b"data: [DONE]\n\n"])


def _json(status: int, answer: Mapping[str, Any]) -> EchoResponse:
    return EchoResponse(status, "application/json", [orjson.dumps(answer)])


def _refusal(status: int, message: str) -> EchoResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return _json(status, {"error": error})
