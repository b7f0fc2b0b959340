"""How long the service's event loop stands still for hostile requests: the worst of each kind, and of all.

The real service runs in a process of its own, and so does its provider. A heartbeat is in the service's loop
(`beating_serve`): a stall is how late a beat was. Each attack is played several times, and its figure is the median of
the worst stalls, as other programs of the machine hold the loop up, too: "nothing" says how much. Ends with status 1
where the figure of an attack is above the limit.

    python tests/performance/bench_loop_stalls.py ROUTER [--rounds 5] [--limit-ms 50] [--only PART]
"""

import argparse
import contextlib
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from gateways import mock_provider
from processes import free_port, running

SERVE = Path(__file__).parents[1] / "support" / "beating_serve.py"
ROUTE, CHAT, MESSAGES = "/v1/route", "/v1/chat/completions", "/v1/messages"
GEMINI, EMBED, BATCH = "/v1beta/models/auto:generateContent", "/v1/embeddings", "/v1/route/batch"
HI: list[dict[str, Any]] = [{"role": "user", "content": "Is 2027 prime?"}]
MEGA = 1_000_000
IMAGE = "iVBORw0KGgoAAAANSUhEUgAA" * (31 * MEGA // 24)


@dataclass(frozen=True)
class Attack:
    """So many connections at once, each with these bytes."""

    name: str
    content: bytes
    at_once: int = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path, help="folder of a trained router")
    parser.add_argument("--rounds", type=int, default=5, help="[%(default)s]")
    parser.add_argument("--limit-ms", type=float, default=50, help="[%(default)s]")
    parser.add_argument("--only", default="", help="attacks whose names have this in them")
    parser.add_argument("--program", type=Path, default=SERVE, help="what serves instead, for debugging")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name), options.router.resolve(), options.program) as port:
        found = {
            attack.name: played(attack, port, Path(name) / "beats", options.rounds)
            for attack in attacks()
            if options.only in attack.name
        }
    above = [name for name, stall_ms in found.items() if stall_ms > options.limit_ms]
    print(f"\nworst: {max(found.values()):.0f} ms; limit {options.limit_ms:.0f} ms")
    if above:
        sys.exit(f"above the limit: {', '.join(above)}")


@contextlib.contextmanager
def service(folder: Path, router: Path, program: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, str(program), "serve", str(router), "--insecure", "--port", str(port)]
    command += ["--providers", "providers.toml"]
    with mock_provider(folder) as (host, upstream):
        (folder / "providers.toml").write_text(
            f'[mock]\nkind = "openai"\nbase_url = "http://{host}:{upstream}/v1"\nmodels = ["*"]\n'
        )
        url = f"http://127.0.0.1:{port}/readyz"
        with running(command, ready_url=url, output=folder / "said", env=os.environ, cwd=folder):
            yield port


def played(attack: Attack, port: int, beats: Path, rounds: int) -> float:
    """Play an attack, print what became of it, and return the median of the worst stalls, in ms."""
    worst, took, statuses = [], [], Counter[str]()
    for _ in range(rounds):
        time.sleep(0.3)
        began = time.monotonic()
        statuses += at_once(attack, port)
        took.append(time.monotonic() - began)
        time.sleep(0.1)
        lines = (line.split() for line in beats.read_text().splitlines())
        worst.append(max((float(late) for at, late in lines if float(at) >= began), default=0.0) * 1e3)
    said = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
    print(f"{attack.name:44} {median(worst):7.0f} ms  ({median(took):6.2f} s; {said})", flush=True)
    return median(worst)


