"""A decision service's wire format on a real socket, which can be told to misbehave."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from http_thread import LocalServer, QuietHandler, answering

DECISION = {
    "id": "dec_1",
    "object": "routing.decision",
    "created": 1790000000,
    "model": "small",
    "reason": "cheapest_above_bar",
    "plan": [
        {
            "model": "small",
            "base_model": "vendor/model",
            "parameters": {"reasoning_effort": "low"},
            "provider": "simulated",
            "p_success": 0.93,
            "p_interval": [0.9, 0.95],
            "expected_cost_usd": 0.00021,
            "expected_output_tokens": 310,
            "expected_latency_s": None,
            "expected_quality": 0.91,
            "propensity": 0.96,
        },
        {"model": "large", "provider": None, "p_success": 0.98, "p_interval": None, "propensity": 0.04},
    ],
    "excluded": [{"model": "coder", "reason": "context_window", "detail": "needs 5,000 tokens, has 4,000"}],
    "policy": {"artifact": "sha256:1", "version": "1", "quality_bar": 0.7, "certified": True},
    "session_id": "s1",
    "explored": False,
    "degraded": False,
    "degraded_by": None,
    "decision_ms": 0.6,
}
MODEL = {"id": "small", "object": "model", "context_length": 4000, "pricing": {"prompt": "0.0000001"}}


def refusal(message: str, kind: str = "invalid_request_error", code: str = "invalid_request", **rest: Any) -> dict:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **rest}}


class WireService(LocalServer):
    """Keeps what it was sent; `script` is what to do next: a status, or ``drop`` after keeping the record."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.script: list[Any] = []
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.records: dict[str, Any] = {}


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: WireService

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(self.body())

    def _serve(self, body: Any) -> None:
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if key := self.headers["idempotency-key"]:
            self.server.records.setdefault(key, body)
        step = self.server.script.pop(0) if self.server.script else 200
        if step == "drop":
            self.close_connection = True
            return
        answer = _answer(self.path, key, body) if step == 200 else refusal(f"told to say {step}")
        decided = {"x-router-decision-id": DECISION["id"], "x-router-model": DECISION["model"]}
        self.send(step, json.dumps(answer), **decided)


def _answer(path: str, key: str | None, body: Any) -> Any:
    if path in ("/v1/feedback", "/v1/outcomes"):
        return {"id": f"rec_{key}", "object": "routing.feedback", "decision_id": body.get("decision_id")}
    if path == "/v1/route/batch":
        return {"object": "list", "data": [DECISION for _ in body["requests"]]}
    if path == "/v1/models":
        return {"object": "list", "data": [MODEL]}
    if path.startswith("/v1/decisions/"):
        return {"object": "routing.logged_decision", "decision_id": path.rsplit("/", 1)[1]}
    return DECISION if path == "/v1/route" else {"status": "ready"}


@contextlib.contextmanager
def wire_service() -> Iterator[WireService]:
    """Run one until the end of the block."""
    server = WireService()
    with answering(server):
        yield server
