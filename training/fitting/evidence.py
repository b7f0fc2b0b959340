"""Fit the evidence of a predictor, and compute it out of fold for the prompts that it was fitted on.

A prompt is most similar to itself. So evidence that was computed with the prompt's own outcome would look more reliable
than it is, and the booster would learn to trust it too much. Therefore the evidence of each training prompt comes from
heads and kernels that were fitted on the other folds (stacking; Wolpert 1992).
"""

from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from router_model.errors import TrainingError
from router_model.features import BagVocabulary
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.amounts import QUANTILES, AmountModel
from router_model.prediction.bars import BarGrid
from router_model.prediction.calibration import Blend, Calibration
from router_model.prediction.compiled.choice import compiled
from router_model.prediction.evidence import FAMILIARITY, Bank, Evidence, EvidenceModel, Space
from router_model.prediction.kernel import Kernel, KernelHead, SurfaceScale, by_feature
from router_model.prediction.predictor import Predictor
from router_model.prediction.similarity import Vectors
from router_model.prediction.uncertainty import Uncertainty
from router_model.training.distributed.engine import spread
from router_model.training.fitting.heads import Design, fit_head
from router_model.training.fitting.kernel import compare_all, fit_weights
from router_model.training.table.split import sample_rows
from router_model.training.table.targets import Targets

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Folds = npt.NDArray[np.int64]

MAX_SHARPNESS = 1000.0
"""The largest sharpness of a kernel: beyond it, the kernel of any two different prompts is 0."""

_PENALTY_PROMPTS = 20_000
"""Number of prompts that choose the penalties; more would not choose better among values a factor of four apart."""

_VOCABULARY_PROMPTS = 100_000
"""The most prompts that are counted to choose terms. What few of so many have says little about any model."""