def at_once(attack: Attack, port: int) -> Counter[str]:
    statuses: Counter[str] = Counter()

    def one() -> None:
        answer = b""
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection, contextlib.suppress(OSError):
            with contextlib.suppress(ConnectionError):
                connection.sendall(attack.content)
            while received := connection.recv(1 << 20):
                answer = answer or received
        statuses[answer[9:12].decode() or "hung up"] += 1

    threads = [threading.Thread(target=one) for _ in range(attack.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def post(path: str, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def chat(path: str = CHAT, **fields: object) -> bytes:
    return post(path, {"model": "auto", "max_tokens": 10, "messages": HI} | fields)


def raw_chat(text: bytes) -> bytes:
    return post(CHAT, b'{"model":"auto","max_tokens":10,"messages":[{"role":"user","content":"' + text + b'"}]}')


def attacks() -> Iterator[Attack]:
    """Yield the corpus, an attack at a time: some have 100 MB."""
    yield Attack("nothing", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    yield from of_names()
    yield from of_parts()
    yield from of_messages()
    yield from of_long_texts()
    yield from of_framing()


def of_names() -> Iterator[Attack]:
    names = [f"m{n}*x" for n in range(100_000)]
    yield Attack("100,000 globs", post(ROUTE, {"messages": HI, "router": {"deny": names}}))
    yield Attack(
        "1,000 globs of 256 characters", post(ROUTE, {"messages": HI, "router": {"deny": ["a*" * 128] * 1000}})
    )
    few = [f"{n}*" + "ab?" * 40 for n in range(30)]
    yield Attack("as many globs as may be", post(ROUTE, {"messages": HI, "router": {"deny": few}}), at_once=8)
    yield Attack("100,000 numbers for names", post(ROUTE, {"messages": HI, "models": [1] * 100_000}))
    yield Attack("100,000 unknown options", post(ROUTE, {"messages": HI, "router": dict.fromkeys(names, 1)}))
    yield Attack("100,000 unknown fields of feedback", post("/v1/feedback", dict.fromkeys(names, 1)))
    yield Attack("100,000 entries of metadata", chat(metadata=dict.fromkeys(names, "x")))
    yield Attack("100,000 stops", chat(stop=names))
    yield Attack("100,000 tools", chat(tools=[{"type": "function", "function": {"name": "f"}}] * 100_000))
    yield Attack("100,000 plugins", chat(plugins=[{"id": "x"}] * 100_000))


def of_parts() -> Iterator[Attack]:
    def listed(part: bytes, n: int) -> bytes:
        return b'{"messages":[],"x":[' + b",".join([part] * n) + b"]}"

    yield Attack("8 MB of {}", post(ROUTE, listed(b"{}", 2_600_000)))
    yield Attack("8 MB of {}, 24 at once", post(ROUTE, listed(b"{}", 2_600_000)), at_once=24)
    yield Attack("32 MB of {}, 8 at once", post(CHAT, listed(b"{}", 10_600_000)), at_once=8)
    yield Attack("8 MB of [", post(ROUTE, b"[" * 8 * MEGA))
    yield Attack("as many [] as may be, 8 at once", post(ROUTE, listed(b"[]", 39_000)), at_once=8)
    yield Attack("as many {} as may be for 64 KB", post(ROUTE, listed(b"{}", 21_000)), at_once=24)
    fields = b"{" + b",".join(b'"k%d":1' % n for n in range(39_000)) + b"}"
    yield Attack("as many fields as may be, 8 at once", post(ROUTE, b'{"messages":[],"x":' + fields + b"}"), at_once=8)
    yield Attack("as many numbers as may be", post(ROUTE, listed(b"1.2345678901234567e-300", 190_000)))
    yield Attack("4,000,000 numbers to embed", post(EMBED, b'{"model":"e","input":[' + b"1," * 4_000_000 + b"1]}"))
    yield Attack("100,000 texts to embed", post(EMBED, {"model": "e", "input": ["x"] * 100_000}))


def of_messages() -> Iterator[Attack]:
    turn = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}]
    yield Attack("200,000 messages", chat(messages=turn * 100_000))
    for name, path in (("OpenAI", CHAT), ("Anthropic", MESSAGES), ("route", ROUTE)):
        yield Attack(f"as many messages as may be, {name}", chat(path, messages=[*turn * 2499, turn[0]]), at_once=4)
    said = [{"type": "text", "text": "Hi"}] * 9_000
    yield Attack("as many content parts as may be", chat(MESSAGES, messages=[{"role": "user", "content": said}]), 4)
    google = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hi"}]}]
    yield Attack("200,000 contents, Google", post(GEMINI, {"contents": google * 100_000}))
    yield Attack("as many contents as may be, Google", post(GEMINI, {"contents": [*google * 2499, google[0]]}), 4)
    yield Attack("a batch of 200,000", post(BATCH, {"requests": [{"messages": HI}] * 200_000}))
    yield Attack("a batch of 256", post(BATCH, {"requests": [{"messages": turn * 25}] * 256}))
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(30)}}
    tools = [{"type": "function", "function": {"name": f"f{n}", "parameters": schema}} for n in range(500)]
    yield Attack("500 tools", chat(tools=tools), at_once=4)


def of_long_texts() -> Iterator[Attack]:
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
    yield Attack("an image of 31 MB, OpenAI", chat(messages=[{"role": "user", "content": [*HI, url][1:]}]))
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    block = {"type": "image", "source": source}
    yield Attack("an image of 31 MB, Anthropic", chat(MESSAGES, messages=[{"role": "user", "content": [block]}]), 2)
    inline = {"inlineData": {"mimeType": "image/png", "data": IMAGE}}
    yield Attack("an image of 31 MB, Google", post(GEMINI, {"contents": [{"role": "user", "parts": [inline]}]}))
    yield Attack("31 MB of letters", raw_chat(b"A" * 31 * MEGA))
    yield Attack("31 MB of 3-byte characters", raw_chat("漢".encode() * (10 * MEGA)))
    yield Attack("31 MB of mixed characters", raw_chat("a漢😀é".encode() * (3 * MEGA)))
    yield Attack("31 MB of escapes", raw_chat(b"\\u6f22" * (5 * MEGA)))
    yield Attack("31 MB of backslashes", raw_chat(b"\\" * 30 * MEGA))
    yield Attack("8 MB of letters", raw_chat(b"A b " * 2 * MEGA), 4)
    yield Attack("8 MB of mixed characters", raw_chat("a漢😀é".encode() * (8 * MEGA // 10)), 4)
    yield Attack("8 MB of escapes", raw_chat(b"\\u6f22" * (8 * MEGA // 6)), 4)
    yield Attack("31 MB in texts of 10 kB", chat(messages=[{"role": "user", "content": "x" * 10_000}] * 3000))
    yield Attack("8 MB in texts of 10 kB", chat(messages=[{"role": "user", "content": "x" * 10_000}] * 750), 4)


def of_framing() -> Iterator[Attack]:
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    yield Attack("8 MB of chunks of 1 byte", head + b"1\r\n \r\n" * 1_300_000)
    yield Attack("8 MB of chunks of 16 bytes", head + b"10\r\n                \r\n" * 380_000)
    yield Attack("75 MB of trailers", head + b"2\r\n{}\r\n0\r\n" + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 2_400_000)
    yield Attack("8 MB of requests sent ahead", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 180_000)


if __name__ == "__main__":
    main()
