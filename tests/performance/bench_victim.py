"""What a healthy caller notices while another one attacks: one row an attack.

The real service, with a key for each. The healthy caller asks ten times a second, for a decision and for a forwarded
call in turn; the hostile one plays an attack again and again. A row has the share of the healthy one's requests that
were answered, how many of its decisions were degraded, and how long its requests took.

    python tests/performance/bench_victim.py ROUTER [--seconds 5] [--only PART]
"""

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_loop_stalls import BATCH, CHAT, HI, ROUTE, Attack, attacks, chat, post
from gateways import mock_provider
from nasty_texts import NASTY
from system import System, system

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role

EVERY_S, AT_ONCE = 0.1, 4
HOST = b"Host: 127.0.0.1\r\n"


@dataclass
class Seen:
    """What the healthy caller got."""

    seconds: list[float] = field(default_factory=list)
    n_answered: int = 0
    n_decided: int = 0
    n_degraded: int = 0

    def row(self) -> str:
        p50, p99 = 1000 * np.quantile(self.seconds, [0.5, 0.99])
        degraded = self.n_degraded / max(self.n_decided, 1)
        return f"{self.n_answered / len(self.seconds):8.1%} {degraded:8.1%} {p50:7.0f} {p99:7.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path, help="folder of a trained router")
    parser.add_argument("--seconds", type=float, default=5, help="of each attack [%(default)s]")
    parser.add_argument("--only", default="", help="attacks whose names have this in them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, mock_provider(Path(name)) as (host, port):
        folder = Path(name) / "service"
        folder.mkdir()
        (folder / "providers.toml").write_text(
            f'[mock]\nkind = "openai"\nbase_url = "http://{host}:{port}/v1"\nmodels = ["*"]\n'
        )
        with system(folder, options.router.resolve(), providers="providers.toml", decision_deadline_s=0.25) as service:
            _, hostile = create_key(folder / "keys.toml", name="hostile", roles=Role)
            time.sleep(1.5)
            print(f"{'attack':38} answered degraded  p50 ms  p99 ms  the hostile one's answers")
            for attack in (*attacks(), *more_attacks()):
                if options.only in attack.name:
                    print(f"{attack.name:38} {played(service, hostile, attack, options.seconds)}", flush=True)


def more_attacks() -> Iterator[Attack]:
    rng = Random(0)
    hard = {}
    for kind in ("random words of 100 letters", "hex", "base64"):
        hard = {"messages": [{"role": "user", "content": NASTY[kind](8_000, rng)}]}
        yield Attack(f"8 KB: {kind}", post(ROUTE, hard), AT_ONCE)
    yield Attack("a batch of 256 hard texts", post(BATCH, {"requests": [hard] * 256}), 2)
    yield Attack("short deadlines", with_head(chat(), b"x-router-timeout-s: 0.001\r\n"), 16)
    yield Attack("32 calls at once", chat(), 32)
    yield Attack("abandoned streams", chat(stream=True), 16)
    yield Attack("made-up models", chat(model="nobody/has-it"), 16)
    yield Attack("huge max_tokens", chat(max_tokens=10**9, stream=True), 16)


def with_head(request: bytes, line: bytes) -> bytes:
    return request.replace(HOST, HOST + line, 1)


def played(service: System, hostile: str, attack: Attack, seconds: float) -> str:
    until = time.monotonic() + seconds
    content = with_head(attack.content, f"Authorization: Bearer {hostile}\r\n".encode())
    is_abandoned = attack.name == "abandoned streams"
    statuses: Counter[str] = Counter()

    def attacking() -> None:
        while time.monotonic() < until:
            statuses[attacked(service.port, content, is_abandoned=is_abandoned)] += 1

    threads = [] if attack.name == "nothing" else [threading.Thread(target=attacking) for _ in range(attack.at_once)]
    for thread in threads:
        thread.start()
    seen = asked(service, lambda: time.monotonic() < until)
    for thread in threads:
        thread.join()
    said = ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items()))
    return f"{seen.row()}  {said}"


def attacked(port: int, content: bytes, *, is_abandoned: bool) -> str:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, contextlib.suppress(OSError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
        while received := connection.recv(1 << 20):
            answer = answer or received
            if is_abandoned:
                break
    return answer[9:12].decode() or "hung up"


def asked(service: System, goes_on: Callable[[], bool]) -> Seen:
    """Ask ten times a second; a late answer does not make the next question late."""
    seen, lock, threads = Seen(), threading.Lock(), []
    headers = {"authorization": f"Bearer {service.key}", "content-type": "application/json"}
    client = httpx2.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False)

    def one(path: str) -> None:
        began = time.monotonic()
        body = {"model": "auto", "max_tokens": 10, "messages": HI} if path == CHAT else {"messages": HI}
        try:
            answer = client.post(path, content=json.dumps(body))
        except httpx2.HTTPError:
            answer = None
        took_s = time.monotonic() - began
        with lock:
            seen.seconds.append(took_s)
            seen.n_answered += answer is not None and answer.status_code == httpx2.codes.OK
            if path == ROUTE and answer is not None and answer.status_code == httpx2.codes.OK:
                seen.n_decided += 1
                seen.n_degraded += bool(answer.json().get("degraded"))

    with client:
        while goes_on():
            thread = threading.Thread(target=one, args=((ROUTE, CHAT)[len(threads) % 2],))
            thread.start()
            threads.append(thread)
            time.sleep(EVERY_S)
        for thread in threads:
            thread.join()
    return seen


if __name__ == "__main__":
    main()