_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """The settings of evidence; docs/decisions/0001 gives reasons for the defaults.

    Attributes
    ----------
    head_penalties : values to try for each space's head; the out-of-fold squared error chooses
    kernel : Kernel
    kernel_penalties : penalties of the kernel machines, ascending
    sharing : share of a kernel machine's variance that all models have in common, from 0 to below 1
    min_prompts_per_term, max_terms : which word pieces and pairs the bag keeps
    max_bank : number of logged prompts to compare with; if there are more, this many are drawn
        Heads learn from all prompts. A larger bank costs time in every decision. Training needs its square times 4
        bytes.
    """

    head_penalties: tuple[float, ...] = (1.0, 4.0, 16.0)
    kernel: Kernel = field(default_factory=Kernel)
    kernel_penalties: tuple[float, ...] = (0.25, 2.0)
    sharing: float = 0.4
    min_prompts_per_term: int = 5
    max_terms: int = 200_000
    max_bank: int = 12_000

    def __post_init__(self) -> None:
        if not self.head_penalties or min(self.head_penalties) <= 0:
            raise TrainingError(f"evidence: head_penalties={list(self.head_penalties)}; expected positive numbers")
        penalties = self.kernel_penalties
        if not penalties or penalties[0] <= 0 or list(penalties) != sorted(set(penalties)):
            raise TrainingError(
                f"evidence: kernel_penalties={list(penalties)}; expected positive numbers in ascending order"
            )
        sharpness = asdict(self.kernel)
        if not all(0 <= value <= MAX_SHARPNESS for value in sharpness.values()):
            said = ", ".join(f"{name}={value}" for name, value in sharpness.items())
            raise TrainingError(f"evidence: kernel: {said}; expected numbers from 0 to {MAX_SHARPNESS:g}")
        if not 0 <= self.sharing < 1:
            raise TrainingError(f"evidence: sharing={self.sharing}; expected a number from 0 to below 1")
        if min(self.min_prompts_per_term, self.max_terms, self.max_bank) < 1:
            raise TrainingError(
                f"evidence: min_prompts_per_term={self.min_prompts_per_term}, max_terms={self.max_terms}, "
                f"max_bank={self.max_bank}; expected 1 or more"
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
    """Fits evidence on some of n training prompts, so that the evidence of the others is out of sample.

    Attributes
    ----------
    vocabulary : BagVocabulary
    vectors : space -> vectors of all n prompts
    designs : space -> the same, prepared for its head
    n_terms : shape (n,), number of different terms of each prompt
    targets : of all n prompts
    penalties : space -> penalty of its head
    features : of all n prompts
    scale : SurfaceScale
        Of all n prompts.
    in_bank : indices of the prompts that the bank keeps, ascending
    matrix : float32 array, shape (n_bank, n_bank)
        Kernel of the bank's prompts with each other.
    partitions : ways to divide the n prompts into folds, each shape (n,)
    nearest : of each partition, how similar each prompt is to the nearest of each fold
        As of `router_model.training.fitting.kernel.compare_all`; none unless the bank keeps all prompts.
    config : EvidenceConfig
    """

    vocabulary: BagVocabulary
    vectors: dict[str, Vectors]
    designs: dict[str, Design]
    n_terms: npt.NDArray[np.int64]
    targets: Targets
    penalties: dict[str, float]
    features: PromptFeatures
    scale: SurfaceScale
    in_bank: Rows
    matrix: FloatArray
    partitions: tuple[Folds, ...]
    nearest: list[npt.NDArray[np.float64]]
    config: EvidenceConfig

    @classmethod
    def prepare(
        cls,
        features: PromptFeatures,
        targets: Targets,
        folds: Folds,
        config: EvidenceConfig,
        *others: Folds,
        in_bank: Rows | None = None,
    ) -> "EvidenceFitter":
        """Choose terms and penalties.

        Parameters
        ----------
        features, targets : of n prompts
        folds : shape (n,); the prompts of the first fold choose the penalties
        others : further ways to divide the prompts, for which `out_of_fold` is fast, too
        in_bank : indices of the prompts that the bank keeps, ascending; default: `bank_rows`
        """
        counted = features.pieces[:: -(-len(folds) // _VOCABULARY_PROMPTS)]
        vocabulary = BagVocabulary.fit(counted, min_prompts=config.min_prompts_per_term, max_terms=config.max_terms)
        bags = vocabulary.transform(features.pieces)
        vectors: dict[str, Vectors] = {"embedding": features.embedding, "bag": bags.vectors}
        some = sample_rows(len(folds), _PENALTY_PROMPTS)
        few, few_folds = targets.take(some), folds[some]
        penalties = {label: _choose_penalty(v[some], few, few_folds, config) for label, v in vectors.items()}
        scale = SurfaceScale.of(features.surface)
        kept = bank_rows(len(folds), config) if in_bank is None else in_bank
        logged_form, partitions = by_feature(scale.form(features.surface[kept])), (folds, *others)
        matrix, nearest = compare_all(
            config.kernel,
            features.embedding[kept],
            bags.vectors[kept],
            logged_form,
            [each[kept] for each in partitions] if len(kept) == len(folds) else [],
        )
        return cls(
            vocabulary=vocabulary,
            vectors=vectors,
            designs={label: Design.of(v) for label, v in vectors.items()},
            n_terms=bags.n_terms,
            targets=targets,
            penalties=penalties,
            features=features,
            scale=scale,
            in_bank=kept,
            matrix=matrix,
            partitions=partitions,
            nearest=nearest,
            config=config,
        )

    def fit(self) -> EvidenceModel:
        """Fit on all prompts."""
        return self.fit_outside(np.zeros(len(self.features), dtype=np.bool_))

    def take(self, rows: Rows) -> "EvidenceFitter":
        """Return a fitter that knows some of the prompts only, by ascending indices, with all of the bank's."""
        if len(rows) == len(self.features):
            return self
        vectors: dict[str, Vectors] = {label: v[rows] for label, v in self.vectors.items()}
        return replace(
            self,
            vectors=vectors,
            designs={label: Design.of(v) for label, v in vectors.items()},
            n_terms=self.n_terms[rows],
            targets=self.targets.take(rows),
            features=self.features.take(rows),
            in_bank=np.searchsorted(rows, self.in_bank),
            partitions=(),
            nearest=[],
        )

    def out_of_fold(self, folds: Folds, asked: Rows | None = None) -> Evidence:
        """Return the evidence for each prompt, computed from the prompts of the other folds.

        Parameters
        ----------
        folds : shape (n,)
            Random folds give the evidence of familiar prompts; folds of whole tasks give the evidence of unfamiliar
            prompts.
        asked : indices of the prompts for which evidence is computed, ascending; default: all
            In either case the evidence is learned from all prompts.
        """
        asked = np.arange(len(folds)) if asked is None else asked
        joined: Evidence | None = None
        labels = np.unique(folds[asked])
        places = [np.flatnonzero(folds[asked] == fold) for fold in labels]
        pieces = ((folds, int(fold), asked[at]) for fold, at in zip(labels, places, strict=True))
        for at, part in zip(places, spread(EvidenceFitter.evidence_from_outside, self, pieces), strict=True):
            joined = joined or _empty_like(part, len(asked))
            for whole, rows in zip(_arrays(joined), _arrays(part), strict=True):
                whole[at] = rows
        if joined is None:
            raise TrainingError("got no prompt to compute evidence for; expected at least one")
        return joined

    def evidence_from_outside(self, piece: tuple[Folds, int, Rows]) -> Evidence:
        """Return the evidence for some prompts of a fold, fitted outside it; the piece is folds, the fold, and rows."""
        folds, fold, asked = piece
        inside = folds == fold
        model = self.fit_outside(inside)
        pairs = zip(self.partitions, self.nearest, strict=False)  # nothing is near unless the bank keeps all prompts
        compared = [near for known, near in pairs if np.array_equal(known, folds)]
        if not compared:
            return self.evidence_by(model, inside, asked)
        # All prompts are in the bank, so they were compared with each other before.
        vectors = self.vectors["embedding"][asked], self.vectors["bag"][asked]
        coverage = self._coverage_from_outside(inside, asked)
        nearest = np.delete(compared[0][asked], fold, axis=1).max(axis=1, initial=-1.0)
        matrix = self.matrix[np.ix_(asked, np.flatnonzero(~inside))]
        return model.evidence_from(*vectors, matrix, familiarity=np.column_stack([nearest, coverage]))

    def evidence_by(self, model: EvidenceModel, inside: npt.NDArray[np.bool_], asked: Rows) -> Evidence:
        """Return the evidence for asked prompts by a model that was fitted on those that are not `inside`."""
        evidence = compiled(_of_evidence_alone(model)).evidence(self.features.take(asked))
        evidence.familiarity[:, FAMILIARITY.index("coverage")] = self._coverage_from_outside(inside, asked)
        return evidence

    def _coverage_from_outside(self, inside: npt.NDArray[np.bool_], asked: Rows) -> FloatArray:
        """Return the share of each asked prompt's terms that enough prompts of other folds have, shape (n_asked,)."""
        bags = sp.csr_array(self.vectors["bag"])
        n_prompts, outside = np.zeros(bags.shape[1], dtype=np.int64), np.flatnonzero(~inside)
        for start in range(0, len(outside), _ROWS_AT_ONCE):  # all at once, they would be a second bag
            n_prompts += np.bincount(bags[outside[start : start + _ROWS_AT_ONCE]].indices, minlength=bags.shape[1])
        own = bags[asked].astype(bool).astype(np.float32)
        known = (n_prompts >= self.config.min_prompts_per_term).astype(np.float32)
        return np.asarray(own @ known / np.maximum(self.n_terms[asked], 1), dtype=np.float32)

    def fit_outside(self, inside: npt.NDArray[np.bool_]) -> EvidenceModel:
        """Fit on the prompts outside a fold; `inside` is a mask of shape (n,)."""
        bank = _bank(self.targets, ~inside)
        within = np.flatnonzero(~inside[self.in_bank])  # rows of the matrix
        kept = self.in_bank[within]
        spaces = {
            label: Space.of(fit_head(self.designs[label], bank, penalty=self.penalties[label]), v[kept])
            for label, v in self.vectors.items()
        }
        logged = Bank(self.targets.outcome[kept], self.targets.weight[kept], bank.base)
        matrix = self.matrix if len(within) == len(self.matrix) else self.matrix[np.ix_(within, within)]
        penalties = self.config.kernel_penalties
        kernel = KernelHead(
            kernel=self.config.kernel,
            scale=self.scale,
            logged_form=by_feature(self.scale.form(self.features.surface[kept])),
            penalties=penalties,
            weights=fit_weights(matrix, logged, penalties, sharing=self.config.sharing),
        )
        return EvidenceModel(self.vocabulary, spaces["embedding"], spaces["bag"], logged, kernel)


def bank_rows(n: int, config: EvidenceConfig, predicted: Rows | None = None) -> Rows:
    """Return the indices of those of `n` training prompts that `EvidenceFitter.fit` keeps in the bank, in its order.

    Prompts that are `predicted` out of fold are not among them if there are enough others: the bank then stays whole
    while they are left out.

    >>> bank_rows(6, EvidenceConfig(max_bank=3), np.array([0, 2, 4])).tolist()
    [1, 3, 5]
    """
    others = np.arange(n) if predicted is None else np.setdiff1d(np.arange(n), predicted)
    return (
        others[sample_rows(len(others), config.max_bank)]
        if len(others) >= config.max_bank
        else sample_rows(n, config.max_bank)
    )


def _of_evidence_alone(model: EvidenceModel) -> Predictor:
    """Return a predictor whose other parts say nothing, because compiled code reads whole predictors."""
    n_models, _ = model.bank.base.shape
    zeros = np.zeros((n_models, 1), dtype=np.float32)
    members = ("record", *model.names, "booster")
    quantiles = np.zeros((n_models, len(QUANTILES)), dtype=np.float32)
    return Predictor(
        models=tuple(map(str, range(n_models))),
        grid=BarGrid(np.ones(1, dtype=np.float32), 0.0, 1.0, stepwise=True),
        evidence_model=model,
        boosters=(),
        blend=Blend(members, np.full(len(members), 1 / len(members), dtype=np.float32)),
        calibration=Calibration(np.ones((4, 1), np.float32), zeros, np.zeros(1 + len(FAMILIARITY), np.float32)),
        uncertainty=Uncertainty(0.0, 0.0, 0.0, 1.0, 0.0),
        amounts={"output_tokens": AmountModel((), zeros[:, 0], quantiles, np.ones(n_models, np.float32))},
    )


def _bank(targets: Targets, learned: npt.NDArray[np.bool_]) -> Bank:
    """Return the outcomes of all n prompts, with weight 0 where they are not learned from; `learned` has shape (n,)."""
    weight = targets.weight * learned[:, None, None]
    return Bank(targets.outcome, weight, overall_record(targets.outcome, weight, targets.prior))


def _arrays(evidence: Evidence) -> tuple[FloatArray, FloatArray, FloatArray]:
    return evidence.values, evidence.record, evidence.familiarity


def _empty_like(part: Evidence, n: int) -> Evidence:
    """Return empty arrays for the evidence of n prompts; joining the folds' arrays would need twice the memory."""
    return Evidence(part.names, *(np.empty((n, *array.shape[1:]), array.dtype) for array in _arrays(part)))


def _choose_penalty(vectors: Vectors, targets: Targets, folds: npt.NDArray[np.int64], config: EvidenceConfig) -> float:
    """Return the penalty with the least weighted squared error on one held-out fold."""
    held_out = folds == folds.min()
    inside, design = np.flatnonzero(held_out), Design.of(vectors)
    bank = _bank(targets, ~held_out)
    errors = []
    for penalty in config.head_penalties:
        score = fit_head(design, bank, penalty=penalty).score(vectors[inside])
        error = (score - targets.outcome[inside]) ** 2
        errors.append(float((targets.weight[inside] * error)[:, :, : targets.n_bars].sum()))
    return config.head_penalties[int(np.argmin(errors))]
