"""A predictor as JSON-able description, arrays and boosters, and back."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import BagVocabulary
from router_model.calibration import Blend, LogisticCalibration
from router_model.evidence import Bank, EvidenceModel, LinearHead, Neighbourhood, Space, Vectors
from router_model.predictor import BarRange, Predictor, TokenPredictor

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
    return Predictor(
        models=tuple(description["models"]),
        bars=arrays["bars"],
        bar_range=BarRange(*description["bar_range"]),
        evidence_model=EvidenceModel(vocabulary, spaces["embedding"], spaces["bag"], bank),
        boosters=boosters,
        blend=Blend(tuple(description["blend_members"]), arrays["blend.weights"]),
        calibration=LogisticCalibration(arrays["calibration.slope"], arrays["calibration.intercept"]),
        tokens=TokenPredictor(token_booster, arrays["tokens.mean_log"], arrays["tokens.smearing"]),
    )


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
