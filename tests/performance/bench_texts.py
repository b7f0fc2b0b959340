"""How long hard texts (for tokenisers, for regular expressions) take to decide for, in ms of processor, best of five.

For each kind: 8 KB of it (UTF-8), as many characters as are read of any prompt (8,192), and a body of 4 MB characters.

    python tests/performance/bench_texts.py ROUTER
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nasty_texts import NASTY

from router_model import Router
from router_model.serving.engine.query import Query
from router_model.serving.engine.read_query import ReadQuery

N_BYTES, N_READ, N_BODY = 8_192, 8_192, 4_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path)
    router = Router.load(parser.parse_args().router)
    router.route("hello")
    print(f"{'kind':34} {'8 KB':>7} {'read':>7} {'body':>7}")
    worst = [0.0, 0.0, 0.0]
    for kind, make in NASTY.items():
        texts = ["a " + make(N_READ, Random(seed)) for seed in range(10)]
        short = [text.encode("utf-8", "replace")[:N_BYTES].decode("utf-8", "ignore") for text in texts]
        body = {"messages": [{"role": "user", "content": texts[0] * (N_BODY // N_READ)}]}
        took = [
            milliseconds(router.route, short[:5]),
            milliseconds(router.route, texts[5:]),
            milliseconds(lambda given: router.route(ReadQuery.read(Query(body=given)).prompt), [body] * 5),
        ]
        worst = [max(pair) for pair in zip(worst, took, strict=True)]
        print(f"{kind:34} {took[0]:7.1f} {took[1]:7.1f} {took[2]:7.1f}", flush=True)
    print(f"{'worst':34} {worst[0]:7.1f} {worst[1]:7.1f} {worst[2]:7.1f}")


def milliseconds(decide: Callable[..., object], given: list) -> float:
    """Return the shortest time; of texts that are not the same, so that nothing is remembered."""
    times = []
    for one in given:
        began = time.thread_time()
        decide(one)
        times.append(1000 * (time.thread_time() - began))
    return min(times)


if __name__ == "__main__":
    main()
