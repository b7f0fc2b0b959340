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

_FEWEST_BINS: Final = 10  # shorter prompts say too little; they are found by their exact hash alone
_ROWS_AT_ONCE: Final = 1024

Minima = npt.NDArray[np.uint16]
HashArray = npt.NDArray[np.uint64]


def sketch(prompts: Sequence[PromptLike]) -> TextSketches:
    """Sketch training prompts. Shingles that more than 1 % of them have, and more than 20, count as common."""
    hashes, n_of_text = shingle_hashes(_texts(prompts))
    distinct, frequency = np.unique(hashes, return_counts=True)
    common = distinct[frequency > max(MOST_RARE, RARE_SHARE * len(prompts))]
    return TextSketches(_minima(hashes, n_of_text, common), common)


def add_sketches(known: TextSketches, prompts: Sequence[PromptLike]) -> TextSketches:
    """Return the sketches with those of further prompts."""
    added = _minima(*shingle_hashes(_texts(prompts)), known.common)
    return replace(known, minima=np.concatenate([known.minima, added]))


def near_sketched(known: TextSketches, prompts: Sequence[PromptLike]) -> npt.NDArray[np.bool_]:
    """Return which prompts are near duplicates (or copies) of a sketched one, shape (n,).

    >>> known = sketch(["Name the capital of France and say how many people live there today, please."])
    >>> near_sketched(known, ["name the capital of France and say how many people live there today, please!", "Hello"])
    array([ True, False])
    """
    minima = _minima(*shingle_hashes(_texts(prompts)), known.common)
    found = np.zeros(len(minima), dtype=np.bool_)
    tokens = np.unique(_tokens(known.minima))
    logged = _membership(known.minima, tokens).T.tocsr()
    for start in range(0, len(minima), _ROWS_AT_ONCE):
        equal = (_membership(minima[start : start + _ROWS_AT_ONCE], tokens) @ logged).tocoo()
        at, of = equal.coords[0] + start, equal.coords[1]
        likely = equal.data >= LEAST_EQUAL * _FEWEST_BINS
        at, of, n_equal = at[likely], of[likely], equal.data[likely]
        n_either = ((minima[at] != EMPTY) | (known.minima[of] != EMPTY)).sum(axis=1)
        found[at[(n_equal >= LEAST_EQUAL * n_either) & (n_either >= _FEWEST_BINS)]] = True
    return found


def _texts(prompts: Sequence[PromptLike]) -> list[str]:
    """Return what is sketched; nothing of a prompt that was logged without its text, so that it is like no other."""
    return ["" if isinstance(prompt, LoggedPrompt) else normalised(Prompt.parse(prompt).text) for prompt in prompts]


def _minima(hashes: HashArray, n_of_text: npt.NDArray[np.int64], common: HashArray) -> Minima:
    text_of = np.repeat(np.arange(len(n_of_text)), n_of_text)
    rare = ~np.isin(hashes, common)
    # The hashes have 54 bits: six choose the bin, the next 32 give the order, and of the least, 16 bits are kept.
    value = (hashes[rare] >> np.uint64(6)) & np.uint64(2**32 - 1)
    least = np.full((len(n_of_text), N_BINS), 2**32, dtype=np.uint64)
    np.minimum.at(least, (text_of[rare], (hashes[rare] % np.uint64(N_BINS)).astype(np.intp)), value)
    kept = least % np.uint64(EMPTY)  # below EMPTY
    return np.where(least == 2**32, np.uint64(EMPTY), kept).astype(np.uint16)


def _tokens(minima: Minima) -> npt.NDArray[np.int64]:
    """Return bin and number as one, of all bins that are not empty."""
    numbered = np.arange(N_BINS, dtype=np.int64) * (EMPTY + 1) + minima.astype(np.int64)
    return np.asarray(numbered[minima != EMPTY], dtype=np.int64)


def _membership(minima: Minima, tokens: npt.NDArray[np.int64]) -> sp.csr_array:
    """Return which of the tokens each sketch has, shape (n, n_tokens)."""
    own, row = _tokens(minima), np.nonzero(minima != EMPTY)[0]
    column = np.searchsorted(tokens, own)
    column[column == len(tokens)] = 0
    known = tokens[column] == own if len(tokens) else np.zeros(len(own), dtype=np.bool_)
    ones = np.ones(int(known.sum()), dtype=np.int32)
    return sp.csr_array((ones, (row[known], column[known])), shape=(len(minima), len(tokens)))
