"""Collect the outcomes of a new model together with the outcomes, known or expected, of the known models."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog, ModelCard
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.bars import succeeds
from router_model.prediction.evidence import EvidenceModel, Space
from router_model.prediction.predictor import Predictor
from router_model.prediction.similarity import Vectors, nearest_rows, similarities
from router_model.training.new_model.carry_over import Likeness
from router_model.training.table.costs import fill_tokens
from router_model.training.table.outcomes import Outcomes

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

_N_NEAREST = 100  # number of similar prompts in the bank from which an outcome is expected
_SHARPNESS = 10.0  # sharpness of their weights exp(sharpness * similarity)
_PRIOR_WEIGHT = 1.0  # pseudo-observations of the mean over the bank
_SAME = 1 - 1e-5  # two prompts are the same from this cosine similarity on, in both spaces


@dataclass(frozen=True, slots=True)
class Answers:
    """The outcomes of the new model on k prompts, with those of the known models.

    Attributes
    ----------
    features : features of the prompts
    outcome : float64 array, shape (k, n_targets)
        1 or 0 for each bar; ``log(1 + amount)`` for each learned amount. NaN if unknown.
    expected : float64 array, shape (k, n_models, n_targets)
        Expected outcomes of the known models, without using their outcomes on these prompts.
    others : float64 array, shape (k, n_models, n_targets)
        Outcomes of the known models; the expected one if unknown.
    bank_rows : k arrays
        The rows of the bank with this prompt: none, one, or several with the same text.
    likeness : similarity of the prompts with each other, and of the bank's prompts with them
    """

    features: PromptFeatures
    outcome: Float64Array
    expected: Float64Array
    others: Float64Array
    bank_rows: list[Rows]
    likeness: Likeness

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Rows) -> "Answers":
        """Return the answers to some prompts."""
        bank_rows = [self.bank_rows[row] for row in rows]
        return Answers(
            features=self.features.take(rows),
            outcome=self.outcome[rows],
            expected=self.expected[rows],
            others=self.others[rows],
            bank_rows=bank_rows,
            likeness=self.likeness.take(rows),
        )


def answers_of(
    predictor: Predictor, graded: Outcomes, features: PromptFeatures, *, seen: BoolArray, card: ModelCard
) -> Answers:
    """Collect the outcomes of the new model, and those known or expected of the other models.

    Parameters
    ----------
    graded : the new model's outcomes on k prompts
    seen : shape (k,)
        Whether the router was trained on a prompt; only then can it be in the bank.
    """
    filled = fill_tokens(graded, Catalog({card.model: card}), features.n_input_tokens)
    met = [succeeds(filled.quality[:, 0], bar) for bar in predictor.grid.bars]
    logs = [np.log1p(getattr(filled, name)[:, 0]) for name in learned_amounts(predictor)]
    bank_rows = find_in_bank(predictor.evidence_model, features, seen)
    expected = expected_outcomes(predictor, features)
    others = expected.copy()
    inside = np.flatnonzero([len(rows) > 0 for rows in bank_rows])
    if len(inside):
        known = bank_outcomes(predictor.evidence_model)
        rows_inside = [bank_rows[prompt] for prompt in inside]
        expected[inside] = _from_neighbours(predictor.evidence_model, features.take(inside), rows_inside, known)
        others[inside] = np.stack([known[rows].mean(axis=0) for rows in rows_inside])
    outcome = np.stack([*met, *logs], axis=1).astype(np.float64)
    return Answers(features, outcome, expected, others, bank_rows, _likeness(predictor.evidence_model, features))


def _likeness(model: EvidenceModel, features: PromptFeatures) -> Likeness:
    """Return the mean cosine similarity over both spaces."""
    bags: Any = model.vocabulary.transform(features.pieces).vectors
    within = (similarities(features.embedding, features.embedding.T) + similarities(bags, bags.T)) / 2
    embedding, bag = model.embedding.index, model.bag.index
    to_bank = (similarities(features.embedding, embedding) + similarities(bags, bag)) / 2
    return Likeness(within, to_bank.T)


def _from_neighbours(
    model: EvidenceModel, features: PromptFeatures, itself: list[Rows], known: Float64Array
) -> Float64Array:
    """Return the mean outcome of the prompts in the bank nearest to each prompt in either space, without itself.

    The router's own predictions cannot be used, because it was trained on these prompts.
    """
    bags = model.vocabulary.transform(features.pieces).vectors
    means = []
    for space, queries in ((model.embedding, features.embedding), (model.bag, bags)):
        similarity = similarities(queries, space.index)
        for prompt, rows in enumerate(itself):
            similarity[prompt, rows] = -1.0
        nearest, value = nearest_rows(similarity, _N_NEAREST)
        kernel = np.exp(_SHARPNESS * (value - value[:, :1]))
        total = np.einsum("kj,kjmt->kmt", kernel, known[nearest]) + _PRIOR_WEIGHT * known.mean(axis=0)
        means.append(total / (kernel.sum(axis=1) + _PRIOR_WEIGHT)[:, None, None])
    return np.asarray(np.mean(means, axis=0))


def find_in_bank(model: EvidenceModel, features: PromptFeatures, seen: BoolArray) -> list[Rows]:
    """Return for each prompt the rows of the bank with the same prompt.

    An artifact holds no texts. A prompt is in the bank if the hash of its text is among the training prompts, and both
    its vectors equal those of a prompt in the bank.
    """
    found = [np.empty(0, dtype=np.intp)] * len(features)
    rows = np.flatnonzero(seen)
    if len(rows):
        queries = features.take(rows)
        bags = model.vocabulary.transform(queries.pieces).vectors
        alike = similarities(queries.embedding, model.embedding.index) >= _SAME
        alike &= similarities(bags, model.bag.index) >= _SAME
        for row, matches in zip(rows, alike, strict=True):
            found[row] = np.flatnonzero(matches)
    return found


def expected_outcomes(predictor: Predictor, features: PromptFeatures) -> Float64Array:
    """Return the expected outcomes of the known models on k prompts, shape (k, n_models, n_targets)."""
    bars = [predictor.predict(features, quality_bar=float(bar)) for bar in predictor.grid.bars]
    layers = [prediction.p_success.astype(np.float64) for prediction in bars]
    expected = {"output_tokens": bars[0].output_tokens, "latency_s": bars[0].latency_s}
    for name in learned_amounts(predictor):
        amount = predictor.amounts[name]
        layers.append(np.log1p(np.asarray(expected[name], dtype=np.float64) / amount.smearing) - amount.mean_log)
    return np.stack(layers, axis=2)


def bank_vectors(space: Space) -> Vectors:
    """Return the vectors of the bank's prompts, shape (n_bank, dimension)."""
    by_prompt: Any = space.index.T
    return by_prompt.tocsr() if hasattr(by_prompt, "tocsr") else by_prompt  # type: ignore[no-any-return]


def bank_outcomes(model: EvidenceModel) -> Float64Array:
    """Return the known models' outcomes on the bank's prompts; unknown ones are predicted by their heads."""
    bank = model.bank
    known = bank.weight > 0
    if known.all():
        return bank.outcome.astype(np.float64)
    scores = [space.head.score(bank_vectors(space)) for space in (model.embedding, model.bag)]
    return np.where(known, bank.outcome, np.mean(scores, axis=0)).astype(np.float64)


def learned_amounts(predictor: Predictor) -> list[str]:
    """Return the names of the amounts that are targets."""
    return [name for name, amount in predictor.amounts.items() if amount.boosters]
