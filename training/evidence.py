"""Fit evidence, and compute it out of fold for the prompts it was fitted on.

A booster that saw in-sample evidence would learn to trust a leak: a prompt is its own nearest neighbour. So
each training prompt's evidence comes from heads and neighbours of the other folds (stacking; Wolpert 1992).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import BagVocabulary
from features.featuriser import PromptFeatures
from router_model.errors import TrainingError
from router_model.evidence import (
    Bank,
    Evidence,
    EvidenceModel,
    Neighbourhood,
    Space,
    gather_evidence,
)
from router_model.similarity import Vectors
from training.heads import fit_head
from training.targets import Targets

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

_PENALTY_PROMPTS = 20_000
"""Prompts that choose the penalties: of three values a factor of four apart, more of them choose none better."""


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Choices about evidence; the defaults are argued in docs/decisions/0001.

    Attributes
    ----------
    neighbours : ascending sizes of the neighbourhoods
    sharpness : of the neighbours' kernel
    head_penalties : tried for each space's head; out-of-fold squared error chooses
    min_prompts_per_term, max_terms : which word pieces and pairs the bag keeps
    max_bank : prompts kept to find neighbours among; of more, this many are drawn
        Heads learn from all prompts; neighbours cost time in every decision.
    """

    neighbours: tuple[int, ...] = (10, 40, 100)
    sharpness: float = 10.0
    head_penalties: tuple[float, ...] = (1.0, 4.0, 16.0)
    min_prompts_per_term: int = 5
    max_terms: int = 200_000
    max_bank: int = 30_000

    def __post_init__(self) -> None:
        if not self.neighbours or self.neighbours[0] < 1 or list(self.neighbours) != sorted(set(self.neighbours)):
            raise TrainingError(f"evidence: neighbours={list(self.neighbours)}; expected ascending sizes from 1")
        if not self.head_penalties or min(self.head_penalties) <= 0:
            raise TrainingError(f"evidence: head_penalties={list(self.head_penalties)}; expected positive numbers")
        if self.sharpness < 0 or min(self.min_prompts_per_term, self.max_terms, self.max_bank) < 1:
            raise TrainingError(
                f"evidence: sharpness={self.sharpness}, min_prompts_per_term={self.min_prompts_per_term}, "
                f"max_terms={self.max_terms}, max_bank={self.max_bank}; expected 0 or more, and 1 or more"
            )


