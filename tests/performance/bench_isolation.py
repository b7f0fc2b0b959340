"""What a hostile caller can do to a healthy one: both call at once, through the whole service, over HTTP.

All models are at one provider behind one key, as at a gateway. The hostile caller provokes a fault as fast as it can,
with several calls at a time; the healthy one calls steadily. Each fault has a row: the share of the healthy one's calls
that were answered, how long they took, and what the hostile one got. The first row is the healthy one alone.

    python tests/performance/bench_isolation.py [--router FOLDER] [--seconds 5]
"""

import argparse
import asyncio
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import CATALOG
from hostile_world import SCENARIOS, Callers, Scenario, Seen, ask, callers
from simulated_world import simulate

from router_model.catalog import Catalog
from router_model.training.train import train

N_HOSTILE, N_HEALTHY, PAUSE_S = 4, 2, 0.02
ALONE = Scenario("alone", (), frozenset())


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with callers(folder / "service", options.router or trained(folder)) as running:
            print(f"{'fault':15} {'answered':>9} {'calls':>6} {'p50 ms':>7} {'p99 ms':>7}  the hostile one's statuses")
            for scenario in (ALONE, *SCENARIOS):
                print(row(scenario, *asyncio.run(play(running, scenario, options.seconds))), flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--router", type=Path, help="a trained router instead of a small one made here")
    parser.add_argument("--seconds", type=float, default=5, help="of each fault [%(default)s]")
    return parser.parse_args()


def trained(folder: Path) -> Path:
    simulate(300).write_parquet(folder / "outcomes.parquet")
    train(folder / "outcomes.parquet", folder / "router", catalog=Catalog.parse(CATALOG, origin="catalog.toml"))
    return folder / "router"


async def play(running: Callers, scenario: Scenario, seconds: float) -> tuple[Seen, Seen]:
    """Let both call for so long."""
    hostile, healthy = Seen(), Seen()
    if scenario.outage:
        await running.end_of_outage(scenario)
    until = asyncio.get_running_loop().time() + seconds

    async def call(caller: str, prompts: tuple[str, ...], models: tuple[str, ...], seen: Seen, pause_s: float) -> None:
        async with running.client(caller) as client:
            for prompt in cycle(prompts):
                if asyncio.get_running_loop().time() >= until:
                    return
                await ask(client, scenario, prompt, models, seen)
                await asyncio.sleep(pause_s)

    foes = [call("hostile", scenario.prompts, ("a",), hostile, 0.0) for _ in range(N_HOSTILE)]
    friends = [call("healthy", ("hi",), scenario.models, healthy, PAUSE_S) for _ in range(N_HEALTHY)]
    await asyncio.gather(*foes, *friends)
    return hostile, healthy


def row(scenario: Scenario, hostile: Seen, healthy: Seen) -> str:
    p50_ms, p99_ms = 1000 * np.quantile(healthy.seconds, [0.5, 0.99])
    statuses = ", ".join(f"{n} x {status}" for status, n in sorted(hostile.statuses.items()))
    n = healthy.statuses.total()
    return f"{scenario.name:15} {healthy.share_answered:9.2%} {n:6} {p50_ms:7.1f} {p99_ms:7.1f}  {statuses}"


if __name__ == "__main__":
    main()
