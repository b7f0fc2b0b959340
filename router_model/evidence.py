"""Evidence: what logged prompts say about how each model will do on a new prompt.

Two spaces (the embedding and the bag of word pieces) give two kinds of evidence each: a linear head's score,
and the kernel-weighted mean outcome of the nearest logged prompts. All of it is per model and *target*: the
targets are success at each quality bar and, where the table has it, the logarithm of the output tokens. A
missing (prompt, model) pair costs nothing but its own row.

The kernel is ``exp(sharpness * (similarity - nearest similarity))``; means are shrunk to the model's overall
record by `PRIOR_WEIGHT` pseudo-observations, so a model that was never tried nearby falls back to it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features import BagVocabulary
from features.featuriser import PromptFeatures
from router_model.similarity import Vectors, comparer
from router_model.threads import in_parallel

FloatArray = npt.NDArray[np.float32]

FAMILIARITY = ("embedding", "bag", "coverage")
"""Similarity of the nearest logged prompt in each space, and the share of the prompt's terms that logs have."""

PRIOR_WEIGHT = 1.0
_CHUNK = 256  # prompts compared with the whole bank at once; bounds memory at a few times 256 x n_bank floats


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A ridge regression of the outcomes on the vectors of one space.

    Attributes
    ----------
    weights : float32 array, shape (dimension, n_models, n_targets)
    bias : float32 array, shape (n_models, n_targets)
    """

    weights: FloatArray
    bias: FloatArray

    def score(self, vectors: Vectors) -> FloatArray:
        """Return the score of each prompt, shape (n, n_models, n_targets); success near [0, 1] but not bound to it."""
        product = np.asarray(vectors @ self.weights.reshape(len(self.weights), self.bias.size))
        return np.asarray(product.reshape(len(product), *self.bias.shape) + self.bias, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Bank:
    """Logged outcomes, aligned with the vectors of logged prompts.

    Attributes
    ----------
    outcome : float32 array, shape (n_bank, n_models, n_targets)
        For a quality bar 1 where the quality met it, else 0; for output tokens the logarithm less the
        model's mean logarithm. 0 where unknown.
    weight : float32 array, shape (n_bank, n_models, n_targets)
        0 where the outcome is unknown, else the inverse propensity weight (1 in full tables). Quality and
        tokens of a call may be known without each other.
    base : float32 array, shape (n_models, n_targets)
        Overall record, the prior that evidence is shrunk to.
    """

    outcome: FloatArray
    weight: FloatArray
    base: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> "Bank":
        """Return the outcomes of some prompts, with the record of all."""
        return Bank(outcome=self.outcome[rows], weight=self.weight[rows], base=self.base)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The mean outcome of the nearest logged prompts, at several sizes.

    Attributes
    ----------
    index : Vectors, shape (dimension, n_bank)
        The logged prompts' vectors by dimension: for bags an inverted index, which a short prompt reads a
        few rows of.
    sizes : ascending numbers of neighbours
    sharpness : float
        Of the kernel; 0 counts all neighbours alike.
    """

    index: Vectors
    sizes: tuple[int, ...]
    sharpness: float

    @classmethod
    def of(cls, vectors: Vectors, sizes: tuple[int, ...], sharpness: float) -> "Neighbourhood":
        """Index logged prompts by their vectors of shape (n_bank, dimension)."""
        by_dimension: Any = vectors.T
        return cls(by_dimension.tocsr() if hasattr(by_dimension, "tocsr") else by_dimension, sizes, sharpness)

    def mean_outcome(self, queries: Vectors, bank: Bank) -> tuple[list[FloatArray], FloatArray]:
        """Average the neighbours' outcomes.

        Returns
        -------
        list of float32 arrays, one a size, shape (n, n_models, n_targets)
        float32 array, shape (n,)
            Similarity of the nearest logged prompt: how familiar the prompt is.
        """
        n = queries.shape[0]
        evidence = [np.empty((n, *bank.base.shape), dtype=np.float32) for _ in self.sizes]
        familiarity = np.zeros(n, dtype=np.float32)
        compare = comparer(self.index, n)

        def fill(start: int) -> None:
            rows = slice(start, start + _CHUNK)
            nearest, similarity = nearest_rows(compare(queries[rows]), self.sizes[-1])
            kernel = np.exp(self.sharpness * (similarity - similarity[:, :1]))
            familiarity[rows] = similarity[:, 0]
            for out, mean in zip(evidence, _weighted_means(bank, nearest, kernel, self.sizes), strict=True):
                out[rows] = mean

        in_parallel(fill, range(0, n, _CHUNK))
        return evidence, familiarity


