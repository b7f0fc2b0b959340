"""Run work on chunks of prompts in two threads; numpy and scipy release the interpreter lock in the slow parts."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

_N_THREADS = 2


def in_parallel(work: Callable[[int], None], chunks: Iterable[int]) -> None:
    """Call `work` for each chunk; a single chunk, as in every decision, runs in the calling thread.

    Chunks must write to separate places, so that the result does not depend on their order.
    """
    starts = list(chunks)
    if len(starts) <= 1:
        for start in starts:
            work(start)
        return
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for _ in pool.map(work, starts):
            pass
