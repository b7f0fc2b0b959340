"""A provider that bills what it answers, on a real socket in OpenAI's chat format, and fails where a prompt says so.

A word in brackets in the prompt's text is a fault: ``[429]``, ``[500]`` and ``[malformed]`` at its first call only,
``[slow]``, ``[refused]``, ``[long]`` and ``[down]`` at every call.
"""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from http_thread import LocalServer, QuietHandler, answering

USD_PER_MTOK_IN, USD_PER_MTOK_OUT = 1.0, 10.0


@dataclass
class Bill:
    """What the provider has seen.

    Attributes
    ----------
    bodies : of all requests
    answered : how often each (model, prompt) was answered
    usd : of all answers, also those that nobody took
    most_at_once : requests at the same time, by model
    """

    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    usd: float = 0.0
    at_once: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)
    at_s: dict[str, list[float]] = field(default_factory=dict)


class BillingProvider(LocalServer):
    """Answers every model."""

    request_queue_size = 128

    def __init__(self, pause_s: float = 0.0) -> None:
        super().__init__(_Handler)
        self.url += "/v1"
        self.pause_s = pause_s
        self.bill = Bill()
        self.lock = threading.Lock()

    def providers_toml(self, models: tuple[str, ...], name: str = "billing", **settings: object) -> str:
        more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        return f'[{name}]\nkind = "openai"\nbase_url = "{self.url}"\nmodels = {json.dumps(models)}\n{more}'


def catalog_toml(*models: str, **more: object) -> str:
    """Return a catalog with the provider's prices."""
    prices = f"usd_per_mtok_input = {USD_PER_MTOK_IN}\nusd_per_mtok_output = {USD_PER_MTOK_OUT}\n"
    prices += "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return "\n".join(f'[models."{model}"]\n{prices}' for model in models)


def text_of(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def usage_of(body: dict[str, Any]) -> dict[str, int]:
    """Between 1 token and all that is asked for, by the length of the prompt."""
    most = body.get("max_tokens") or body.get("max_completion_tokens") or 1000
    n_in, n_out = max(len(json.dumps(body["messages"])) // 4, 1), 1 + len(text_of(body)) * 7 % most
    return {"prompt_tokens": n_in, "completion_tokens": n_out, "total_tokens": n_in + n_out}


class _Handler(QuietHandler):
    server: BillingProvider

    def do_POST(self) -> None:
        body = self.body()
        bill, model, text = self.server.bill, body["model"], text_of(body)
        with self.server.lock:
            bill.bodies.append(body)
            bill.asked[model, text] += 1
            bill.at_s.setdefault(text, []).append(time.monotonic())
            bill.at_once[model] += 1
            bill.most_at_once[model] = max(bill.most_at_once[model], bill.at_once[model])
            is_first = bill.asked[model, text] == 1
        try:
            time.sleep(2.0 if "[slow]" in text else self.server.pause_s)
            self._answer(body, model, text, is_first=is_first)
        finally:
            with self.server.lock:
                bill.at_once[model] -= 1

    def _answer(self, body: dict[str, Any], model: str, text: str, *, is_first: bool) -> None:
        if "[429]" in text and is_first:
            self._refuse(429, "rate_limit_exceeded", "slow down", **{"retry-after": "1"})
        elif ("[500]" in text and is_first) or "[down]" in text:
            self._refuse(500, "server_error", "out of order")
        elif "[refused]" in text:
            self._refuse(400, "content_filter", "the prompt was filtered by the content management policy")
        elif "[long]" in text:
            self._refuse(400, "context_length_exceeded", "maximum context length is 4096 tokens, you sent 5000")
        elif "[malformed]" in text and is_first:
            self.send(200, '{"choices": 7')
        else:
            self._charge(body, model, text)

    def _charge(self, body: dict[str, Any], model: str, text: str) -> None:
        usage = usage_of(body)
        with self.server.lock:
            self.server.bill.answered[model, text] += 1
            self.server.bill.usd += (
                usage["prompt_tokens"] * USD_PER_MTOK_IN + usage["completion_tokens"] * USD_PER_MTOK_OUT
            ) / 1e6
        reason = "length" if usage["completion_tokens"] == body.get("max_tokens") else "stop"
        message: dict[str, Any] = {"role": "assistant", "content": f"echo: {text}"}
        if body.get("tools"):
            name = body["tools"][0]["function"]["name"]
            calls = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}]
            message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        envelope = {"id": f"chatcmpl-{len(self.server.bill.bodies)}", "created": 1790000000, "model": model}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            whole = {**envelope, "object": "chat.completion", "choices": [choice], "usage": usage}
            self.send(200, json.dumps(whole))
            return
        if "tool_calls" in message:
            message = {**message, "tool_calls": [{"index": 0, **call} for call in message["tool_calls"]]}
        choices = [{"index": 0, "delta": message, "finish_reason": None}]
        ends = [{"index": 0, "delta": {}, "finish_reason": reason}]
        chunks = [{"choices": choices}, {"choices": ends}, {"choices": [], "usage": usage}]
        events = [json.dumps({**envelope, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
        self.send(200, "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]), "text/event-stream")

    def _refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self.send(status, json.dumps({"error": error}), **headers)


@contextlib.contextmanager
def billing_provider(pause_s: float = 0.0) -> Iterator[BillingProvider]:
    """Run one until the end of the block."""
    server = BillingProvider(pause_s)
    with answering(server):
        yield server
