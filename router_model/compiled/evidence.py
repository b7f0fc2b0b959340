"""The evidence for one prompt, as `router_model.evidence` collects it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.compiled.bank_sums import LoggedPrompts, Weights, exponents, scores
from router_model.compiled.likeness import in_steps, logged_prompts, writable
from router_model.compiled.terms import TermTable
from router_model.evidence import EvidenceModel, rounded
from router_model.kernel import steps_of

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class PromptEvidence(NamedTuple):
    """Evidence for one prompt: as `router_model.evidence.Evidence`, without the axis of prompts.

    Attributes
    ----------
    values : float32 array, shape (n_models, n_targets, n_kinds)
    familiarity : float32 array, shape (3,)
    """

    values: FloatArray
    familiarity: FloatArray


@dataclass(frozen=True, slots=True)
class PromptEvidenceModel:
    """Everything that turns the features of one prompt into evidence."""

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
            terms=TermTable.of(model.vocabulary),
            logged=logged_prompts(model),
            weights=Weights(embedding, bag, np.array(kernel / step, dtype=np.int16), step, writable(bias)),
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
        exponent, *nearest = exponents(in_steps(embedding), bag.terms, bag.weights, surface, self.logged)
        kernel = np.exp(exponent, out=exponent)  # numpy's is six times as fast as numba's
        values = scores(embedding, bag.terms, bag.weights, kernel, self.weights)
        familiarity = np.array([*nearest, bag.coverage], dtype=np.float32)
        familiarity[:2] = rounded(familiarity[:2])
        return PromptEvidence(values, familiarity)
