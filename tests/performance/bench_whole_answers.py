"""What it costs to ask a provider for a stream where the caller wants a whole answer: the proxy with it, and without.

The proxy is alone on one core and forwards to a named model; the provider, which costs next to nothing, and the load
are on another. A stream has 50 events, which come back to back, or 2 ms apart as tokens do: then each is read by
itself. The whole answer is one body. Both take turns in every round; a figure is the median of the rounds.

    python tests/performance/bench_whole_answers.py ROUTER DATA/mmlu_pro [--seconds 4] [--rounds 3]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_proxy import Loads
from decision_load import near_prompts
from gateways import Place, mock_provider, ours
from mock_upstream import N_CHUNKS, PACE_S
from served import Usage

Figures = dict[str, float]
COLUMNS = ("p50, one at a time, ms", "p50, 32 under way, ms", "CPU a call, ms", "CPU a call, paced, ms", "errors")


def main() -> None:
    options = parsed()
    cores = sorted(os.sched_getaffinity(0))
    prompts = near_prompts(options.table / "outcomes.parquet")
    rounds: dict[str, list[Figures]] = {"whole": [], "by stream": []}
    with tempfile.TemporaryDirectory() as name:
        os.sched_setaffinity(0, {cores[-1]})
        with mock_provider(Path(name)) as provider:
            for _ in range(options.rounds):
                for how, figures in rounds.items():
                    folder = Path(tempfile.mkdtemp(dir=name))
                    place = Place(folder, provider, cores[0] if len(cores) > 1 else None, options.router)
                    figures.append(measured(place, prompts, options.seconds, streams_whole=how == "by stream"))
    print(
        f"{N_CHUNKS} events a stream; paced: {PACE_S * 1000:g} ms apart; {options.rounds} rounds of {options.seconds} s"
    )
    print(f"{'':12s}" + "".join(f"{column:>26s}" for column in COLUMNS))
    for how, figures in rounds.items():
        print(f"{how:12s}" + "".join(f"{median(one[column] for one in figures):26.2f}" for column in COLUMNS))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path, help="folder of a trained router")
    parser.add_argument("table", type=Path, help="folder with outcomes.parquet, whose prompts are sent")
    parser.add_argument("--seconds", type=float, default=4, help="length of each load [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="[%(default)s]")
    return parser.parse_args()


def measured(place: Place, prompts: list[str], seconds: float, *, streams_whole: bool) -> Figures:
    """Return the figures of one way to ask."""
    with ours(place, decides=False, streams_whole=streams_whole) as gateway:
        loads, server = Loads(gateway, prompts, max_tokens=1000), gateway.server
        if server is None:
            raise RuntimeError("the proxy has no process; gateways.ours gives one")
        loads.run(concurrency=4, n_requests=400)
        one = loads.run(concurrency=1, seconds=seconds)
        before = server.usage()
        many = loads.run(concurrency=32, seconds=seconds)
        between = server.usage()
        paced = loads.run(concurrency=32, seconds=seconds, paced=True)
        after = server.usage()
    n_errors = one.n_errors + many.n_errors + paced.n_errors
    return dict(
        zip(
            COLUMNS,
            (
                one.latency_ms(50),
                many.latency_ms(50),
                cpu_ms(before, between, many.n_ok),
                cpu_ms(between, after, paced.n_ok),
                n_errors,
            ),
            strict=True,
        )
    )


def cpu_ms(before: Usage, after: Usage, n_calls: int) -> float:
    return after.since(before).cpu_s / n_calls * 1000


if __name__ == "__main__":
    main()
