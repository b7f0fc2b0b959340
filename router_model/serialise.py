"""A predictor as JSON-able description, arrays and boosters, and back."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import SURFACE_NAMES, BagVocabulary
from router_model.amounts import QUANTILES, AmountModel
from router_model.bars import BarGrid
from router_model.calibration import Blend, Calibration
from router_model.evidence import FAMILIARITY, Bank, EvidenceModel, LinearHead, Space
from router_model.kernel import Kernel, KernelHead, SurfaceScale
from router_model.predictor import Predictor, pair_names
from router_model.similarity import Vectors
from router_model.uncertainty import Uncertainty

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_INT32_LIMIT = 2**31

_CALIBRATION_PARTS = ("slopes", "model_intercept", "trust_weights")
_AMOUNT_PARTS = ("mean_log", "residual_quantiles", "smearing")


def pack_predictor(predictor: Predictor) -> tuple[dict[str, Any], Arrays]:
    """Split a predictor (but for its boosters) into a description and arrays."""
    model = predictor.evidence_model
    arrays: Arrays = {
        "bars": predictor.grid.bars,
        "blend.weights": predictor.blend.weights,
        **{f"calibration.{part}": getattr(predictor.calibration, part) for part in _CALIBRATION_PARTS},
        "vocabulary.codes": model.vocabulary.codes,
        "vocabulary.idf": model.vocabulary.idf,
        "bank.outcome": model.bank.outcome,
        "bank.weight": model.bank.weight,
        "bank.base": model.bank.base,
        "kernel.centre": model.kernel.scale.centre,
        "kernel.deviation": model.kernel.scale.deviation,
        "kernel.logged_form": model.kernel.logged_form,
        "kernel.weights": model.kernel.weights,
    }
    description: dict[str, Any] = {
        "models": list(predictor.models),
        "quality": {"low": predictor.grid.low, "high": predictor.grid.high, "stepwise": predictor.grid.stepwise},
        "blend_members": list(predictor.blend.members),
        "n_boosters": len(predictor.boosters),
        "trust_floor": predictor.calibration.trust_floor,
        "uncertainty": asdict(predictor.uncertainty),
        "amounts": [{"name": name, "n_boosters": len(model.boosters)} for name, model in predictor.amounts.items()],
        "kernel": {"sharpness": asdict(model.kernel.kernel), "penalties": list(model.kernel.penalties)},
    }
    for name, amount in predictor.amounts.items():
        arrays |= {f"{name}.{part}": getattr(amount, part) for part in _AMOUNT_PARTS}
    for label, space in (("embedding", model.embedding), ("bag", model.bag)):
        arrays[f"{label}.head.weights"] = space.head.weights
        arrays[f"{label}.head.bias"] = space.head.bias
        _pack_vectors(arrays, f"{label}.index", space.index)
    return description, arrays


def unpack_predictor(
    description: Mapping[str, Any],
    arrays: Arrays,
    boosters: Mapping[str, tuple[lgb.Booster, ...]],
) -> Predictor:
    """Join what `pack_predictor` split with the boosters, by what they predict: ``success`` or an amount."""
    spaces = {
        label: Space(
            LinearHead(*(arrays[f"{label}.head.{part}"] for part in ("weights", "bias"))),
            _unpack_vectors(arrays, f"{label}.index"),
        )
        for label in ("embedding", "bag")
    }
    kernel = KernelHead(
        kernel=Kernel(**description["kernel"]["sharpness"]),
        scale=SurfaceScale(arrays["kernel.centre"], arrays["kernel.deviation"]),
        logged_form=arrays["kernel.logged_form"],
        penalties=tuple(description["kernel"]["penalties"]),
        weights=arrays["kernel.weights"],
    )
    bank = Bank(*(arrays[f"bank.{part}"] for part in ("outcome", "weight", "base")))
    vocabulary = BagVocabulary(arrays["vocabulary.codes"], arrays["vocabulary.idf"])
    predictor = Predictor(
        models=tuple(description["models"]),
        grid=BarGrid(arrays["bars"], **description["quality"]),
        evidence_model=EvidenceModel(vocabulary, spaces["embedding"], spaces["bag"], bank, kernel),
        boosters=boosters["success"],
        blend=Blend(tuple(description["blend_members"]), arrays["blend.weights"]),
        calibration=Calibration(
            slopes=arrays["calibration.slopes"],
            model_intercept=arrays["calibration.model_intercept"],
            trust_weights=arrays["calibration.trust_weights"],
            trust_floor=description["trust_floor"],
        ),
        uncertainty=Uncertainty(**description["uncertainty"]),
        amounts={
            name: AmountModel(boosters[name], *(arrays[f"{name}.{part}"] for part in _AMOUNT_PARTS))
            for name in (said["name"] for said in description["amounts"])
        },
    )
    check_shapes(predictor)
    return predictor


def check_shapes(predictor: Predictor) -> None:
    """Check that the parts of a predictor fit each other and hold only finite numbers.

    Raises
    ------
    ValueError
        Naming the part. LightGBM and scipy read past the end of arrays that lie about their size.
    """
    model, n_models, n_bars = predictor.evidence_model, len(predictor.models), len(predictor.grid)
    n_bank, _, n_targets = model.bank.outcome.shape
    n_terms = len(model.vocabulary.codes)
    shapes = {
        "bank.outcome": (model.bank.outcome, (n_bank, n_models, n_targets)),
        "bank.weight": (model.bank.weight, (n_bank, n_models, n_targets)),
        "bank.base": (model.bank.base, (n_models, n_targets)),
        "embedding.head.weights": (model.embedding.head.weights, (None, n_models, n_targets)),
        "embedding.head.bias": (model.embedding.head.bias, (n_models, n_targets)),
        "bag.head.weights": (model.bag.head.weights, (n_terms, n_models, n_targets)),
        "bag.head.bias": (model.bag.head.bias, (n_models, n_targets)),
        "kernel.centre": (model.kernel.scale.centre, (len(SURFACE_NAMES),)),
        "kernel.deviation": (model.kernel.scale.deviation, (len(SURFACE_NAMES),)),
        "kernel.logged_form": (model.kernel.logged_form, (len(SURFACE_NAMES) + 1, n_bank)),
        "kernel.weights": (model.kernel.weights, (n_bank, n_models, n_targets, len(model.kernel.penalties))),
        "vocabulary.idf": (model.vocabulary.idf, (n_terms,)),
        "blend.weights": (predictor.blend.weights, (len(predictor.blend.members),)),
        "calibration.slopes": (predictor.calibration.slopes, (4, n_bars)),
        "calibration.model_intercept": (predictor.calibration.model_intercept, (n_models, n_bars)),
        "calibration.trust_weights": (predictor.calibration.trust_weights, (1 + len(FAMILIARITY),)),
        "bars": (predictor.grid.bars, (n_bars,)),
    }
    for name, amount in predictor.amounts.items():
        shapes[f"{name}.mean_log"] = (amount.mean_log, (n_models,))
        shapes[f"{name}.residual_quantiles"] = (amount.residual_quantiles, (n_models, len(QUANTILES)))
        shapes[f"{name}.smearing"] = (amount.smearing, (n_models,))
    for name, (array, shape) in shapes.items():
        fits = len(array.shape) == len(shape) and all(
            want is None or got == want for got, want in zip(array.shape, shape, strict=True)
        )
        if not fits or not np.isfinite(array).all():
            raise ValueError(f"{name} has shape {array.shape}, expected {shape} of finite numbers")
    _check_index("bag", model.bag.index, (n_terms, n_bank))
    _check_index("embedding", model.embedding.index, (len(model.embedding.head.weights), n_bank))
    learned = [name for name, amount in predictor.amounts.items() if amount.boosters]
    if n_targets != n_bars + len(learned) or learned != list(predictor.amounts)[: len(learned)]:
        raise ValueError(f"{n_targets} targets for {n_bars} bars and the amounts {learned}")
    if "output_tokens" not in predictor.amounts:
        raise ValueError("no output tokens among the amounts")
    numbers = (
        predictor.calibration.trust_floor,
        *asdict(predictor.uncertainty).values(),
        *asdict(model.kernel.kernel).values(),
        *model.kernel.penalties,
    )
    if not all(isinstance(number, float) and np.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"trust floor, uncertainty and kernel {numbers}; expected finite numbers, 0 or more")
    if not (model.kernel.scale.deviation > 0).all():
        raise ValueError("kernel.deviation holds numbers that are not positive")
    names = pair_names(model.names, SURFACE_NAMES, n_bars=n_bars, n_targets=n_targets)
    for booster in itertools.chain(predictor.boosters, *(amount.boosters for amount in predictor.amounts.values())):
        if booster.feature_name() != names:
            raise ValueError("a booster's columns are not those of this version")


def _check_index(label: str, index: Vectors, shape: tuple[int, int]) -> None:
    if index.shape != shape:
        raise ValueError(f"{label}.index has shape {index.shape}, expected {shape}")
    if isinstance(index, sp.csr_array):
        index.check_format(full_check=True)
    if not np.isfinite(index.data if isinstance(index, sp.csr_array) else index).all():
        raise ValueError(f"{label}.index holds numbers that are not finite")


def _pack_vectors(arrays: Arrays, name: str, vectors: Vectors) -> None:
    if sp.issparse(vectors):
        csr = sp.csr_array(vectors)
        arrays[f"{name}.data"] = csr.data
        arrays[f"{name}.indices"] = csr.indices.astype(np.int32)
        arrays[f"{name}.indptr"] = csr.indptr.astype(np.int64)
        arrays[f"{name}.shape"] = np.array(csr.shape, dtype=np.int64)
    else:
        arrays[name] = vectors


def _unpack_vectors(arrays: Arrays, name: str) -> Vectors:
    if name in arrays:
        return arrays[name]
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    n_rows, n_columns = (int(n) for n in arrays[f"{name}.shape"])
    index = sp.csr_array(parts, shape=(n_rows, n_columns))
    if index.nnz < _INT32_LIMIT:  # wide row ends make the column indices wide, too, which are read in every decision
        index.indices, index.indptr = index.indices.astype(np.int32), index.indptr.astype(np.int32)
    return index
