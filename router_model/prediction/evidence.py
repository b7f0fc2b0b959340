"""Evidence: scores from logged prompts that say how well each model will do on a new prompt.

Prompts are represented in two spaces: their embedding, and their bag of word pieces. Each space has a linear head, a
ridge regression of the outcomes on the vectors. A kernel machine (`router_model.prediction.kernel`) also compares the
prompt with logged prompts in both spaces and in form. Each score belongs to one model and one *target*. The targets are
success at each quality bar and, if the table has output tokens, their logarithm. A missing (prompt, model) pair does
not remove the other models' outcomes of the prompt. Where nothing could be learned, every kind of evidence equals the
model's overall record.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.features import BagVocabulary
from router_model.features.featuriser import PromptFeatures
from router_model.features.grid import on_grid as rounded_to
from router_model.prediction.kernel import KernelHead, exact_product, rounded_weights, sparse_product
from router_model.prediction.similarity import Vectors, comparer, on_grid
from router_model.prediction.threads import in_parallel

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

FAMILIARITY = ("embedding", "bag", "coverage")
"""The similarity with the nearest logged prompt in each space, and the share of the prompt's terms that logs have."""

_CHUNK = 256  # prompts compared with the whole bank at once; bounds memory to a few times 256 x n_bank floats


FAMILIARITY_STEPS = 2**10
"""Steps per unit of the similarity with the nearest logged prompt. Vectors on a grid have lengths near 1 only. With so
few steps, the similarity of a prompt with itself is still 1."""

VALUE_STEPS = 2**20
"""Steps per unit of evidence: float64 holds sums over models exactly, and their mean has the same bits everywhere."""

