"""Lay out the input columns of the boosters for one prompt, as `router_model.prediction.predictor.pair_rows` does."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.prediction.compiled.evidence import PromptEvidence
from router_model.prediction.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairColumns:
    """The layout of evidence as columns.

    Attributes
    ----------
    record : float32 array, shape (n_models, n_targets)
    bars : float32 array, shape (n_bars,)
    length_kind : index of the kind of evidence about the first amount that serves every target; -1 if there is none
    """

    record: FloatArray
    bars: FloatArray
    length_kind: int

    def lay(self, evidence: PromptEvidence, surface: FloatArray, targets: IntArray) -> FloatArray:
        """Return the columns, shape (n_columns, n_models * len(targets)), named as in ``pair_names`` of the predictor.

        Parameters
        ----------
        surface : shape (n_surface,)
        targets : positions of the targets
        """
        return np.asarray(
            _lay(evidence.values, self.record, evidence.familiarity, surface, self.bars, targets, self.length_kind)
        )


@compiled
def _lay(values, record, familiarity, surface, bars, targets, length_kind):
    n_models, _, n_kinds = values.shape
    n_bars, n_targets, n_familiar = len(bars), len(targets), len(familiarity)
    n_all_kinds = n_kinds + (1 if length_kind >= 0 else 0)
    n_before = 1 + n_familiar + (1 if n_bars > 1 else 0)
    columns = np.empty((n_before + 3 * n_all_kinds + len(surface), n_models * n_targets), dtype=np.float32)
    for each in range(n_familiar):
        columns[1 + each] = familiarity[each]
    for each in range(len(surface)):
        columns[n_before + 3 * n_all_kinds + each] = surface[each]
    for position in range(n_targets):
        target = targets[position]
        for model in range(n_models):
            columns[0, model * n_targets + position] = record[model, target]
            if n_bars > 1:
                columns[1 + n_familiar, model * n_targets + position] = bars[target] if target < n_bars else 0
        for kind in range(n_all_kinds):
            about, read = (target, kind) if kind < n_kinds else (n_bars, length_kind)
            total = 0.0  # the sum is exact, because float64 holds all sums of evidence in steps
            for model in range(n_models):
                total += np.float64(values[model, about, read])
            difficulty = np.float32(total / n_models)
            for model in range(n_models):
                value, pair = values[model, about, read], model * n_targets + position
                first = n_before + 3 * kind
                columns[first, pair] = value
                columns[first + 1, pair] = difficulty
                columns[first + 2, pair] = value - difficulty
    return columns
