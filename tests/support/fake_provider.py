"""A provider that speaks OpenAI's chat format on a real socket: every answer costs the same tokens."""

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from http_thread import answering

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


class FakeProvider(ThreadingHTTPServer):
    """Answers every model but those in `broken`, and keeps the bodies it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.broken: set[str] = set()
        self.bodies: list[dict[str, Any]] = []

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeProvider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        response_id = f"chatcmpl-{len(self.server.bodies)}"
        if body["model"] in self.server.broken:
            error = {"message": "out of order", "type": "server_error", "param": None, "code": None}
            self._send(500, "application/json", json.dumps({"error": error}))
        elif body.get("stream"):
            events = [json.dumps(chunk) for chunk in _chunks(response_id, body)]
            self._send(200, "text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]))
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "four"}, "finish_reason": "stop"}
            self._send(200, "application/json", json.dumps(_envelope(response_id, body, [choice], USAGE)))

    def _send(self, status: int, kind: str, content: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


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
