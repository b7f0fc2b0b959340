"""A hostile caller beside a healthy one: two keys of one service, all models at one provider behind one key.

The provider answers every prompt but those that name a fault. What it does then is what real ones do for one prompt,
one model or one bad hour: nothing that should concern another caller.
"""

import asyncio
import contextlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from http_thread import LocalServer, QuietHandler
from system import system

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role

_KEY_VARIABLE = "ISOLATION_KEY"
_LIMITED = {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}
_FAULTS = {
    "refused": (403, {}, {"message": "The prompt was blocked by the content policy.", "code": "forbidden"}),
    "limited": (429, {}, _LIMITED),
    "limited for ever": (429, {"retry-after": "999999"}, _LIMITED),
    "crash": (500, {}, {"message": "out of order", "type": "server_error"}),
    "bad": (400, {}, {"message": "messages[0].role: no such role", "type": "invalid_request_error"}),
    "key": (401, {}, {"message": "Incorrect API key provided.", "code": "invalid_api_key"}),
}


@dataclass(frozen=True)
class Scenario:
    """One fault.

    Attributes
    ----------
    name : of the fault; each has models of its own, ``NAME/a`` and ``NAME/b``
    prompts : what the hostile caller sends, in turn
    models : what the healthy caller asks for, in its order
    outage : whether everything fails for everybody first, until all is put aside
    statuses : what the hostile caller may get
    """

    name: str
    prompts: tuple[str, ...]
    statuses: frozenset[int]
    models: tuple[str, ...] = ("a",)
    outage: bool = False

    def body(self, prompt: str, models: tuple[str, ...]) -> dict[str, Any]:
        """Return the body of a call."""
        names = [f"{self.name}/{model}" for model in models]
        return {"model": names[0], "models": names, "messages": [{"role": "user", "content": prompt}]}


SCENARIOS = (
    Scenario("refusal", ("!refused",), frozenset({400, 403, 502})),
    Scenario("limited-model", ("!limited",), frozenset({429}), models=("a", "b")),
    Scenario("retry-after", ("!limited for ever",), frozenset({429})),
    Scenario("callers-400", (*["!crash"] * 5, *["!bad"] * 5), frozenset({400, 502, 503})),
    Scenario("all-aside", ("!crash",), frozenset({502, 503}), models=("a", "b"), outage=True),
    Scenario("refused-key", ("!key",), frozenset({502, 503})),
)
"""The five faults of issue 12 A, and a prompt that makes the provider refuse the key."""


class Provider(LocalServer):
    """Speaks OpenAI's format; `down` fails everything whose model begins with it."""

    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.url += "/v1"
        self.down = ""


class _Handler(QuietHandler):
    server: Provider
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536  # head and body in one packet

    def do_POST(self) -> None:
        body = self.body()
        model, prompt = body["model"], body["messages"][-1]["content"]
        fault = prompt[1:] if prompt.startswith("!") else ""
        if self.server.down and model.startswith(self.server.down):
            fault = "crash"
        if model == "limited-model/a":
            fault = "limited"
        if fault:
            status, headers, error = _FAULTS[fault]
            self.send(status, json.dumps({"error": error}), **headers)
        elif body.get("stream"):
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(model)] + ["data: [DONE]\n\n"]
            self.send(200, "".join(lines), "text/event-stream")
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "four"}, "finish_reason": "stop"}
            answer = {"id": "c", "object": "chat.completion", "model": model, "choices": [choice], "usage": _USAGE}
            self.send(200, json.dumps(answer))


_USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}


def _chunks(model: str) -> Iterator[dict[str, Any]]:
    common = {"id": "c", "object": "chat.completion.chunk", "model": model}
    yield {**common, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "four"}}]}
    yield {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {**common, "choices": [], "usage": _USAGE}


@dataclass
class Seen:
    """What one caller's calls came to."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def share_answered(self) -> float:
        """Share of the calls that were answered with 200."""
        return self.statuses[200] / max(self.statuses.total(), 1)


@dataclass
class Callers:
    """A service with its provider, and a client of each caller."""

    url: str
    provider: Provider
    keys: dict[str, str]

    def client(self, caller: str) -> httpx2.AsyncClient:
        """Return a client with a caller's key."""
        headers = {"authorization": f"Bearer {self.keys[caller]}", "x-router-timeout-s": "1"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    async def end_of_outage(self, scenario: Scenario) -> None:
        """Let everything fail for both callers until all is put aside, then let it work again."""
        self.provider.down = scenario.name
        for model in ("a", "b"):
            for _ in range(3):
                await asyncio.gather(*(self.ask(one, scenario, "hi", (model,), Seen()) for one in self.keys))
        self.provider.down = ""

    async def ask(self, caller: str, scenario: Scenario, prompt: str, models: tuple[str, ...], seen: Seen) -> None:
        """Call once over a connection of its own."""
        async with self.client(caller) as client:
            await ask(client, scenario, prompt, models, seen)


async def ask(client: httpx2.AsyncClient, scenario: Scenario, prompt: str, models: tuple[str, ...], seen: Seen) -> None:
    """Call once, and note what came of it."""
    began = time.perf_counter()
    response = await client.post("/v1/chat/completions", json=scenario.body(prompt, models))
    seen.statuses[response.status_code] += 1
    seen.seconds.append(time.perf_counter() - began)


@contextlib.contextmanager
def callers(folder: Path, artifact: Path) -> Iterator[Callers]:
    """Run the service before the provider, with a key for each caller, until the end of the block."""
    folder.mkdir(exist_ok=True)
    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    table = f'[gateway]\nkind = "openai"\nbase_url = "{provider.url}"\nkeys = ["{_KEY_VARIABLE}"]\n'
    (folder / "providers.toml").write_text(table + 'models = { "*" = "*" }\n')
    keys = {name: create_key(folder / "keys.toml", name=name, roles=[Role.PROXY])[1] for name in ("hostile", "healthy")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, _KEY_VARIABLE, "sk-isolation-0123456789")
        try:
            with system(folder, artifact, providers=folder / "providers.toml", log="none") as running:
                yield Callers(running.url, provider, keys)
        finally:
            provider.shutdown()
            provider.server_close()
