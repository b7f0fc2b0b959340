"""The service on a real socket, in this process, for SDKs; its providers answer what a test has put into a script."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from http_thread import LocalServer, QuietHandler, answering, live
from processes import free_port

from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings

PREFIXES = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
MODELS = {"openai": "gpt-x", "anthropic": "claude-x", "gemini": "gemini-x"}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 2},
}
GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11},
}
_BETWEEN_S = 0.1  # so that a stream has begun when its next piece comes
ANSWERS = {"openai": CHAT, "anthropic": MESSAGE, "gemini": GOOGLE}


class Upstream(LocalServer):
    """Three providers at ``/KIND``; each answers `script` by its kind: a status and a body; else a short "hello".

    A body of bytes is a stream, and a list of them one that comes in pieces.

    Attributes
    ----------
    seen : list of (kind, path, body)
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.script: dict[str, tuple[int, Any]] = {}
        self.seen: list[tuple[str, str, Any]] = []

    def url_of(self, kind: str) -> str:
        return f"{self.url}/{kind}{PREFIXES[kind]}"


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        kind, path = self.path.removeprefix("/").split("/", 1)
        body = self.body()
        self.server.seen.append((kind, path, body))
        status, answer = self.server.script.get(kind) or (200, ANSWERS[kind])
        is_stream = isinstance(answer, bytes | list)
        pieces = answer if isinstance(answer, list) else [answer if is_stream else json.dumps(answer).encode()]
        self.send_response(status)
        self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
        if status >= 429:
            self.send_header("retry-after", "600")  # longer than a call may take, so nothing is waited for
        self.send_header("content-length", str(sum(map(len, pieces))))
        self.end_headers()
        for i, piece in enumerate(pieces):
            time.sleep(_BETWEEN_S if i else 0)
            self.wfile.write(piece)

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):  # the service has closed its connections
            super().handle_one_request()


@contextlib.contextmanager
def scripted_providers() -> Iterator[Upstream]:
    """Run them until the end of the block."""
    server = Upstream()
    with answering(server):
        yield server


def providers_file(folder: Path, upstream: Upstream, more: str = "") -> Path:
    """Write a file in which each kind serves one model and its own names (``KIND/*``)."""
    tables = [
        f'[{kind}]\nkind = "{kind}"\nbase_url = "{upstream.url_of(kind)}"\nstream_whole_answers = false\n'
        f'models = {{ "{model}" = "{model}", "{kind}/*" = "*" }}\n'
        for kind, model in MODELS.items()
    ]
    path = folder / "providers.toml"
    path.write_text(more + "\n" + "\n".join(tables))
    return path


@contextlib.contextmanager
def served(**settings: Any) -> Iterator[str]:
    """Run the service in a thread until the end of the block; yield its address."""
    port = free_port()
    app = create_app(Settings(**({"insecure": True, "port": port, "log": "none"} | settings)))
    with live(app, port=port):
        yield f"http://127.0.0.1:{port}"
