"""Split a predictor into JSON values, arrays and boosters for saving, and put it together again on loading."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features import BagVocabulary
from router_model.features.request import FORM_NAMES
from router_model.prediction.amounts import AmountModel
from router_model.prediction.bars import BarGrid
from router_model.prediction.calibration import Blend, Calibration
from router_model.prediction.evidence import Bank, EvidenceModel, LinearHead, Space
from router_model.prediction.kernel import Kernel, KernelHead, SurfaceScale
from router_model.prediction.predictor import Predictor, pair_names
from router_model.prediction.similarity import Vectors
from router_model.prediction.uncertainty import Uncertainty
from router_model.saved.predictor_checks import check_arrays, check_predictor

if TYPE_CHECKING:
    import lightgbm as lgb

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_INT32_LIMIT = 2**31

_CALIBRATION_PARTS = ("slopes", "model_intercept", "trust_weights")
_AMOUNT_PARTS = ("mean_log", "residual_quantiles", "smearing")


def pack_predictor(predictor: Predictor) -> tuple[dict[str, Any], Arrays]:
    """Split a predictor, without its boosters, into a description and arrays."""
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
        "longest_log_chars": predictor.calibration.longest_log_chars,
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
    read_boosters: Callable[[str, int, Sequence[str]], "tuple[lgb.Booster, ...]"],
) -> Predictor:
    """Build a predictor from the parts of `pack_predictor`, and check that they fit.

    Parameters
    ----------
    description, arrays : from `pack_predictor`
    read_boosters : called with the target of the boosters (``success`` or an amount), their number, and the names of
        the columns that they must read

    Raises
    ------
    ValueError
        The message names the part that is missing, does not fit or has impossible values.
    """
    check_arrays(arrays)
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
    grid = BarGrid(arrays["bars"], **description["quality"])
    evidence_model = EvidenceModel(vocabulary, spaces["embedding"], spaces["bag"], bank, kernel)
    n_targets, n_surface = bank.base.shape[1], len(kernel.scale.centre)
    columns = pair_names(evidence_model.names, FORM_NAMES[:n_surface], n_bars=len(grid), n_targets=n_targets)
    predictor = Predictor(
        models=tuple(description["models"]),
        grid=grid,
        evidence_model=evidence_model,
        boosters=read_boosters("success", description["n_boosters"], columns),
        blend=Blend(tuple(description["blend_members"]), arrays["blend.weights"]),
        calibration=Calibration(
            slopes=arrays["calibration.slopes"],
            model_intercept=arrays["calibration.model_intercept"],
            trust_weights=arrays["calibration.trust_weights"],
            trust_floor=description["trust_floor"],
            longest_log_chars=description.get("longest_log_chars"),
        ),
        uncertainty=Uncertainty(**description["uncertainty"]),
        amounts={
            said["name"]: AmountModel(
                read_boosters(said["name"], said["n_boosters"], columns),
                *(arrays[f"{said['name']}.{part}"] for part in _AMOUNT_PARTS),
            )
            for said in description["amounts"]
        },
    )
    check_predictor(predictor)
    return predictor


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
    _, indices, ends = parts
    if ends[0] != 0 or ends[-1] != len(indices) or (np.diff(ends) < 0).any():  # scipy does not check the last end
        raise ValueError(f"{name}: the ends of its rows do not ascend to its {len(indices)} entries")
    index = sp.csr_array(parts, shape=(n_rows, n_columns))
    # 64-bit row ends would make the column indices 64-bit too, and every decision reads these.
    if index.nnz < _INT32_LIMIT:
        index.indices, index.indptr = index.indices.astype(np.int32), index.indptr.astype(np.int32)
    return index
