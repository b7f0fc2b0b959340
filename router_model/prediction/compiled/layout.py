"""Lay out a predictor's numbers as the arrays that the extension module reads (``native/predictor.h`` lists them).

Embeddings, bags, forms and kernel weights are on grids (multiples of a fixed step), so they are stored as integers of
16 bits, in half the memory of floats, because most of the predictor's time is spent reading memory. Their sums are
exact, so they equal the sums of numpy to the last bit (`router_model.features.grid`). They lie in the order in which
vector instructions read them (`panels`; docs/decisions/0061). Terms that occur in more than a twentieth of the logged
prompts are rows of a dense array, which vector instructions add many times as fast as an inverted list.
"""

import math
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

_COMMON_SHARE = 0.05  # share of the logged prompts that have a common term; measured in docs/decisions/0061
_MAX_COMMON = 768  # common terms at most; bounds memory at 768 x n_bank integers of 16 bits
_LONGEST = 1.001  # longest length of rounded vectors of unit length
PANEL = 16  # columns of a matrix that are laid out together: the lanes of one register or of some
BLOCK = 64  # logged prompts whose outcomes are summed in 32 bits
_LINE = 64  # bytes


def predictor_arrays(predictor: Predictor) -> dict[str, Array]:
    """Return a predictor's arrays by their names in the extension module.

    Raises
    ------
    NotCompilableError
        If embeddings are sparse or longer than 1, or bags are dense.
    """
    arrays = {**_bank(predictor.evidence_model), **_sums(predictor.evidence_model), **_probabilities(predictor)}
    return {name: aligned(array) for name, array in arrays.items()}


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
    rare = np.repeat(common_row < 0, n_prompts)
    start = np.concatenate([[0], np.cumsum(np.where(common_row < 0, n_prompts, 0))]).astype(np.int64)
    scale = model.kernel.scale
    forms = _padded(in_steps(model.kernel.logged_form[:-1].T, FORM_STEPS), 2, BLOCK)
    return {
        "n_logged": np.array([index.shape[1]]),
        "embeddings": panels(_padded(in_steps(embeddings.T), 2, BLOCK).T),
        "forms": panels(forms.T),
        "form_squares": (forms.astype(np.int32) ** 2).sum(axis=1, dtype=np.int32),
        "centre": _float(scale.centre),
        "deviation": _float(scale.deviation),
        "common_row": common_row,
        "common": _halves_of_blocks(in_steps(index[common].toarray())),
        "start": start,
        "prompt": index.indices[rare].astype(np.int32),
        "weight": in_steps(index.data[rare]),
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
        "embedding_weights": _padded(_flat(heads[0].weights), 1, 2),
        "bag_weights": _flat(heads[1].weights),
        "kernel_weights": _blocks_of_panels(np.array(kernel / step, dtype=np.int16)),
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
        "record_logit": _log_odds(_double(record[:, : len(predictor.grid)])),
        "bars": _float(predictor.grid.bars),
        "length_kind": np.array([first_kernel(predictor.evidence_model.names) if has_length else -1]),
        "blend": _double(predictor.blend.weights),
        "slopes": _double(calibration.slopes),
        "intercept": _double(calibration.model_intercept),
        "trust_weights": _double(calibration.trust_weights),
        "trust_floor": _double([calibration.trust_floor]),
        "longest_log_chars": _double(
            [math.inf if calibration.longest_log_chars is None else calibration.longest_log_chars]
        ),
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


def aligned(array: Array) -> Array:
    """Return the array in memory that begins with a cache line: reading across two lines takes twice the time."""
    if array.ctypes.data % _LINE == 0:
        return array
    memory = np.empty(array.nbytes + _LINE, dtype=np.uint8)
    start = -memory.ctypes.data % _LINE
    found = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def panels(matrix: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Lay out a matrix (n, n_columns) as (n_columns / PANEL, n / 2, PANEL * 2): pairs of rows, some columns at a time.

    A query is multiplied with all columns of a panel at once, each in a lane of 32 bits, which holds a pair.

    Examples
    --------
    >>> panels(np.arange(64, dtype=np.int16).reshape(2, 32))[:, 0, :4].tolist()
    [[0, 32, 1, 33], [16, 48, 17, 49]]
    """
    n, n_columns = matrix.shape
    apart = matrix.reshape(n // 2, 2, n_columns // PANEL, PANEL).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(apart).reshape(n_columns // PANEL, n // 2, PANEL * 2)


def _blocks_of_panels(weights: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Lay out weights (n_bank, n_columns) as the `panels` of each block of logged prompts."""
    whole = _padded(weights, PANEL, BLOCK)
    blocks = whole.reshape(-1, BLOCK // 2, 2, whole.shape[1] // PANEL, PANEL).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(blocks).reshape(-1, whole.shape[1] // PANEL, BLOCK // 2, PANEL * 2)


def _halves_of_blocks(common: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Lay out terms (n_common, n_bank) as (n_blocks, n_common, BLOCK), the halves of a block beside each other."""
    n_common = len(common)
    whole = _padded(common, BLOCK, 1)
    halves = whole.reshape(n_common, whole.shape[1] // BLOCK, 2, BLOCK // 2).transpose(1, 0, 3, 2)
    return np.ascontiguousarray(halves).reshape(whole.shape[1] // BLOCK, n_common, BLOCK)


def _padded(matrix: Array, columns: int, rows: int) -> Array:
    """Add zeros up to multiples of so many columns and rows."""
    return np.pad(matrix, ((0, -matrix.shape[0] % rows), (0, -matrix.shape[1] % columns)))


def _log_odds(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(p, 1e-6, 1 - 1e-6)  # as `router_model.prediction.calibration.logit`, in float64
    return np.log(inside) - np.log1p(-inside)


def _flat(weights: FloatArray) -> FloatArray:
    return _float(weights.reshape(len(weights), -1 if len(weights) else int(np.prod(weights.shape[1:]))))


def _float(values: Any) -> FloatArray:
    return np.array(values, dtype=np.float32, order="C")


def _double(values: Any) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64, order="C")
