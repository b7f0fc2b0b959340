"""The evidence for one prompt, as `router_model.evidence` collects it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.compiled.likeness import LikenessModel, writable
from router_model.compiled.terms import TermTable
from router_model.compiled.weighted_rows import weighted_rows
from router_model.evidence import EvidenceModel, LinearHead, rounded

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
class RowWeights:
    """Weights a row, summed with a prompt's: a linear head, or the kernel machine's.

    Attributes
    ----------
    weights : float32 array, shape (n_rows, n_models * n_targets * n_kinds)
    bias : float32 array, shape (n_models, n_targets, n_kinds)
    """

    weights: FloatArray
    bias: FloatArray

    @classmethod
    def of_head(cls, head: LinearHead) -> "RowWeights":
        """Return a linear head's, with one kind."""
        return cls.of(head.weights[..., None], head.bias[..., None])

    @classmethod
    def of(cls, weights: FloatArray, bias: FloatArray) -> "RowWeights":
        """Lay out weights of shape (n_rows, n_models, n_targets, n_kinds)."""
        shape = weights.shape[1:]
        flat = weights.reshape(len(weights), int(np.prod(shape)))
        return cls(writable(flat), np.broadcast_to(bias, shape).astype(np.float32))

    def score(self, values: FloatArray, rows: IntArray | None = None) -> FloatArray:
        """Return the scores of a vector, or of a sparse one's `values` in `rows`; shape as `bias`."""
        every = np.arange(len(values)) if rows is None else rows
        return np.asarray(weighted_rows(values, every, self.weights).reshape(self.bias.shape) + self.bias)


@dataclass(frozen=True, slots=True)
class PromptEvidenceModel:
    """Everything that turns the features of one prompt into evidence."""

    terms: TermTable
    likeness: LikenessModel
    embedding_head: RowWeights
    bag_head: RowWeights
    kernel: RowWeights

    @classmethod
    def of(cls, model: EvidenceModel) -> "PromptEvidenceModel":
        """Lay out an evidence model.

        Raises
        ------
        NotCompilableError
        """
        return cls(
            terms=TermTable.of(model.vocabulary),
            likeness=LikenessModel.of(model),
            embedding_head=RowWeights.of_head(model.embedding.head),
            bag_head=RowWeights.of_head(model.bag.head),
            kernel=RowWeights.of(model.kernel.weights, model.bank.base[..., None]),
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
        likeness = self.likeness.compare(embedding, bag, surface)
        parts = (
            self.embedding_head.score(embedding),
            self.bag_head.score(bag.weights, bag.terms),
            self.kernel.score(likeness.kernel),
        )
        nearest = rounded(np.array([likeness.nearest_embedding, likeness.nearest_bag], dtype=np.float32))
        return PromptEvidence(np.concatenate(parts, axis=2), np.append(nearest, np.float32(bag.coverage)))
