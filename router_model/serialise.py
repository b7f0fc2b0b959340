"""A predictor as JSON-able description, arrays and boosters, and back."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import SURFACE_NAMES, BagVocabulary
from router_model.calibration import Blend, LogisticCalibration
from router_model.evidence import Bank, EvidenceModel, LinearHead, Neighbourhood, Space, Vectors
from router_model.predictor import BarRange, Predictor, TokenPredictor, pair_names

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


def pack_predictor(predictor: Predictor) -> tuple[dict[str, Any], Arrays]:
    """Split a predictor (but for its boosters) into a description and arrays."""
    model = predictor.evidence_model
    arrays: Arrays = {
        "bars": predictor.bars,
        "blend.weights": predictor.blend.weights,
        "calibration.slope": predictor.calibration.slope,
        "calibration.intercept": predictor.calibration.intercept,
        "tokens.mean_log": predictor.tokens.mean_log_tokens,
        "tokens.smearing": predictor.tokens.smearing,
        "vocabulary.codes": model.vocabulary.codes,
        "vocabulary.idf": model.vocabulary.idf,
        "bank.outcome": model.bank.outcome,
        "bank.weight": model.bank.weight,
        "bank.base": model.bank.base,
    }
    description: dict[str, Any] = {
        "models": list(predictor.models),
        "bar_range": [predictor.bar_range.low, predictor.bar_range.high],
        "blend_members": list(predictor.blend.members),
        "n_boosters": len(predictor.boosters),
        "spaces": {},
    }
    for label, space in (("embedding", model.embedding), ("bag", model.bag)):
        arrays[f"{label}.head.weights"] = space.head.weights
        arrays[f"{label}.head.bias"] = space.head.bias
        _pack_vectors(arrays, f"{label}.index", space.neighbourhood.index)
        description["spaces"][label] = {
            "neighbours": list(space.neighbourhood.sizes),
            "sharpness": space.neighbourhood.sharpness,
        }
    return description, arrays


def unpack_predictor(
    description: Mapping[str, Any],
    arrays: Arrays,
    boosters: tuple[lgb.Booster, ...],
    token_booster: lgb.Booster | None,
) -> Predictor:
    """Join what `pack_predictor` split with the boosters."""
    spaces = {
        label: Space(
            LinearHead(*(arrays[f"{label}.head.{part}"] for part in ("weights", "bias"))),
            Neighbourhood(_unpack_vectors(arrays, f"{label}.index"), tuple(said["neighbours"]), said["sharpness"]),
        )
        for label, said in description["spaces"].items()
    }
    bank = Bank(*(arrays[f"bank.{part}"] for part in ("outcome", "weight", "base")))
    vocabulary = BagVocabulary(arrays["vocabulary.codes"], arrays["vocabulary.idf"])
    predictor = Predictor(
        models=tuple(description["models"]),
        bars=arrays["bars"],
        bar_range=BarRange(*description["bar_range"]),
        evidence_model=EvidenceModel(vocabulary, spaces["embedding"], spaces["bag"], bank),
        boosters=boosters,
        blend=Blend(tuple(description["blend_members"]), arrays["blend.weights"]),
        calibration=LogisticCalibration(arrays["calibration.slope"], arrays["calibration.intercept"]),
        tokens=TokenPredictor(token_booster, arrays["tokens.mean_log"], arrays["tokens.smearing"]),
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
    model, n_models, n_bars = predictor.evidence_model, len(predictor.models), len(predictor.bars)
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
        "vocabulary.idf": (model.vocabulary.idf, (n_terms,)),
        "blend.weights": (predictor.blend.weights, (len(predictor.blend.members),)),
        "calibration.slope": (predictor.calibration.slope, (n_bars,)),
        "calibration.intercept": (predictor.calibration.intercept, (n_bars,)),
        "tokens.mean_log": (predictor.tokens.mean_log_tokens, (n_models,)),
        "tokens.smearing": (predictor.tokens.smearing, (n_models,)),
    }
    for name, (array, shape) in shapes.items():
        fits = len(array.shape) == len(shape) and all(
            want is None or got == want for got, want in zip(array.shape, shape, strict=True)
        )
        if not fits or not np.isfinite(array).all():
            raise ValueError(f"{name} has shape {array.shape}, expected {shape} of finite numbers")
    _check_index("bag", model.bag.neighbourhood.index, (n_terms, n_bank))
    _check_index("embedding", model.embedding.neighbourhood.index, (len(model.embedding.head.weights), n_bank))
    if n_targets not in (n_bars, n_bars + 1):
        raise ValueError(f"{n_targets} targets for {n_bars} bars")
    kinds = [
        f"{label}_{kind}"
        for label, space in (("embedding", model.embedding), ("bag", model.bag))
        for kind in ("head", *(f"neighbours_{size}" for size in space.neighbourhood.sizes))
    ]
    names = pair_names(kinds, SURFACE_NAMES, n_bars)
    for booster in (*predictor.boosters, predictor.tokens.booster):
        if booster is not None and booster.feature_name() != names:
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
    return sp.csr_array(parts, shape=(n_rows, n_columns))