_MOST_HEAD_WEIGHT = 2**23 - 1  # steps of a column's largest weight; float32 holds few more


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A ridge regression of the outcomes on the vectors of one space.

    Attributes
    ----------
    weights : float32 array, shape (dimension, n_models, n_targets)
        Rounded to multiples of a power of two, one for each column, so that scores are exact sums
        (`router_model.features.grid`).
    bias : float32 array, shape (n_models, n_targets)
    """

    weights: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", rounded_weights(self.weights, _MOST_HEAD_WEIGHT))

    def score(self, vectors: Vectors) -> DoubleArray:
        """Return the score of each prompt, shape (n, n_models, n_targets); scores of success may leave [0, 1] a little.

        Dense vectors are rounded to their grid; bags are on it already.
        """
        flat = self.weights.reshape(len(self.weights), self.bias.size)
        if isinstance(vectors, sp.csr_array):
            product = sparse_product(vectors, flat)
        else:
            product = exact_product(np.asarray(on_grid(vectors)), flat)
        return np.asarray(product.reshape(len(product), *self.bias.shape) + self.bias)


@dataclass(frozen=True, slots=True)
class Bank:
    """Logged outcomes, aligned with the vectors of logged prompts.

    Attributes
    ----------
    outcome : float32 array, shape (n_bank, n_models, n_targets)
        For a quality bar: 1 if the quality met it, else 0. For output tokens: the logarithm minus the model's mean
        logarithm. 0 if unknown.
    weight : float32 array, shape (n_bank, n_models, n_targets)
        1 if the outcome is known, else 0. For a call, the quality may be known without the tokens, and the tokens
        without the quality.
    base : float32 array, shape (n_models, n_targets)
        Overall record: the prior towards which evidence is shrunk.
    """

    outcome: FloatArray
    weight: FloatArray
    base: FloatArray


@dataclass(frozen=True, slots=True)
class Space:
    """One representation of prompts (embedding or bag), with the linear head that was learned in it.

    Attributes
    ----------
    head : LinearHead
    index : Vectors, shape (dimension, n_bank)
        The bank's vectors by dimension. For bags this is an inverted index, and a short prompt reads a few of its rows.
        Vectors are on the grid for comparisons.
    """

    head: LinearHead
    index: Vectors

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", on_grid(self.index))

    @classmethod
    def of(cls, head: LinearHead, vectors: Vectors) -> "Space":
        """Index the bank's vectors of shape (n_bank, dimension)."""
        by_dimension: Any = vectors.T
        return cls(head, by_dimension.tocsr() if hasattr(by_dimension, "tocsr") else by_dimension)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for n prompts.

    Attributes
    ----------
    names : kinds of evidence, e.g. ``embedding_head``
    values : float32 array, shape (n, n_models, n_targets, n_kinds)
        In steps of `VALUE_STEPS`.
    record : float32 array, shape (n, n_models, n_targets)
        The models' overall record; for a training prompt, the record over the other folds.
    familiarity : float32 array, shape (n, 3)
        How similar the prompt is to logged prompts: see `FAMILIARITY`.
    """

    names: tuple[str, ...]
    values: FloatArray
    record: FloatArray
    familiarity: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> "Evidence":
        """Return the evidence for some prompts."""
        return Evidence(self.names, self.values[rows], self.record[rows], self.familiarity[rows])


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """Computes evidence from the features of prompts."""

    vocabulary: BagVocabulary
    embedding: Space
    bag: Space
    bank: Bank
    kernel: KernelHead

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds of evidence, in order."""
        return ("embedding_head", "bag_head", *self.kernel.names)

    def evidence(self, features: PromptFeatures) -> Evidence:
        """Collect the evidence for n prompts in both spaces."""
        bags, surface, n = self.vocabulary.transform(features.pieces), self.surface_of(features), len(features)
        evidence = self._with_heads(features.embedding, bags.vectors)
        evidence.familiarity[:, 2] = bags.coverage
        compare, compare_bags = comparer(self.embedding.index, n), comparer(self.bag.index, n)

        def fill(start: int) -> None:
            rows = slice(start, start + _CHUNK)
            likeness = (compare(features.embedding[rows]), compare_bags(bags.vectors[rows]))
            for column, similarity in enumerate(likeness):
                # one kind of prompts may fill a small bank; then there is no similar prompt outside it
                nearest = similarity.max(axis=1, initial=-1.0)
                evidence.familiarity[rows, column] = rounded_to(nearest, FAMILIARITY_STEPS)
            self._add_kernel(evidence, rows, self.kernel.values(*likeness, surface[rows]))

        in_parallel(fill, range(0, n, _CHUNK))
        return evidence

    def surface_of(self, features: PromptFeatures) -> FloatArray:
        """Return the surface features that it was fitted on, shape (n, n_surface), which are the first so many."""
        return features.surface[:, : len(self.kernel.scale.centre)]

    def evidence_from(
        self, embedding: Vectors, bags: Vectors, kernel: FloatArray, *, familiarity: DoubleArray
    ) -> Evidence:
        """Collect the evidence for n prompts that were compared with the bank before.

        Parameters
        ----------
        embedding, bags : vectors of the prompts in each space
        kernel : shape (n, n_bank), kernel of the prompts with the bank's
        familiarity : shape (n, 3), see `FAMILIARITY`
        """
        evidence = self._with_heads(embedding, bags)
        evidence.familiarity[:] = familiarity
        evidence.familiarity[:, :2] = rounded_to(familiarity[:, :2], FAMILIARITY_STEPS)
        self._add_kernel(evidence, slice(None), kernel)
        return evidence

    def _with_heads(self, embedding: Vectors, bags: Vectors) -> Evidence:
        """Return evidence with the values of the heads; the others are not filled in yet."""
        n, base = embedding.shape[0], self.bank.base
        values = np.empty((n, *base.shape, len(self.names)), dtype=np.float32)
        values[..., 0] = rounded_to(self.embedding.head.score(embedding), VALUE_STEPS)
        values[..., 1] = rounded_to(self.bag.head.score(bags), VALUE_STEPS)
        familiarity = np.empty((n, len(FAMILIARITY)), dtype=np.float32)
        return Evidence(self.names, values, np.broadcast_to(base, (n, *base.shape)), familiarity)

    def _add_kernel(self, evidence: Evidence, rows: slice, kernel: FloatArray) -> None:
        score = self.bank.base[..., None] + self.kernel.deviations(kernel)
        evidence.values[rows, ..., 2:] = rounded_to(score, VALUE_STEPS)
