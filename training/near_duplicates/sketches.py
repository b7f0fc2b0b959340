"""Sketch training prompts, and find prompts that are near duplicates of sketched ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features.prompt import LoggedPrompt, Prompt, PromptLike
from router_model.saved.text_sketches import EMPTY, N_BINS, TextSketches
from router_model.training.near_duplicates.shingles import normalised, shingle_hashes
from router_model.training.near_duplicates.weighted_sets import MOST_RARE, RARE_SHARE

LEAST_EQUAL: Final = 0.8
"""The share of equal bins from which prompts count as near duplicates."""

COMMON_OF: Final = 50_000
"""The most prompts that are counted to find common shingles."""

_FEWEST_BINS: Final = 10  # shorter prompts say too little; they are found by their exact hash alone
_ROWS_AT_ONCE: Final = 1024

Minima = npt.NDArray[np.uint16]
HashArray = npt.NDArray[np.uint64]


def sketch(prompts: Sequence[PromptLike]) -> TextSketches:
    """Sketch training prompts. Shingles that more than 1 % of them have, and more than 20, count as common.

    Of more than `COMMON_OF` prompts, so many, evenly spread, say what is common.
    """
    some = prompts[:: -(-len(prompts) // COMMON_OF) or 1]
    hashes, _ = shingle_hashes(_texts(some))
    distinct, frequency = np.unique(hashes, return_counts=True)
    common = distinct[frequency > max(MOST_RARE, RARE_SHARE * len(some))]
    return TextSketches(_minima(prompts, common), common)


def add_sketches(known: TextSketches, prompts: Sequence[PromptLike]) -> TextSketches:
    """Return the sketches with those of further prompts."""
    added = _minima(prompts, known.common)
    return replace(known, minima=np.concatenate([known.minima, added]))


def near_sketched(known: TextSketches, prompts: Sequence[PromptLike]) -> npt.NDArray[np.bool_]:
    """Return which prompts are near duplicates (or copies) of a sketched one, shape (n,).

    >>> known = sketch(["Name the capital of France and say how many people live there today, please."])
    >>> near_sketched(known, ["name the capital of France and say how many people live there today, please!", "Hello"])
    array([ True, False])
    """
    minima = _minima(prompts, known.common)
    found = np.zeros(len(minima), dtype=np.bool_)
    logged = _membership(known.minima).T.tocsr()
    for start in range(0, len(minima), _ROWS_AT_ONCE):
        equal = (_membership(minima[start : start + _ROWS_AT_ONCE]) @ logged).tocoo()
        at, of = equal.coords[0] + start, equal.coords[1]
        likely = equal.data >= LEAST_EQUAL * _FEWEST_BINS
        at, of, n_equal = at[likely], of[likely], equal.data[likely]
        n_either = ((minima[at] != EMPTY) | (known.minima[of] != EMPTY)).sum(axis=1)
        found[at[(n_equal >= LEAST_EQUAL * n_either) & (n_either >= _FEWEST_BINS)]] = True
    return found


def _texts(prompts: Sequence[PromptLike]) -> list[str]:
    """Return what is sketched; nothing of a prompt that was logged without its text, so that it is like no other."""
    return ["" if isinstance(prompt, LoggedPrompt) else normalised(Prompt.parse(prompt).text) for prompt in prompts]


def _minima(prompts: Sequence[PromptLike], common: HashArray) -> Minima:
    """Return the sketches of prompts, some at a time, because all shingles of many prompts would not fit memory."""
    minima = np.full((len(prompts), N_BINS), EMPTY, dtype=np.uint16)
    for start in range(0, len(prompts), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        minima[rows] = _minima_of(*shingle_hashes(_texts(prompts[rows])), common)
    return minima


def _minima_of(hashes: HashArray, n_of_text: npt.NDArray[np.int64], common: HashArray) -> Minima:
    # The hashes have 54 bits: six choose the bin, the next 32 give the order, and of the least, 16 bits are kept.
    text_of = np.repeat(np.arange(len(n_of_text)), n_of_text)
    place = np.searchsorted(common, hashes)
    rare = np.append(common, np.uint64(2**64 - 1))[place] != hashes
    text_of, hashes = text_of[rare], hashes[rare]
    value = (hashes >> np.uint64(6)) & np.uint64(2**32 - 1)
    least = np.full(len(n_of_text) * N_BINS, 2**32, dtype=np.uint64)
    np.minimum.at(least, text_of * N_BINS + (hashes % np.uint64(N_BINS)).astype(np.intp), value)
    kept = np.where(least == 2**32, np.uint64(EMPTY), least % np.uint64(EMPTY))  # numbers are below EMPTY
    return kept.astype(np.uint16).reshape(-1, N_BINS)


def _membership(minima: Minima) -> sp.csr_array:
    """Return which number each sketch has in each bin, as ones, shape (n, N_BINS * (EMPTY + 1))."""
    has = minima != EMPTY
    columns = (np.arange(N_BINS, dtype=np.int32) * np.int32(EMPTY + 1) + minima.astype(np.int32))[has]
    starts = np.append(0, np.cumsum(has.sum(axis=1))).astype(np.int32)
    ones = np.ones(len(columns), dtype=np.int8)  # two sketches share N_BINS numbers at most
    return sp.csr_array((ones, columns, starts), shape=(len(minima), N_BINS * (EMPTY + 1)))
