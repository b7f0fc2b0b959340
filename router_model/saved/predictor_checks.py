"""Check the parts of a loaded predictor: their sizes fit each other and their numbers are possible ones.

If an array has the wrong size, LightGBM, scipy and compiled code read past its end. Impossible values (two models of
one name, a probability above 1) would raise no error: the router would serve them.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.catalog import MAX_NAME, is_name
from router_model.features import SURFACE_NAMES
from router_model.features.request import FORM_NAMES
from router_model.prediction.amounts import QUANTILES
from router_model.prediction.evidence import FAMILIARITY
from router_model.prediction.predictor import Predictor
from router_model.prediction.similarity import Vectors

_INTEGERS: Final = frozenset({"vocabulary.codes", "seen_prompts"})
_INTEGER_PARTS: Final = (".indices", ".indptr", ".shape")
LARGEST: Final = 1e12
"""The largest number allowed: learned numbers are much smaller, and its square is still finite in float32."""
_TOKENS_PER_PIECE: Final = (0.01, 100.0)


def check_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Check that arrays have the number types that code expects, and that all numbers are finite.

    Raises
    ------
    ValueError
    """
    for name, array in arrays.items():
        is_integer = name in _INTEGERS or name.endswith(_INTEGER_PARTS)
        if array.dtype.kind not in ("iu" if is_integer else "f") or array.dtype.itemsize < np.float32().itemsize:
            raise ValueError(f"{name} holds {array.dtype}, expected {'integers' if is_integer else 'float32'}")
        if not is_integer and not (np.abs(array) <= LARGEST).all():
            raise ValueError(f"{name} holds numbers that are not finite, or above {LARGEST:g}")


def check_predictor(predictor: Predictor) -> None:
    """Check that the parts of a predictor fit each other and that their numbers are possible.

    Raises
    ------
    ValueError
        The message names the part.
    """
    _check_names(predictor.models)
    _check_grid(predictor)
    _check_sizes(predictor)
    _check_amounts(predictor)
    _check_numbers(predictor)


def check_token_rates(tokens_per_piece: npt.NDArray[np.float64], *, n_models: int) -> None:
    """Check the numbers of a model's tokens for one of our word pieces.

    Raises
    ------
    ValueError
    """
    low, high = _TOKENS_PER_PIECE
    if tokens_per_piece.shape != (n_models,) or not ((tokens_per_piece >= low) & (tokens_per_piece <= high)).all():
        raise ValueError(f"tokens_per_piece is {tokens_per_piece!s:.100}; expected {n_models} rates of {low} to {high}")


