"""A provider that speaks OpenAI's chat format on a real socket: every answer costs the same tokens."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from http_thread import LocalServer, QuietHandler, answering

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


class FakeProvider(LocalServer):
    """Answers every model but those in `broken`, and keeps the bodies it was sent."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.url += "/v1"
        self.broken: set[str] = set()
        self.bodies: list[dict[str, Any]] = []


class _Handler(QuietHandler):
    server: FakeProvider

    def do_POST(self) -> None:
        body = self.body()
        self.server.bodies.append(body)
        response_id = f"chatcmpl-{len(self.server.bodies)}"
        if body["model"] in self.server.broken:
            error = {"message": "out of order", "type": "server_error", "param": None, "code": None}
            self.send(500, json.dumps({"error": error}))
        elif body.get("stream"):
            events = [json.dumps(chunk) for chunk in _chunks(response_id, body)]
            self.send(200, "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]), "text/event-stream")
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "four"}, "finish_reason": "stop"}
            self.send(200, json.dumps(_envelope(response_id, body, [choice], USAGE)))


def _envelope(response_id: str, body: dict[str, Any], choices: list[Any], usage: Any, kind: str = "") -> dict[str, Any]:
    envelope = {
        "id": response_id,
        "object": f"chat.completion{kind}",
        "created": 1790000000,
        "model": body["model"],
        "choices": choices,
    }
    return envelope | ({"usage": usage} if usage else {})


def _chunks(response_id: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for delta, reason in (({"role": "assistant", "content": "fo"}, None), ({"content": "ur"}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield _envelope(response_id, body, [choice], None, ".chunk")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _envelope(response_id, body, [], USAGE, ".chunk")


@contextlib.contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Run one until the end of the block."""
    server = FakeProvider()
    with answering(server):
        yield server
