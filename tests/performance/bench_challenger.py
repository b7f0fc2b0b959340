"""What a challenger costs: time of a decision in the engine, and processor time, beside deciding without one.

The challenger is the same router with another value of quality, so it costs what the champion costs, and its encoder is
the champion's. Each mode takes turns with "alone", as what else the machine does moves both; figures are medians over
rounds. The fastest tenth of the decisions says most on a busy machine. No network, no log.

    python tests/performance/bench_challenger.py ROUTER TABLE [--rounds 40]
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from one_engine import one_engine

from router_model import Router
from router_model.saved.place import Challenger, Mode
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.opening import open_log
from router_model.serving.engine.challenger import Contender
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.query import Query
from router_model.training.table.outcomes import read_outcomes

N_A_ROUND = 50
MODES = {"shadow": (Mode.SHADOW, 1.0), "explore": (Mode.EXPLORE, 0.5), "canary": (Mode.CANARY, 0.5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path, help="folder of a trained router")
    parser.add_argument("table", type=Path, help="outcome table with prompts")
    parser.add_argument("--rounds", type=int, default=40, help="[%(default)s]")
    options = parser.parse_args()
    prompts = [str(prompt) for prompt in read_outcomes(options.table).prompts][: 16 * N_A_ROUND]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(artifact=options.router, log="none", log_spool=Path(folder) / "spool", reload_every_s=1e9)
        asyncio.run(measure(settings, prompts, options.rounds))


async def measure(settings: Settings, prompts: list[str], n_rounds: int) -> None:
    async with one_engine(settings, log=open_log(settings)) as engine:
        await compare(engine, settings, prompts, n_rounds)


async def compare(engine: Engine, settings: Settings, prompts: list[str], n_rounds: int) -> None:
    await engine.challenging.follow()
    champion = engine.router
    assert champion is not None
    point = replace(champion.artifact.operating_point, quality_value_usd=0.0)
    artifact = replace(champion.artifact, operating_point=point)
    router = Router.assemble(artifact, champion.encoder)
    contenders: dict[str, Contender | None] = {"alone": None}
    for name, (mode, share) in MODES.items():
        contenders[name] = Contender.of(Challenger("other", mode, share, datetime.now(UTC)), router, settings)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
    for number in range(n_rounds + 1):
        start = number * N_A_ROUND % (len(prompts) - N_A_ROUND + 1)
        for name, contender in contenders.items():
            engine.challenging.take(contender)
            took = await one_round(engine, prompts[start : start + N_A_ROUND], f"{name} {number}")
            if number:  # the first one warms up
                found[name].append(took)
    alone = np.array(found["alone"])
    for name, rounds in found.items():
        p10, p50, cpu = np.median(np.array(rounds), axis=0)
        ratios = np.median(np.array(rounds) / alone, axis=0)
        print(
            f"{name:8} fastest tenth {p10:.3f} ms ({ratios[0]:.2f} times alone), median {p50:.3f} ms "
            f"({ratios[1]:.2f}), processor {cpu:.3f} ms a decision ({ratios[2]:.2f})"
        )
    print(f"asked: {engine.status['challenger'] and engine.status['challenger']['asked']}")


async def one_round(engine: Engine, prompts: list[str], name: str) -> tuple[float, float, float]:
    """Return the 10 % quantile and the median of a decision's time, and processor time a decision, in ms."""
    began, seconds = time.process_time(), []
    for i, prompt in enumerate(prompts):
        query = Query({"messages": [{"role": "user", "content": prompt}]}, session_id=f"{name} {i}")
        started = time.perf_counter()
        await engine.decide(query)
        seconds.append(time.perf_counter() - started)
        await asyncio.sleep(0.01)  # as between requests: a shadow decides then
    ms = 1000 * np.array(seconds)
    return float(np.quantile(ms, 0.1)), float(np.median(ms)), 1000 * (time.process_time() - began) / len(prompts)


if __name__ == "__main__":
    main()
