"""Fuzzing for a time: bodies, framing, boosters. ``FUZZ_SECONDS`` (8) is for each; ``make fuzz`` takes ten minutes.

What was found before are the seeds. A failure prints its input: add it to the seeds, and mend its kind.
"""

import json
import os
import socket
import time
from pathlib import Path
from random import Random

import lightgbm as lgb
import pytest
from fake_service import client_of, fake_parts
from guarded_app import insecure_app, settings_of
from http_thread import live

from router_model.prediction.booster_text import BoosterTextError, check_booster, read_booster
from router_model.serving.http_edge.http_protocol import HeadLimitedProtocol

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("FUZZ_SECONDS", "8"))
HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
BODIES = {
    "/v1/route": [
        {"messages": HI, "router": {"deny": ["a*"], "quality_bar": 0.5}},
        {"messages": HI, "models": ["small", "large"], "session_id": "s", "tools": [TOOL]},
    ],
    "/v1/route/batch": [{"requests": [{"messages": HI}]}],
    "/v1/feedback": [{"decision_id": "dec_1", "score": 0.5, "source": "s"}],
    "/v1/outcomes": [{"decision_id": "dec_1", "model": "small", "status": 200, "usage": {"input_tokens": 3}}],
}
ODD = (
    *(None, True, False, 0, -1, 2**63, -(2**70), 1e308, 0.1, "", "\0", "\ud800", "a" * 5000, "*" * 300, "é" * 99),
    *([], {}, [[]], [{}], [None] * 30, {"": ""}, {"role": "user"}, "data:image/png;base64,AAAA", "1", "NaN"),
)
FRAMES = (
    b"POST /v1/route HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/route HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3,
)
PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"\xff" * 9),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Host: evil\r\n",
        b"a" * 9000,
        b"Expect: 100-continue\r\n",
    ),
)
WORDS = ("-1", "0", "1", "99999", "2147483648", "nan", "inf", "1e999", "", "x", "1 1 1", "=", "Tree=1", "\0", "\u0661")


def until(seconds):
    """Yield random generators, each of a number that repeats it, for so long."""
    end, seed = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield seed, Random(seed)
        seed += 1


def changed(value, rng):
    """Return a JSON value with one part of it replaced, added or left out."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return rng.choice(ODD)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [*value[:place], changed(value[place], rng), *value[place + (rng.random() < 0.8) :]]
    name = rng.choice([*value, "router", "messages", "user", "metadata", "stop", "n"])
    if rng.random() < 0.1:
        return {key: one for key, one in value.items() if key != name}
    return value | {name: changed(value[name], rng) if name in value else rng.choice(ODD)}


def test_bodies_are_answered_or_refused(trained):
    """No body is answered with 500, and each error says what to do."""
    with client_of(fake_parts(trained.router)) as client:
        for seed, rng in until(SECONDS):
            path = rng.choice(list(BODIES))
            body = rng.choice(BODIES[path])
            for _ in range(rng.randint(1, 4)):
                body = changed(body, rng)
            content = json.dumps(body).encode("utf-8", "surrogatepass")
            if rng.random() < 0.1:
                place = rng.randrange(len(content))
                content = content[:place] + rng.randbytes(3) + content[place:]
            answer = client.post(path, content=content, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (seed, path, content, answer.text)
            if answer.status_code >= 400:
                assert answer.json()["error"]["message"], (seed, path, content)


def test_framing_never_stops_the_server():
    """Whatever is sent, the next caller is answered at once."""
    healthy = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with live(insecure_app(settings_of()), http=HeadLimitedProtocol) as port:
        for seed, rng in until(SECONDS):
            request = bytearray(rng.choice(FRAMES))
            for _ in range(rng.randint(1, 5)):
                place = rng.randrange(len(request))
                request[place : place + rng.randint(0, 4)] = rng.choice(PIECES)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                try:
                    connection.sendall(request)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(0.2)
                    connection.recv(65536)
                except OSError:
                    pass  # hung up, or waits for more: both are well
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(healthy)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200"), (seed, bytes(request))


def test_a_damaged_booster_is_refused_or_harmless(trained):
    """What our reader lets through, LightGBM can load: a crash here would end the whole run."""
    text = (Path(trained.path) / "success_0.lgb.txt").read_text()
    names, n_loaded = read_booster(text).names, 0
    for _, rng in until(SECONDS):
        lines = text.split("\n")
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(min(len(lines), 120))
            name, equals, value = lines[place].partition("=")
            parts = value.split(" ")
            parts[rng.randrange(len(parts))] = rng.choice(WORDS)
            what = rng.random()
            lines[place] = f"{name}{equals}{' '.join(parts)}" if what < 0.8 else lines[rng.randrange(len(lines))]
        damaged = resized("\n".join(lines)) if rng.random() < 0.7 else "\n".join(lines)
        try:
            check_booster(damaged, predicts="success", names=names)
        except BoosterTextError:
            continue
        lgb.Booster(model_str=damaged).predict([[0.0] * len(names)])
        n_loaded += 1
    assert n_loaded  # else it tries nothing


def resized(text):
    """Make ``tree_sizes`` right again, so that what else is wrong counts."""
    head, *trees = text.split("\nTree=")
    if not trees:
        return text
    *most, last = trees
    blocks = [f"Tree={tree}\n" for tree in most] + [f"Tree={last.partition('end of trees')[0]}"]
    sizes = " ".join(str(len(block.encode())) for block in blocks)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in head.split("\n")]
    return "\nTree=".join(["\n".join(lines), *trees])
