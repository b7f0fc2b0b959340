"""How soon a canary stops by itself, and how often one that is equal does.

``python tests/performance/bench_canary.py`` prints the table of `docs/promoting.md`.
Sessions are those of `tests/support/canary_streams.py`. A run counts as stopped after the session that showed it.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from canary_streams import EFFECTS, canary_sessions

from router_model.sequential.canary import Sessions, examine
from router_model.sequential.confidence_sequences import Differences, difference_values

SHARES = (0.05, 0.1, 0.5)
N_EQUAL = 3_000
MOST = dict.fromkeys(EFFECTS, 16_000) | {"quality -5 points": 80_000}
"""Sessions after which a run ends."""
TOLERANCE = 0.01
BEGINNINGS = (500, 2_000, 8_000, 32_000)
_EQUAL = "equal"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="of each bad canary")
    parser.add_argument("--equal", type=int, default=400, help="runs of the equal one")
    parser.add_argument("--sequences", action="store_true", help="compare ways to bound a difference instead")
    options = parser.parse_args()
    if options.sequences:
        compare_sequences(options.runs)
        return
    print(f"| the canary's | {' | '.join(f'{share:.0%}' for share in SHARES)} |\n|---{'|---' * len(SHARES)}|")
    for name in EFFECTS:
        cells = []
        for share in SHARES:
            n_runs = options.equal if name == _EQUAL else options.runs
            stops = [first_stop(name, share, run) for run in range(n_runs)]
            if name == _EQUAL:
                cells.append(f"{np.mean(np.isfinite(stops)):.1%} stopped")
                continue
            middle, late = np.quantile(stops, (0.5, 0.9), method="higher")
            cells.append(" / ".join(f"{one:,.0f}" if np.isfinite(one) else "not within" for one in (middle, late)))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def first_stop(name: str, share: float, run: int) -> float:
    """Return the number of the session that stopped a run; infinite where none did."""
    most = N_EQUAL if name == _EQUAL else MOST[name]
    sessions = canary_sessions(np.random.default_rng(run), most, share, **EFFECTS[name])
    beginnings = () if name == _EQUAL else (n for n in BEGINNINGS if n < most)
    for n in (*beginnings, most):  # most runs end early
        beginning = Sessions(*(getattr(sessions, one.name)[:n] for one in fields(Sessions)))
        stops = [one.stopped_after for one in examine(beginning, share) if one.stopped_after is not None]
        if stops:
            return min(stops)
    return np.inf


def compare_sequences(runs: int) -> None:
    """Print the median number of graded sessions until a drop from 80 % of good answers is shown.

    At an error rate of 0.01 and a tolerance of a point; by empirical Bernstein processes and by bets, over the same
    grid of lambda, with 1/2 or the mean before subtracted.
    """
    titles = (f"{how}, c = {centre}" for how in ("Bernstein", "bets") for centre in ("1/2", "the mean before"))
    print(f"| share, drop | {' | '.join(titles)} |\n|---|---|---|---|---|")
    for share in SHARES:
        for drop, most in ((0.2, 8_000), (0.05, 120_000)):
            stops = []
            for run in range(runs):
                rng = np.random.default_rng(run)
                canary = rng.random(most) < share
                good = rng.random(most) < np.where(canary, 0.8 - drop, 0.8)
                x = np.where(canary, (good - 0.5) / share, (0.5 - good) / (1 - share))
                widest = np.full(most, 0.5 / min(share, 1 - share))
                cases = Differences(x, widest, widest), difference_values(canary, good, share=share)
                paths = [*map(bernstein, cases), *(one.log_e_below(-TOLERANCE) for one in cases)]
                stops.append([int(np.argmax([*(path >= np.log(100)), True])) for path in paths])
            cells = " | ".join(f"{middle:,.0f}" for middle in np.median(stops, axis=0))
            print(f"| {share:.0%}, {100 * drop:.0f} points | {cells} |", flush=True)


def bernstein(found: Differences) -> np.ndarray:
    """Return the log of the mean over lambda of exp(lambda xi - xi^2 psi(lambda)), after each value."""
    xi = (-found.values - TOLERANCE) / (found.ceilings + TOLERANCE)
    bets = np.geomspace(0.005, 0.8, 16)
    paths = [np.cumsum(bet * xi - xi**2 * (-np.log1p(-bet) - bet)) for bet in bets]
    return np.logaddexp.reduce(paths) - np.log(len(bets))


if __name__ == "__main__":
    main()
