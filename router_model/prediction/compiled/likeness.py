"""Lay out the logged prompts in memory for comparing one prompt with them by `router_model.prediction.kernel`.

Terms that occur in more than a fifth of the logged prompts are rows of a dense array, which vector instructions add
four times as fast as an inverted list. The other terms are read from the inverted index.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.features.grid import GRID_STEPS
from router_model.prediction.compiled.bank_sums import LoggedPrompts, StepArray
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.evidence import EvidenceModel
from router_model.prediction.kernel import EXP_HIGH, EXP_LOW, EXPONENT_STEPS, FORM_STEPS, LOW_BITS

FloatArray = npt.NDArray[np.float32]

_COMMON_SHARE = 0.2  # share of the logged prompts that have a common term; measured in docs/decisions/0010
_MAX_COMMON = 768  # common terms at most; bounds memory at 768 x n_bank floats
_LONGEST = 1.001  # longest length of rounded vectors of unit length
_MOST_OF_16_BITS = 2**16  # logged prompts


def logged_prompts(model: EvidenceModel) -> LoggedPrompts:
    """Lay out the bank of an evidence model.

    Raises
    ------
    NotCompilableError
        If embeddings are sparse or longer than 1, or bags are dense.
    """
    embeddings: Any = model.embedding.index
    index: Any = model.bag.index
    if not isinstance(embeddings, np.ndarray) or not hasattr(index, "indptr"):
        raise NotCompilableError("expected dense embeddings and sparse bags of the logged prompts")
    longest = float(np.sqrt((embeddings**2).sum(axis=0)).max(initial=0.0))
    if longest > _LONGEST:
        raise NotCompilableError(f"an embedding of a logged prompt has length {longest:g}; expected at most 1")
    n_prompts = np.diff(index.indptr)
    commonest = np.argsort(-n_prompts, kind="stable")[:_MAX_COMMON]
    common = np.sort(commonest[n_prompts[commonest] > _COMMON_SHARE * index.shape[1]])
    common_row = np.full(index.shape[0], -1, dtype=np.int64)
    common_row[common] = np.arange(len(common))
    return LoggedPrompts(
        embeddings=in_steps(embeddings.T),
        common_row=common_row,
        common=in_steps(index[common].toarray()),
        start=np.array(index.indptr),
        prompt=np.array(index.indices, dtype=np.uint16 if index.shape[1] <= _MOST_OF_16_BITS else np.uint32),
        weight=in_steps(index.data),
        form=in_steps(model.kernel.logged_form[:-1], FORM_STEPS),
        sharpness=model.kernel.kernel.sharpness,
        cosine_step=1 / GRID_STEPS**2,
        form_step=0.5 / FORM_STEPS**2,
        exponent_steps=float(EXPONENT_STEPS),
        low_bits=LOW_BITS,
        exp_low=EXP_LOW,
        exp_high=EXP_HIGH,
    )


def in_steps(values: FloatArray, steps: int = GRID_STEPS) -> StepArray:
    """Return vectors as integers, in the steps that `router_model.features.grid.on_grid` rounds to.

    >>> in_steps(np.array([0.6, -0.8], dtype=np.float32)).tolist()
    [9830, -13107]
    """
    return np.array(np.rint(values * np.float32(steps)), dtype=np.int16, order="C")


def writable(array: FloatArray) -> FloatArray:
    """Return an array in the layout that functions are compiled for; it is copied only if it has another layout."""
    return np.require(array, dtype=np.float32, requirements=["C", "W"])
