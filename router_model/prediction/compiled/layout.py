"""Lay out a predictor's numbers as the arrays that the extension module reads (``native/predictor.h`` lists them).

Embeddings, bags, forms and kernel weights are on grids (multiples of a fixed step), so they are stored as integers of
16 bits, in half the memory of floats, because most of the predictor's time is spent reading memory. Their sums are
exact, so they equal the sums of numpy to the last bit (`router_model.features.grid`). Terms that occur in more than a
fifth of the logged prompts are rows of a dense array, which vector instructions add four times as fast as an inverted
list.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.features.bag import TERM_FREQUENCY
from router_model.features.grid import GRID_STEPS
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.evidence import FAMILIARITY, EvidenceModel
from router_model.prediction.kernel import EXP_HIGH, EXP_LOW, FORM_STEPS, KERNEL_STEPS, steps_of
from router_model.prediction.predictor import Predictor, first_kernel, pair_names

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_COMMON_SHARE = 0.2  # share of the logged prompts that have a common term; measured in docs/decisions/0010
_MAX_COMMON = 768  # common terms at most; bounds memory at 768 x n_bank integers of 16 bits
_LONGEST = 1.001  # longest length of rounded vectors of unit length
_WHOLE = 16  # rows are padded with zeros to whole vector registers of this many integers of 16 bits


def predictor_arrays(predictor: Predictor) -> dict[str, Array]:
    """Return a predictor's arrays by their names in the extension module.

    Raises
    ------
    NotCompilableError
        If embeddings are sparse or longer than 1, or bags are dense.
    """
    return {**_bank(predictor.evidence_model), **_sums(predictor.evidence_model), **_probabilities(predictor)}


def _bank(model: EvidenceModel) -> dict[str, Array]:
    """Lay out the logged prompts and the vocabulary."""
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
    common_row = np.full(index.shape[0], -1, dtype=np.int32)
    common_row[common] = np.arange(len(common))
    scale = model.kernel.scale
    return {
        "embeddings": _padded(in_steps(embeddings.T)),
        "forms": _padded(in_steps(model.kernel.logged_form[:-1].T, FORM_STEPS)),
        "centre": _float(scale.centre),
        "deviation": _float(scale.deviation),
        "common_row": common_row,
        "common": in_steps(index[common].toarray()),
        "start": np.array(index.indptr, dtype=np.int64),
        "prompt": np.array(index.indices, dtype=np.int32),
        "weight": in_steps(index.data),
        "sharpness": model.kernel.kernel.sharpness,
        "exp_low": EXP_LOW,
        "exp_high": EXP_HIGH,
        "codes": np.array(model.vocabulary.codes, dtype=np.int64),
        "idf": _float(model.vocabulary.idf),
        "frequency": TERM_FREQUENCY,
    }


def _sums(model: EvidenceModel) -> dict[str, Array]:
    """Lay out the weights: a column for each (model, target), and in the kernel for each (model, target, penalty)."""
    heads, base = (model.embedding.head, model.bag.head), model.bank.base
    kernel = _flat(model.kernel.weights)
    step = steps_of(kernel)
    kernels = [base] * model.kernel.weights.shape[-1]
    return {
        "embedding_weights": _padded_rows(_flat(heads[0].weights)),
        "bag_weights": _flat(heads[1].weights),
        "kernel_weights": _padded(np.array(kernel / step, dtype=np.int16), _WHOLE // 2),
        "kernel_step": step.astype(np.float64) / KERNEL_STEPS,
        "bias": _float(np.stack([heads[0].bias, heads[1].bias, *kernels], axis=-1)),
    }


def _probabilities(predictor: Predictor) -> dict[str, Array]:
    """Lay out what turns evidence into probabilities and amounts."""
    record, calibration, part = predictor.evidence_model.bank.base, predictor.calibration, predictor.uncertainty
    has_length = record.shape[1] > len(predictor.grid)
    constant, weights = predictor.grid.mean_weights()
    amounts = predictor.amounts.values()
    return {
        "record": _float(record),
        "bars": _float(predictor.grid.bars),
        "length_kind": np.array([first_kernel(predictor.evidence_model.names) if has_length else -1]),
        "blend": _double(predictor.blend.weights),
        "slopes": _double(calibration.slopes),
        "intercept": _double(calibration.model_intercept),
        "trust_weights": _double(calibration.trust_weights),
        "trust_floor": _double([calibration.trust_floor]),
        "uncertainty": _double(
            [part.spread_alike, part.spread_unlike, part.sampling, part.trust_alike, part.trust_unlike]
        ),
        "mean_constant": _float([constant]),
        "mean_weights": _float(weights),
        "mean_log": _double([amount.mean_log for amount in amounts]),
        "smearing": _double([amount.smearing for amount in amounts]),
        "residual_quantiles": _double([amount.residual_quantiles for amount in amounts]),
    }


def shared_columns(predictor: Predictor) -> frozenset[int]:
    """Return the boosters' columns that all models share on a prompt: all but the record, evidence and its edge."""
    evidence, n_bars, n_targets = (
        predictor.evidence_model,
        len(predictor.grid),
        predictor.evidence_model.bank.base.shape[1],
    )
    surface = [f"surface_{each}" for each in range(len(evidence.kernel.scale.centre))]
    names = pair_names(evidence.names, surface, n_bars=n_bars, n_targets=n_targets)
    shared = {"quality_bar", *surface, *(f"familiarity_{kind}" for kind in FAMILIARITY)}
    return frozenset(at for at, name in enumerate(names) if name in shared or name.endswith("_difficulty"))


def in_steps(values: FloatArray, steps: int = GRID_STEPS) -> npt.NDArray[np.int16]:
    """Return vectors as integers, in the steps that `router_model.features.grid.on_grid` rounds to.

    >>> in_steps(np.array([0.6, -0.8], dtype=np.float32)).tolist()
    [9830, -13107]
    """
    return np.array(np.rint(values * np.float32(steps)), dtype=np.int16, order="C")


def _padded(rows: npt.NDArray[np.int16], whole: int = _WHOLE) -> npt.NDArray[np.int16]:
    missing = -rows.shape[1] % whole
    return np.pad(rows, ((0, 0), (0, missing))) if missing else rows


def _padded_rows(matrix: FloatArray) -> FloatArray:
    """Add a row of zeros for each number with which `_padded` lengthens embeddings."""
    return np.pad(matrix, ((0, -len(matrix) % _WHOLE), (0, 0)))


def _flat(weights: FloatArray) -> FloatArray:
    return _float(weights.reshape(len(weights), -1 if len(weights) else int(np.prod(weights.shape[1:]))))


def _float(values: Any) -> FloatArray:
    return np.array(values, dtype=np.float32, order="C")


def _double(values: Any) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64, order="C")