def overall_record(outcome: FloatArray, weight: FloatArray, prior: FloatArray) -> FloatArray:
    """Return each model's weighted mean outcome, shape (n_models, n_targets), shrunk by two observations of `prior`.

    With prior 1/2 this is Laplace's rule: a model that never failed, or was never tried, stays inside (0, 1).

    Parameters
    ----------
    outcome : shape (n, n_models, n_targets)
    weight : shape (n, n_models, n_targets)
    prior : shape (n_targets,)
    """
    total = np.einsum("nmt,nmt->mt", weight, outcome)
    mass = weight.sum(axis=0)
    return np.asarray((total + 2 * prior) / (mass + 2), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class EvidenceFitter:
    """Fits evidence on some of n training prompts, so that the others' evidence is out of sample.

    Attributes
    ----------
    vocabulary : BagVocabulary
    vectors : space -> vectors of all n prompts
    n_terms : shape (n,), different terms of each prompt
    targets : of all n prompts
    penalties : space -> penalty of its head
    config : EvidenceConfig
    """

    vocabulary: BagVocabulary
    vectors: dict[str, Vectors]
    n_terms: npt.NDArray[np.int64]
    targets: Targets
    penalties: dict[str, float]
    config: EvidenceConfig

    @classmethod
    def prepare(
        cls, features: PromptFeatures, targets: Targets, folds: npt.NDArray[np.int64], config: EvidenceConfig
    ) -> "EvidenceFitter":
        """Choose terms and penalties.

        Parameters
        ----------
        features, targets : of n prompts
        folds : shape (n,); the first one's prompts choose the penalties
        """
        vocabulary = BagVocabulary.fit(
            features.pieces, min_prompts=config.min_prompts_per_term, max_terms=config.max_terms
        )
        bags = vocabulary.transform(features.pieces)
        vectors: dict[str, Vectors] = {"embedding": features.embedding, "bag": bags.vectors}
        some = _sample(len(folds), _PENALTY_PROMPTS)
        few, few_folds = targets.take(some), folds[some]
        penalties = {label: _choose_penalty(v[some], few, few_folds, config) for label, v in vectors.items()}
        return cls(vocabulary, vectors, bags.n_terms, targets, penalties, config)

    def fit(self) -> EvidenceModel:
        """Fit on all prompts."""
        spaces, bank = self._fit_on(np.arange(len(self.targets.outcome)))
        return EvidenceModel(self.vocabulary, spaces["embedding"], spaces["bag"], bank)

    def out_of_fold(self, folds: npt.NDArray[np.int64], asked: Rows | None = None) -> Evidence:
        """Return the evidence for prompts from the prompts of other folds.

        Parameters
        ----------
        folds : shape (n,)
            Random folds give the evidence of prompts like those learned from; folds of whole tasks give that of
            prompts unlike them.
        asked : indices of the prompts that evidence is wanted for, ascending; default: all
            All prompts are learned from.
        """
        asked = np.arange(len(folds)) if asked is None else asked
        joined: Evidence | None = None
        for fold in np.unique(folds[asked]):
            at = np.flatnonzero(folds[asked] == fold)
            part = self._evidence_from_outside(folds == fold, asked[at])
            joined = joined or _empty_like(part, len(asked))
            for whole, rows in zip(_arrays(joined), _arrays(part), strict=True):
                whole[at] = rows
        if joined is None:
            raise TrainingError("evidence was asked for of no prompt")
        return joined

    def _evidence_from_outside(self, inside: npt.NDArray[np.bool_], asked: Rows) -> Evidence:
        spaces, bank = self._fit_on(np.flatnonzero(~inside))
        queries = {label: (space, self.vectors[label][asked]) for label, space in spaces.items()}
        return gather_evidence(queries, bank, coverage=self._coverage_from_outside(inside, asked))

    def _coverage_from_outside(self, inside: npt.NDArray[np.bool_], asked: Rows) -> FloatArray:
        """Return the share of each asked prompt's terms that enough prompts outside have, shape (n_asked,)."""
        bags = sp.csr_array(self.vectors["bag"])
        n_prompts = np.bincount(bags[np.flatnonzero(~inside)].indices, minlength=bags.shape[1])
        own = bags[asked].astype(bool).astype(np.float32)
        known = (n_prompts >= self.config.min_prompts_per_term).astype(np.float32)
        return np.asarray(own @ known / np.maximum(self.n_terms[asked], 1), dtype=np.float32)

    def _fit_on(self, rows: Rows) -> tuple[dict[str, Space], Bank]:
        bank = _bank(self.targets, rows)
        kept = bank_rows(len(rows), self.config)
        spaces = {
            label: Space(
                fit_head(v[rows], bank, penalty=self.penalties[label]),
                Neighbourhood.of(v[rows[kept]], self.config.neighbours, self.config.sharpness),
            )
            for label, v in self.vectors.items()
        }
        return spaces, bank.take(kept)


def bank_rows(n: int, config: EvidenceConfig) -> Rows:
    """Return which of `n` training prompts the bank keeps, in its order: those `EvidenceFitter.fit` keeps."""
    return _sample(n, config.max_bank)


def _bank(targets: Targets, rows: Rows) -> Bank:
    outcome, weight = targets.outcome[rows], targets.weight[rows]
    return Bank(outcome, weight, overall_record(outcome, weight, targets.prior))


def _sample(n: int, size: int) -> Rows:
    """Return all of ``range(n)``, or `size` of it drawn with a fixed seed, ascending."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size, replace=False))


def _arrays(evidence: Evidence) -> tuple[FloatArray, FloatArray, FloatArray]:
    return evidence.values, evidence.record, evidence.familiarity


def _empty_like(part: Evidence, n: int) -> Evidence:
    """Return room for the evidence of n prompts: joining the folds' at the end would hold all of it twice."""
    return Evidence(part.names, *(np.empty((n, *array.shape[1:]), array.dtype) for array in _arrays(part)))


def _choose_penalty(vectors: Vectors, targets: Targets, folds: npt.NDArray[np.int64], config: EvidenceConfig) -> float:
    """Return the penalty with the least weighted squared error on one held-out fold."""
    held_out = folds == folds.min()
    inside = np.flatnonzero(held_out)
    bank = _bank(targets, np.flatnonzero(~held_out))
    errors = []
    for penalty in config.head_penalties:
        score = fit_head(vectors[~held_out], bank, penalty=penalty).score(vectors[inside])
        error = (score - targets.outcome[inside]) ** 2
        errors.append(float((targets.weight[inside] * error)[:, :, : targets.n_bars].sum()))
    return config.head_penalties[int(np.argmin(errors))]
