"""What a gateway adds to a call: ours, LiteLLM's proxy and Portkey's gateway, before the same provider and load.

Each gateway is alone on one core; the provider, which costs next to nothing, and the load are on another. "direct" is
the same load at the provider itself: what is left when it is taken from a gateway's figures is what the gateway adds.
Ours decides for each request among all candidates, checks a key, logs to SQLite and keeps metrics; "ours-named" does
all that but decide, as the others do. Prompts have about 100 word pieces, answers 30 tokens, streams 50 events.

Gateways take turns in every round; a figure is the median of the rounds, an added one that of the differences within
each. A table is printed, and all is written as JSON, from which docs/update_figures.py makes the table of
docs/speed.md.

    python tests/performance/bench_proxy.py DATA/mmlu_pro [--router FOLDER] [--gateways ours,direct] [--out FILE]
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httptools
import numpy as np
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from decision_load import near_prompts, trained
from gateways import CHAT, GATEWAYS, VERSIONS, Gateway, Place, mock_provider
from http_load import Load, Request, closed_loop, post
from mock_upstream import FIRST, N_CHUNKS, PACE_S, PACED, TEXT
from served import Usage

from router_model.saved.artifact import load_artifact
from router_model.training.benchmark.method import MethodUnavailableError

CONCURRENCY, N_STREAMS, N_AT_ONCE = 32, 600, 200
ADDED = ("p50_ms", "p99_ms", "p50_32_ms", "p99_32_ms", "first_p50_ms", "first_p99_ms", "first_dense_p50_ms")
Figures = dict[str, float]


def main() -> None:
    options = parsed()
    cores = sorted(os.sched_getaffinity(0))
    core = cores[0] if len(cores) > 1 else None
    if core is None:
        print("one core only: gateway, provider and load share it, and every figure is worse for it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompts = near_prompts(options.table / "outcomes.parquet")
        router = options.router or trained(options.table, folder / "router")
        os.sched_setaffinity(0, {cores[-1]})
        with mock_provider(folder) as provider:
            bench = Bench(folder, provider, core, router, prompts, options.seconds, options.max_tokens)
            rounds, not_run = bench.rounds(options.gateways.split(","), options.rounds)
    results = summary(rounds)
    document = {"setting": setting(options, router, not_run), "rows": ROWS, "results": results, "rounds": rounds}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\n{text_table(results)}\n\nwritten to {options.out}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="folder with outcomes.parquet and catalog.toml")
    parser.add_argument("--router", type=Path, help="a trained router instead of one trained here")
    parser.add_argument("--gateways", default=",".join(GATEWAYS), help="which, by commas [%(default)s]")
    parser.add_argument("--seconds", type=float, default=5, help="length of each load [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    parser.add_argument(
        "--max-tokens", type=int, default=100, help="of an answer; ours asks for a stream above 128 [%(default)s]"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench-proxy/results.json"))
    return parser.parse_args()


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    folder: Path
    provider: tuple[str, int]
    core: int | None
    router: Path
    prompts: list[str]
    seconds: float
    max_tokens: int

    def rounds(self, names: list[str], n_rounds: int) -> tuple[list[dict[str, Figures]], dict[str, str]]:
        """Return the figures of each gateway in each round, and why some have none."""
        rounds: list[dict[str, Figures]] = [{} for _ in range(n_rounds)]
        not_run: dict[str, str] = {}
        for number, figures in enumerate(rounds):
            for name in (name for name in names if name not in not_run):
                try:
                    figures[name] = self.figures(name)
                except MethodUnavailableError as exc:
                    not_run[name] = str(exc)
                    print(f"{name}: not run: {exc}")
                    continue
                said = {key: round(value, 2) for key, value in figures[name].items()}
                print(f"round {number + 1}, {name}: {said}", flush=True)
        return rounds, not_run

    def figures(self, name: str) -> Figures:
        place = Place(Path(tempfile.mkdtemp(dir=self.folder)), self.provider, self.core, self.router)
        with GATEWAYS[name](place) as gateway:
            loads = Loads(gateway, self.prompts, max_tokens=self.max_tokens)
            figures = measured(loads, self.seconds)
        if gateway.log is not None:
            figures["unlogged"] = loads.n_answered - n_logged(gateway.log)
        return figures


class Loads:
    """The loads on one gateway."""

    def __init__(self, gateway: Gateway, prompts: list[str], *, max_tokens: int) -> None:
        self.gateway = gateway
        self._prompts = prompts
        self._max_tokens = max_tokens
        self._n_loads = 0
        self.n_answered = 0

    def run(self, *, concurrency: int, stream: bool = False, paced: bool = False, **limits: Any) -> Load:
        """Keep requests under way; streams are kept, and timed until their first token."""
        self._n_loads += 1
        request = self._requests(stream=stream, paced=paced)
        options = {"mark": FIRST, "keep": True} if stream else {}
        load = uvloop.run(closed_loop(self.gateway.address, request, concurrency=concurrency, **options, **limits))
        self.n_answered += load.n_ok
        return load

    def _requests(self, *, stream: bool, paced: bool) -> Request:
        more = {"stream": True} if stream else {}
        bodies = [
            json.dumps(
                {
                    "model": self.gateway.model,
                    "messages": [{"role": "user", "content": f"{PACED} {prompt}" if paced else prompt}],
                    "max_tokens": self._max_tokens,
                    **more,
                }
            ).encode()
            for prompt in self._prompts
        ]

        def request(number: int) -> bytes:
            headers = {**self.gateway.headers, "x-session-id": f"{self._n_loads}-{number}"}
            return post(CHAT, bodies[number % len(bodies)], host="127.0.0.1", headers=headers)

        return request


def measured(loads: Loads, seconds: float) -> Figures:
    """Return a gateway's figures, as they are; what it adds is a matter of two of them."""
    server = loads.gateway.server
    idle_mb = server.rss_mb() if server else 0.0
    loads.run(concurrency=4, n_requests=400)  # warms everything
    loads.run(concurrency=4, n_requests=100, stream=True)
    one = loads.run(concurrency=1, seconds=seconds)
    before = server.usage() if server else Usage(0, 0)
    many = loads.run(concurrency=CONCURRENCY, seconds=seconds)
    used = server.usage().since(before) if server else before
    figures = {
        "p50_ms": one.latency_ms(50),
        "p99_ms": one.latency_ms(99),
        "p50_32_ms": many.latency_ms(50),
        "p99_32_ms": many.latency_ms(99),
        "per_second": many.per_second,
        **streamed(loads, seconds),
    }
    figures["errors"] += one.n_errors + many.n_errors
    figures["degraded"] += one.degraded + many.degraded
    if server:
        figures |= {
            "cpu_ms": used.cpu_s / many.n_answers * 1000, "idle_mb": idle_mb, "after_mb": server.rss_mb(),
        }  # fmt: skip
    return figures


