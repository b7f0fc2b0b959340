"""What HTTP adds to a decision: processor time in one process, without a network.

Usage: python tests/performance/bench_http.py ARTIFACT [--models N]

The engine is replaced by one that answers with a plan made once, so that what is left is the guard, authentication by a
key, reading and checking the body, and writing the answer. Copies of the models stand in for more of them.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from click.testing import CliRunner
from fake_service import fake_parts
from memory_log import MemoryLog

from router_model import Router
from router_model.plan import Plan
from router_model.serving.access.authentication import Access
from router_model.serving.access.start import check_access
from router_model.serving.api.parts import Parts
from router_model.serving.app import create_app
from router_model.serving.commands.keys import command as keys_command
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.settings import Settings
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.query import Query
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.http_edge.body_limits import BodyLimits

BODY = {
    "model": "auto",
    "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "word " * 100}],
    "router": {"quality_bar": 0.5, "session_id": "s-1"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact")
    parser.add_argument("--models", type=int, default=13)
    parser.add_argument("--requests", type=int, default=3000)
    arguments = parser.parse_args()
    router = Router.load(arguments.artifact)
    routed = asyncio.run(fake_parts(router).engines.default.decide(Query(body=BODY)))
    rows = np.resize(np.arange(len(routed.plan)), arguments.models).tolist()
    copied = {name: [getattr(routed, name)[row] for row in rows] for name in ("cards", "propensities")}
    routed = replace(routed, plan=Plan.of([routed.plan[row] for row in rows]), **copied)
    with tempfile.TemporaryDirectory() as folder:
        made = CliRunner().invoke(
            keys_command,
            ["create", "--file", f"{folder}/keys.toml", "--name", "bench", "--role", "decide"],
        )
        key = next(word for word in made.output.split() if word.startswith("rm_") and len(word) > 30)
        settings = Settings(artifact=arguments.artifact, keys=Path(folder) / "keys.toml")
        access, bodies = Access.of(settings, check_access(settings)), BodyReader(BodyLimits.of(settings))
        engines = Engines({DEFAULT_ROUTER: Ready(router, routed)})
        parts = Parts(settings, engines, MemoryLog(), access, bodies)
        seconds = asyncio.run(measure(create_app(parts=parts), key, arguments.requests))
    print(
        f"{arguments.models} candidates: {seconds * 1e6:.0f} microseconds of processor time a request beside deciding"
    )


class Ready:
    """Answers at once."""

    ready, policy_version, status = True, "p", {}

    def __init__(self, router, routed) -> None:
        self.router, self._routed = router, routed

    async def decide(self, _):
        return self._routed


async def measure(app, key: str, n: int) -> float:
    body = orjson.dumps(BODY)
    headers = [
        (b"host", b"127.0.0.1:8484"),
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
    ]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/route",
        "raw_path": b"/v1/route",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8484),
        "asgi": {"version": "3.0"},
    }
    status = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(n // 5):
            await app(dict(scope), receive, send)
        best = min(best, (time.process_time() - began) / (n // 5))
    assert set(status) == {200}, set(status)
    return best


if __name__ == "__main__":
    main()