def nearest_rows(similarity: FloatArray, k: int) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return indices and similarities of the `k` largest entries of each row, largest first.

    Ties go to the smaller index; where there are fewer than `k` columns, all are returned.
    """
    n, n_columns = similarity.shape
    k = min(k, n_columns)
    boundary = np.partition(similarity, n_columns - k, axis=1)[:, [n_columns - k]]
    chosen = similarity >= boundary
    for row in np.flatnonzero(np.count_nonzero(chosen, axis=1) > k):
        # Of entries equal to the k-th largest, the first ones fill what is left.
        equal = np.flatnonzero(similarity[row] == boundary[row])
        chosen[row, equal[k - np.count_nonzero(chosen[row]) :]] = False
    found = np.nonzero(chosen)[1].reshape(n, k)
    values = np.take_along_axis(similarity, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1)


def _weighted_means(
    bank: Bank, nearest: npt.NDArray[np.intp], kernel: FloatArray, sizes: tuple[int, ...]
) -> Iterator[FloatArray]:
    """Yield the mean outcome of the first neighbours at each size; a larger size adds to the smaller one's sums."""
    n_outputs = bank.base.size
    weight, outcome = bank.weight.reshape(-1, n_outputs), bank.outcome.reshape(-1, n_outputs)
    mass = np.zeros((len(nearest), n_outputs), dtype=np.float32)
    total = np.zeros_like(mass)
    for start, end in itertools.pairwise((0, *sizes)):
        kernel_rows = kernel[:, None, start:end]
        near_weight = weight[nearest[:, start:end]]  # (n, end - start, n_outputs)
        mass += (kernel_rows @ near_weight)[:, 0]
        near_weight *= outcome[nearest[:, start:end]]
        total += (kernel_rows @ near_weight)[:, 0]
        mean = (total + PRIOR_WEIGHT * bank.base.ravel()) / (mass + PRIOR_WEIGHT)
        yield mean.reshape(-1, *bank.base.shape)


@dataclass(frozen=True, slots=True)
class Space:
    """One representation of prompts, with what was learned in it."""

    head: LinearHead
    neighbourhood: Neighbourhood


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for n prompts.

    Attributes
    ----------
    names : kinds of evidence, e.g. ``embedding_head``
    values : float32 array, shape (n, n_models, n_targets, n_kinds)
    record : float32 array, shape (n, n_models, n_targets)
        The models' overall record; of a training prompt, over the other folds.
    familiarity : float32 array, shape (n, 3)
        How like the logged prompts: see `FAMILIARITY`.
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
    """Everything that turns the features of a prompt into evidence."""

    vocabulary: BagVocabulary
    embedding: Space
    bag: Space
    bank: Bank

    def evidence(self, features: PromptFeatures) -> Evidence:
        """Look the prompts up in both spaces."""
        bags = self.vocabulary.transform(features.pieces)
        spaces: dict[str, tuple[Space, Vectors]] = {
            "embedding": (self.embedding, features.embedding),
            "bag": (self.bag, bags.vectors),
        }
        return gather_evidence(spaces, self.bank, coverage=bags.coverage)


def gather_evidence(spaces: dict[str, tuple[Space, Vectors]], bank: Bank, *, coverage: FloatArray) -> Evidence:
    """Collect heads and neighbours of several spaces, in a fixed order.

    Parameters
    ----------
    spaces : name -> (space, vectors of n prompts)
    coverage : shape (n,), share of each prompt's terms that the bag knows
    """
    names: list[str] = []
    values: list[FloatArray] = []
    familiarity: list[FloatArray] = []
    for label, (space, queries) in spaces.items():
        names.append(f"{label}_head")
        values.append(space.head.score(queries))
        near, nearest = space.neighbourhood.mean_outcome(queries, bank)
        names += [f"{label}_neighbours_{size}" for size in space.neighbourhood.sizes]
        values += near
        familiarity.append(nearest)
    record = np.broadcast_to(bank.base, (len(familiarity[0]), *bank.base.shape))
    return Evidence(tuple(names), np.stack(values, axis=-1), record, np.stack([*familiarity, coverage], axis=-1))