def streamed(loads: Loads, seconds: float) -> Figures:
    """Return the figures of streams."""
    paced = loads.run(concurrency=1, seconds=seconds, stream=True, paced=True)
    soon = loads.run(concurrency=1, seconds=seconds, stream=True)
    dense = loads.run(concurrency=CONCURRENCY, seconds=seconds, stream=True)
    crowd = loads.run(concurrency=N_AT_ONCE, n_requests=N_STREAMS, stream=True, paced=True)
    broken = sum(not is_whole(answer) for load in (paced, soon, dense, crowd) for answer in load.answers)
    return {
        "first_p50_ms": first_ms(paced, 50),
        "first_p99_ms": first_ms(paced, 99),
        "first_dense_p50_ms": first_ms(soon, 50),
        "streams_per_second": dense.n_ok / dense.seconds,
        "at_once_whole": sum(map(is_whole, crowd.answers)) / N_STREAMS,
        "at_once_first_p50_ms": first_ms(crowd, 50),
        "at_once_per_second": crowd.n_ok * N_CHUNKS / crowd.seconds,
        "at_once_degraded": float(crowd.degraded),
        "degraded": float(paced.degraded + soon.degraded + dense.degraded),
        "errors": float(broken),
    }


def first_ms(load: Load, percent: float) -> float:
    """Return the time to the first token, in ms; nan where no stream had one."""
    return float(np.percentile(load.first_s, percent)) * 1000 if load.first_s else float("nan")


