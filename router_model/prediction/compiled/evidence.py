"""Collect the evidence for one prompt by compiled code; `router_model.prediction.evidence` is the reference."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.features.grid import GRID_STEPS, on_grid
from router_model.prediction.compiled.bank_sums import LoggedPrompts, StepArray, Weights, kernel_values, scores
from router_model.prediction.compiled.likeness import in_steps, logged_prompts, writable
from router_model.prediction.compiled.terms import TermTable
from router_model.prediction.evidence import FAMILIARITY_STEPS, VALUE_STEPS, EvidenceModel
from router_model.prediction.kernel import FORM_STEPS, KERNEL_STEPS, SurfaceScale, steps_of

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class PromptEvidence(NamedTuple):
    """Evidence for one prompt: as `router_model.prediction.evidence.Evidence`, without the axis of prompts.

    Attributes
    ----------
    values : float32 array, shape (n_models, n_targets, n_kinds), in steps of
    `router_model.prediction.evidence.VALUE_STEPS`
    familiarity : float32 array, shape (3,)
    """

    values: FloatArray
    familiarity: FloatArray


@dataclass(frozen=True, slots=True)
class PromptEvidenceModel:
    """The evidence model, laid out for one prompt at a time."""

    scale: SurfaceScale
    terms: TermTable
    logged: LoggedPrompts
    weights: Weights

    @classmethod
    def of(cls, model: EvidenceModel) -> "PromptEvidenceModel":
        """Lay out an evidence model.

        Raises
        ------
        NotCompilableError
        """
        heads, base = (model.embedding.head, model.bag.head), model.bank.base
        kernels = [base] * model.kernel.weights.shape[-1]
        embedding, bag, kernel = (
            writable(weights.reshape(len(weights), math.prod(weights.shape[1:])))
            for weights in (heads[0].weights, heads[1].weights, model.kernel.weights)
        )
        step = steps_of(kernel)
        bias = np.stack([heads[0].bias, heads[1].bias, *kernels], axis=-1)
        return cls(
            scale=model.kernel.scale,
            terms=TermTable.of(model.vocabulary),
            logged=logged_prompts(model),
            weights=Weights(
                embedding=embedding,
                bag=bag,
                kernel=_whole_vectors(kernel / step),
                kernel_step=step.astype(np.float64) / KERNEL_STEPS,
                vector_step=1 / GRID_STEPS,
                bias=writable(bias),
            ),
        )

    def evidence(self, embedding: FloatArray, pieces: IntArray, surface: FloatArray) -> PromptEvidence:
        """Collect the evidence for one prompt.

        Parameters
        ----------
        embedding : shape (dimension,)
        pieces : word-piece ids
        surface : shape (n_surface,)
        """
        bag = self.terms.bag(pieces)
        own, form = in_steps(embedding), in_steps(self.scale.form(surface[None])[0], FORM_STEPS)
        kernel, *nearest = kernel_values(own, bag.terms, bag.weights, form, self.logged)
        values = scores(own, bag.terms, bag.weights, kernel, self.weights)
        familiarity = np.array([*nearest, bag.coverage], dtype=np.float32)
        familiarity[:2] = on_grid(np.array(nearest), FAMILIARITY_STEPS)
        return PromptEvidence(on_grid(values, VALUE_STEPS), familiarity)


_VECTOR = 8  # a vector register of 512 bits holds 8 float64 numbers


def _whole_vectors(columns: FloatArray) -> StepArray:
    """Return integers of 16 bits, padded with columns of zeros to whole vector registers.

    The sums take 84 us with 52 columns and 56 us with 56 columns.
    """
    n_rows, n_columns = columns.shape
    padded = np.zeros((n_rows, -(-n_columns // _VECTOR) * _VECTOR), dtype=np.int16)
    padded[:, :n_columns] = columns
    return padded