def is_number(value: object) -> bool:
    """Tell whether a value from JSON is a number of possible size; JSON's true is an int in Python.

    >>> is_number(0.5), is_number(True), is_number("1"), is_number(1e300)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def check_seen_prompts(seen_prompts: npt.NDArray[np.uint64]) -> None:
    """Check that the hashes of the training prompts ascend, because they are found by binary search.

    Raises
    ------
    ValueError
    """
    ascend = seen_prompts.dtype == np.uint64 and seen_prompts.ndim == 1 and (seen_prompts[1:] > seen_prompts[:-1]).all()
    if not ascend:
        raise ValueError("seen_prompts are not ascending hashes of 64 bits")


def _check_names(models: tuple[object, ...]) -> None:
    if not models or len(set(models)) != len(models):
        raise ValueError(f"the models are {models!r:.200}; expected at least one, each once")
    for model in models:
        if not isinstance(model, str) or not is_name(model):
            raise ValueError(f"a model's name is {model!r:.80}; expected a line of up to {MAX_NAME} characters")


def _check_grid(predictor: Predictor) -> None:
    grid = predictor.grid
    bars, low, high = grid.bars, grid.low, grid.high
    ascend = bars.ndim == 1 and len(bars) > 0 and (np.diff(bars) > 0).all()
    if not ascend or bars[0] <= 0 or bars[-1] > 1:
        raise ValueError(f"the quality bars are {bars!s:.100}; expected ascending ones above 0 and up to 1")
    if not (is_number(low) and is_number(high)) or not 0 <= low <= high <= 1 or not isinstance(grid.stepwise, bool):
        raise ValueError(f"qualities go from {low!r} to {high!r}; expected numbers within 0 and 1")


def _check_sizes(predictor: Predictor) -> None:
    model, n_models, n_bars = predictor.evidence_model, len(predictor.models), len(predictor.grid)
    n_bank, _, n_targets = model.bank.outcome.shape
    n_terms = len(model.vocabulary.codes)
    # A predictor that was fitted on prompts without tools reads the features of texts alone.
    n_surface = len(FORM_NAMES) if len(model.kernel.scale.centre) == len(FORM_NAMES) else len(SURFACE_NAMES)
    shapes: dict[str, tuple[npt.NDArray[Any], tuple[int | None, ...]]] = {
        "bank.outcome": (model.bank.outcome, (n_bank, n_models, n_targets)),
        "bank.weight": (model.bank.weight, (n_bank, n_models, n_targets)),
        "bank.base": (model.bank.base, (n_models, n_targets)),
        "embedding.head.weights": (model.embedding.head.weights, (None, n_models, n_targets)),
        "embedding.head.bias": (model.embedding.head.bias, (n_models, n_targets)),
        "bag.head.weights": (model.bag.head.weights, (n_terms, n_models, n_targets)),
        "bag.head.bias": (model.bag.head.bias, (n_models, n_targets)),
        "kernel.centre": (model.kernel.scale.centre, (n_surface,)),
        "kernel.deviation": (model.kernel.scale.deviation, (n_surface,)),
        "kernel.logged_form": (model.kernel.logged_form, (n_surface + 1, n_bank)),
        "kernel.weights": (model.kernel.weights, (n_bank, n_models, n_targets, len(model.kernel.penalties))),
        "vocabulary.codes": (model.vocabulary.codes, (n_terms,)),
        "vocabulary.idf": (model.vocabulary.idf, (n_terms,)),
        "blend.weights": (predictor.blend.weights, (len(predictor.blend.members),)),
        "calibration.slopes": (predictor.calibration.slopes, (4, n_bars)),
        "calibration.model_intercept": (predictor.calibration.model_intercept, (n_models, n_bars)),
        "calibration.trust_weights": (predictor.calibration.trust_weights, (1 + len(FAMILIARITY),)),
    }
    for name, amount in predictor.amounts.items():
        shapes[f"{name}.mean_log"] = (amount.mean_log, (n_models,))
        shapes[f"{name}.residual_quantiles"] = (amount.residual_quantiles, (n_models, len(QUANTILES)))
        shapes[f"{name}.smearing"] = (amount.smearing, (n_models,))
    for name, (array, shape) in shapes.items():
        fits = len(array.shape) == len(shape) and all(
            want is None or got == want for got, want in zip(array.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    _check_index("bag", model.bag.index, (n_terms, n_bank))
    _check_index("embedding", model.embedding.index, (len(model.embedding.head.weights), n_bank))
    expected = ("record", *model.names, "booster")
    if predictor.blend.members != expected:
        raise ValueError(f"the blend's members are {predictor.blend.members}, expected {expected}")


def _check_index(label: str, index: Vectors, shape: tuple[int, int]) -> None:
    if index.shape != shape:
        raise ValueError(f"{label}.index has shape {index.shape}, expected {shape}")
    if isinstance(index, sp.csr_array):
        index.check_format(full_check=True)


def _check_amounts(predictor: Predictor) -> None:
    n_bars, n_targets = len(predictor.grid), predictor.evidence_model.bank.outcome.shape[2]
    learned = [name for name, amount in predictor.amounts.items() if amount.boosters]
    if n_targets != n_bars + len(learned) or learned != list(predictor.amounts)[: len(learned)]:
        raise ValueError(f"{n_targets} targets for {n_bars} bars and the amounts {learned}")
    if "output_tokens" not in predictor.amounts or not predictor.boosters:
        raise ValueError("no output tokens among the amounts, or no boosters")
    for name, amount in predictor.amounts.items():
        if (amount.smearing <= 0).any() or (np.diff(amount.residual_quantiles, axis=1) < 0).any():
            raise ValueError(f"{name}: smearing is not above 0, or the quantiles do not ascend")
        logs = (amount.mean_log, amount.residual_quantiles, np.log(amount.smearing))
        if any((np.abs(log) > np.log(LARGEST)).any() for log in logs):
            raise ValueError(f"{name}: expected logarithms of possible amounts, got {logs!s:.200}")


def _check_numbers(predictor: Predictor) -> None:
    model, n_bars = predictor.evidence_model, len(predictor.grid)
    numbers = (
        predictor.calibration.trust_floor,
        predictor.calibration.longest_log_chars or 0,
        *asdict(predictor.uncertainty).values(),
        *asdict(model.kernel.kernel).values(),
        *model.kernel.penalties,
    )
    if not all(is_number(number) and 0 <= number <= LARGEST for number in numbers):
        raise ValueError(
            f"trust floor, longest length, uncertainty and kernel {numbers}; expected finite numbers, 0 or more"
        )
    if predictor.calibration.trust_floor > 1:
        raise ValueError(f"trust floor {predictor.calibration.trust_floor}; expected a share up to 1")
    if not (model.kernel.scale.deviation > 0).all():
        raise ValueError("kernel.deviation holds numbers that are not positive")
    succeeded = model.bank.outcome[:, :, :n_bars]
    if (succeeded < 0).any() or (succeeded > 1).any() or (model.bank.weight < 0).any():
        raise ValueError("bank.outcome holds successes outside 0 and 1, or bank.weight weights below 0")
    if (np.diff(model.vocabulary.codes) <= 0).any() or (model.vocabulary.idf < 0).any():
        raise ValueError("vocabulary.codes do not ascend, or vocabulary.idf is below 0")
