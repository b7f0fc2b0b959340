"""What reading and writing a stream costs: processor time a chunk, without a network.

Usage: python tests/performance/bench_stream.py [--chunks N]

A stream of OpenAI's shape goes through the adapter as a forwarder would feed it: one event a piece, many events a
piece, and cut in the middle of events. Best of several rounds, because what disturbs a round only makes it slower.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from openai_streams import USAGE, chat, chunk, target_at, text, usage_chunk

from router_model.serving.formats.format import Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.formats.sse import EventParser
from router_model.serving.providers.provider import Kind

ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=5000)
    n_chunks = parser.parse_args().chunks
    events = list(_events(n_chunks))
    content = b"".join(events)
    pieces = {
        "one event a piece": events,
        "ten events a piece": [b"".join(events[at : at + 10]) for at in range(0, len(events), 10)],
        "pieces of 100 bytes": [content[at : at + 100] for at in range(0, len(content), 100)],
    }
    print(f"{n_chunks} chunks of {len(content) / len(events):.0f} bytes\n")
    print("| cut into | parse, us a chunk | parse, read and write, us a chunk |\n|---|---|---|")
    for name, cut in pieces.items():
        seconds = (_best(_parse, cut), _best(_pass_through, cut))
        print(f"| {name} | " + " | ".join(f"{1e6 * one / n_chunks:.1f}" for one in seconds) + " |")


def _events(n_chunks: int) -> Iterable[bytes]:
    about = {"service_tier": "default", "system_fingerprint": "fp_a6889ffe71", "usage": None}
    for n in range(n_chunks - 2):
        yield _event(text(f" word{n}") | about)
    yield _event(chunk({}, "stop") | about)
    yield _event(usage_chunk(USAGE) | about | {"usage": USAGE})


def _event(body: dict) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _parse(pieces: list[bytes]) -> None:
    parser = EventParser()
    for piece in pieces:
        for _ in parser.feed(piece):
            pass


def _pass_through(pieces: list[bytes]) -> None:
    stream = adapter_for(Surface.CHAT, Kind.OPENAI).stream(chat(), target_at())
    for piece in pieces:
        stream.feed(piece)
    stream.end({})


def _best(play, pieces: list[bytes]) -> float:
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        play(pieces)
        found.append(time.process_time() - begun)
    return min(found)


if __name__ == "__main__":
    main()