def is_whole(answer: bytes) -> bool:
    """Whether a stream has all its text, its finish and its end."""
    body: list[bytes] = []
    parser = httptools.HttpResponseParser(Collector(body))
    parser.feed_data(answer)
    events = [line[6:] for line in b"".join(body).split(b"\n") if line.startswith(b"data: ")]
    if not events or events.pop().strip() != b"[DONE]":
        return False
    choices = [choice for event in events for choice in json.loads(event).get("choices", ())]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text == TEXT and any(choice.get("finish_reason") == "stop" for choice in choices)


class Collector:
    """Puts what httptools finds into a list."""

    def __init__(self, body: list[bytes]) -> None:
        self.on_body = body.append


def n_logged(log: Path) -> int:
    """Return the number of calls in a decision log, which has been closed."""
    with sqlite3.connect(log) as database:
        return int(database.execute("SELECT count(*) FROM router_attempts").fetchone()[0])


def summary(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Return the medians of the rounds, and of what each gateway adds to the direct figures of its round."""
    results: dict[str, Figures] = {}
    for name in rounds[0]:
        of_name = [figures[name] for figures in rounds if name in figures]
        results[name] = {key: median(figures[key] for figures in of_name) for key in of_name[0]}
        if name == "direct" or "direct" not in rounds[0]:
            continue
        pairs = [(figures[name], figures["direct"]) for figures in rounds if name in figures]
        for key in ADDED:
            results[name][f"added_{key}"] = median(one[key] - other[key] for one, other in pairs)
    return results


def setting(options: argparse.Namespace, router: Path, not_run: dict[str, str]) -> dict[str, Any]:
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "max_tokens": options.max_tokens,
        "n_models": len(load_artifact(router).predictor.models),
        "python": platform.python_version(),
        "versions": VERSIONS,
        "chunks": N_CHUNKS,
        "pace_ms": PACE_S * 1000,
        "not_run": not_run,
    }


ROWS = (
    ("added p50, one at a time, ms", "added_p50_ms"),
    ("added p99, one at a time, ms", "added_p99_ms"),
    ("added p50, 32 under way, ms", "added_p50_32_ms"),
    ("added p99, 32 under way, ms", "added_p99_32_ms"),
    ("requests/s, 32 under way", "per_second"),
    ("CPU a request, ms", "cpu_ms"),
    ("added to the first token, p50, ms", "added_first_p50_ms"),
    ("added to the first token, p99, ms", "added_first_p99_ms"),
    ("the same where events come at once, p50, ms", "added_first_dense_p50_ms"),
    ("streams/s, 32 under way", "streams_per_second"),
    ("200 streams at once: share whole", "at_once_whole"),
    ("200 streams at once: events/s", "at_once_per_second"),
    ("200 streams at once: first token p50, ms", "at_once_first_p50_ms"),
    ("memory idle, MB", "idle_mb"),
    ("memory after, MB", "after_mb"),
    ("errors, and streams not whole", "errors"),
    ("answered by the default plan", "degraded"),
    (f"the same, of the {N_STREAMS} at once", "at_once_degraded"),
    ("calls not in the decision log", "unlogged"),
    ("latency p50, one at a time, ms", "p50_ms"),
    ("first token p50, ms", "first_p50_ms"),
)


def text_table(results: dict[str, Figures]) -> str:
    lines = [f"{'':42s}" + "".join(f"{name:>12s}" for name in results)]
    for label, key in ROWS:
        cells = (f"{figures[key]:.2f}" if key in figures else "-" for figures in results.values())
        lines.append(f"{label:42s}" + "".join(f"{cell:>12s}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
