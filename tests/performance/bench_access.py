"""What access checks cost a request, in microseconds of processor time: python tests/performance/bench_access.py.

Best of several rounds: other work on the machine only ever adds.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI, Request, Response

from router_model.serving.access.authentication import RESPONSE_HEADERS, Access
from router_model.serving.access.issuing import create_key
from router_model.serving.access.key_file import dump_key_file, parse_key_file, read_key_file
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import read_secret
from router_model.serving.common.callers import Role
from router_model.serving.common.settings import Settings
from router_model.serving.http_edge.guard import Guard
from router_model.serving.http_edge.json_shape import check_shape, json_shape

ROUNDS = 7


def best_us(function: Callable[[], Any], n: int) -> float:
    """Return the time of one call."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(n):
            function()
        times.append((time.process_time() - start) / n)
    return min(times) * 1e6


def scope_of(text: str, path: str) -> dict[str, Any]:
    """Return a request's scope with ten headers, as a usual client sends them."""
    headers = {
        "host": "localhost:8484",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate, br",
        "connection": "keep-alive",
        "user-agent": "python-httpx/0.28.1",
        "authorization": f"Bearer {text}",
        "content-type": "application/json",
        "content-length": "900",
        "x-request-id": "0123456789abcdef",
        "x-stainless-lang": "python",
    }
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8484),
        "client": ("127.0.0.1", 50000),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        RESPONSE_HEADERS: [],
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * 900, "more_body": False}


async def send(message: Any) -> None:
    del message


async def best_request_us(app: Callable[..., Awaitable[None]], text: str, path: str, n: int = 2000) -> float:
    """Return the time of one request, called as a server calls it."""
    times = []
    for _ in range(ROUNDS):
        scopes = [scope_of(text, path) for _ in range(n)]
        start = time.process_time()
        for scope in scopes:
            await app(scope, receive, send)
        times.append((time.process_time() - start) / n)
    return min(times) * 1e6


def app_of(access: Access) -> FastAPI:
    """Return an app with one route for each way to ask who is calling."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    @app.post("/nobody")
    async def nobody(request: Request) -> Response:
        return Response(await request.body())

    @app.post("/function")
    async def function(request: Request) -> Response:
        access.authenticate(request.scope, Role.DECIDE)
        return Response(await request.body())

    return app


async def bare(scope: Any, receive: Any, send: Any) -> None:
    del scope
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    with TemporaryDirectory() as folder:
        measure(Path(folder) / "keys.toml")


def measure(path: Path) -> None:
    _, text = create_key(path, name="gateway", roles=[Role.DECIDE])
    _, limited = create_key(path, name="limited", roles=[Role.DECIDE], requests_per_minute=10**9)
    access = Access(Keyring.load(path, secret=read_secret(path)))
    key_file = read_key_file(path)
    app, guard = app_of(access), Guard(bare, Settings(artifact=Path()))
    scope, limited_scope = scope_of(text, "/"), scope_of(limited, "/")

    def authenticate_limited() -> None:
        limited_scope[RESPONSE_HEADERS].clear()
        access.authenticate(limited_scope, Role.DECIDE)

    nothing = asyncio.run(best_request_us(bare, text, "/"))
    chat = json.dumps({"messages": [{"role": "user", "content": "x" * 900}]}).encode()
    long = json.dumps({"messages": [{"role": "user", "content": [{"text": "x" * 30}]}] * 100}).encode()
    huge = b"[" * 8_000_000
    one = next(iter(key_file.keys.values()))
    ids = [f"{n:012}" for n in range(1000)]
    many = dump_key_file(replace(key_file, keys={key_id: replace(one, id=key_id) for key_id in ids}))
    rows = {
        "authenticate": best_us(lambda: access.authenticate(scope, Role.DECIDE), 5000),
        "authenticate, key with a limit": best_us(authenticate_limited, 5000),
        "guard": asyncio.run(best_request_us(guard, text, "/")) - nothing,
        "FastAPI route, no key asked for": asyncio.run(best_request_us(app, text, "/nobody")),
        "FastAPI route, function": asyncio.run(best_request_us(app, text, "/function")),
        "JSON depth, chat of 1 kB": best_us(lambda: check_shape(chat, max_depth=64, max_parts=200_000), 5000),
        "JSON depth, 100 messages, 9 kB": best_us(lambda: check_shape(long, max_depth=64, max_parts=200_000), 2000),
        "JSON depth, 8 MB of '['": best_us(lambda: json_shape(huge), 1),
        "key file of 1,000 keys read again": best_us(lambda: parse_key_file(many, origin=path), 1),
    }
    for name, value in rows.items():
        print(f"{name:35} {value:10.1f} us")


if __name__ == "__main__":
    main()
