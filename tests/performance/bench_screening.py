"""How long hard constraints take: one prompt and a batch against 50 models, without and with the reasons in words."""

import time
from decimal import Decimal

import numpy as np

from router_model import Constraints, ModelCard
from router_model.features import Prompt
from router_model.screening.screening import Screening, screen

N_MODELS = 50
CARDS = [
    ModelCard(
        f"vendor{i % 7}/m{i}",
        Decimal(i + 1) / 10,
        Decimal(i + 1),
        context_window=1000 * (i + 1),
        provider=f"vendor{i % 7}",
        tools=bool(i % 2),
        vision=bool(i % 3),
    )
    for i in range(N_MODELS)
]
CASES = {
    "nothing asked": Constraints(),
    "half left out": Constraints(deny=("vendor3/*",), max_cost_usd=0.02, max_usd_per_mtok_input=4, max_latency_s=2),
    "all too dear": Constraints(max_cost_usd=1e-9),
}


def main() -> None:
    for label, constraints in CASES.items():
        for n, repeats in ((1, 200), (4096, 3)):
            prompts = [Prompt("x", 1, has_tools=i % 8 == 0, n_images=i % 9 == 0) for i in range(n)]
            screening, bare = timed(lambda p=prompts, c=constraints: screened(c, p), repeats)
            excluded, words = timed(lambda s=screening, n=n: [s.exclusions(row) for row in range(n)], repeats)
            print(
                f"{label}: {n:,} x {N_MODELS}: {bare:.2f} ms, and {words:.2f} ms "
                f"for {sum(map(len, excluded)):,} reasons in words"
            )


def screened(constraints: Constraints, prompts: list[Prompt]) -> Screening:
    rng = np.random.default_rng(0)
    shape = (len(prompts), N_MODELS)
    return screen(
        constraints,
        prompts,
        CARDS,
        n_input_tokens=rng.uniform(1, 9000, shape),
        expected_cost_usd=rng.uniform(0, 0.02, shape),
        expected_latency_s=rng.uniform(0, 3, shape),
    )


def timed(call, repeats: int) -> tuple:
    """Return the last result and the median time in milliseconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - started)
    return result, float(np.median(seconds)) * 1000


if __name__ == "__main__":
    main()
