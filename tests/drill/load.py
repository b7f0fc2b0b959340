"""A steady load on the service, and what became of each request: a client that asks once and tries nothing again.

Requests are sent when they are due, whatever became of those before. Half of them share keep-alive connections, as a
gateway's do; the others have connections of their own, so that each worker gets its share. Callers take turns.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from simulated_world import POEM, SUM

LIMIT_S: Final = 60.0
"""A caller who has waited for so long goes away."""


@dataclass(frozen=True)
class Kind:
    """One kind of request.

    Attributes
    ----------
    name, method, path : str
    per_second : float
    body : dict, optional
    """

    name: str
    method: str
    path: str
    per_second: float
    body: dict[str, Any] | None = None

    @property
    def is_stream(self) -> bool:
        return bool(self.body and self.body.get("stream"))


def _asks(prompt: str, **more: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], **more}


KINDS: Final = (
    Kind("route", "POST", "/v1/route", 4, _asks(SUM)),
    Kind("chat", "POST", "/v1/chat/completions", 4, _asks(SUM, model="auto")),
    Kind("stream", "POST", "/v1/chat/completions", 4, _asks(POEM, model="auto", stream=True)),
    Kind("health", "GET", "/healthz", 1),
    Kind("readiness", "GET", "/readyz", 1),
)


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes
    ----------
    kind : str
    sent_s, ended_s : float
        Monotonic time.
    status : int
        0 where nothing came back.
    is_whole : bool
        Whether the answer came to its end; a stream ends with ``[DONE]``, and without an error in it.
    why : str
        What broke, in the client's words; empty where nothing did.
    request_id, decision_id : str
        Empty where the service gave none.
    """

    kind: str
    sent_s: float
    ended_s: float
    status: int
    is_whole: bool
    why: str = ""
    request_id: str = ""
    decision_id: str = ""

    @property
    def is_well(self) -> bool:
        return self.status == 200 and self.is_whole


@dataclass
class Load:
    """All requests so far.

    Attributes
    ----------
    url : of the service
    keys : of the callers
    answers : in the order in which they ended
    under_way : when each request was sent that has not ended
    """

    url: str
    keys: Sequence[str]
    answers: list[Answer] = field(default_factory=list)
    under_way: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def sent_since(self, began_s: float) -> list[Answer]:
        """Return what was sent since a moment and has ended, by when it was sent."""
        found = [one for one in self.answers.copy() if one.sent_s >= began_s]
        return sorted(found, key=lambda one: one.sent_s)

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._stop.set()

    async def _run(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            under_way: set[asyncio.Task[None]] = set()
            clients = [
                await stack.enter_async_context(httpx2.AsyncClient(timeout=LIMIT_S, trust_env=False)) for _ in KINDS
            ]
            await asyncio.gather(*map(self._keep_asking, KINDS, clients, [under_way] * len(KINDS)))
            if under_way:
                await asyncio.wait(under_way)

    async def _keep_asking(self, kind: Kind, client: httpx2.AsyncClient, under_way: set[asyncio.Task[None]]) -> None:
        due, number = time.monotonic(), 0
        while not self._stop.is_set():
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due += 1 / kind.per_second
            request_headers = {"authorization": f"Bearer {self.keys[number % len(self.keys)]}"}
            request_headers |= {"connection": "close"} if number % 2 else {}
            number += 1
            task = asyncio.create_task(self._ask(kind, client, request_headers))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def _ask(self, kind: Kind, client: httpx2.AsyncClient, request_headers: dict[str, str]) -> None:
        sent, status, is_whole, why, headers = time.monotonic(), 0, False, "", httpx2.Headers()
        self.under_way.append(sent)
        try:
            request = client.build_request(kind.method, self.url + kind.path, json=kind.body, headers=request_headers)
            answer = await client.send(request, stream=True)
            status, headers = answer.status_code, answer.headers
            content = await answer.aread()
            is_whole = not kind.is_stream or status != 200 or _is_whole_stream(content)
            why = "" if status == 200 and is_whole else content[-300:].decode(errors="replace")
        except httpx2.HTTPError as exc:
            why = f"{type(exc).__name__}: {exc}"
        decision = headers.get("x-router-decision-id", "")
        if not decision and kind.name == "route" and status == 200 and is_whole:
            decision = json.loads(content)["id"]
        ended = time.monotonic()
        self.answers.append(
            Answer(kind.name, sent, ended, status, is_whole, why, headers.get("x-request-id", ""), decision)
        )
        self.under_way.remove(sent)


def _is_whole_stream(content: bytes) -> bool:
    return content.endswith(b"data: [DONE]\n\n") and b'data: {"error"' not in content


@contextlib.contextmanager
def steady_load(url: str, keys: Sequence[str]) -> Iterator[Load]:
    """Ask until the end of the block; all answers are there then."""
    load = Load(url, keys)
    thread = threading.Thread(target=load.run, name="load", daemon=True)
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join(timeout=LIMIT_S + 10)
