"""A predictor that answers a few prompts by compiled code, and many by `router_model.prediction.predictor`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.features.bag import Terms
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.compiled.columns import PairColumns
from router_model.prediction.compiled.evidence import PromptEvidence, PromptEvidenceModel
from router_model.prediction.compiled.forest import Forest
from router_model.prediction.compiled.probabilities import Amount, ProbabilityModel, PromptAmounts, PromptUncertainty
from router_model.prediction.predictor import Prediction, Predictor, first_kernel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

FEW = 8
"""From this number of prompts on, plain matrix products are faster, because prompts share their work."""


class _Target(NamedTuple):
    """The boosters and the quantiles that predict one amount."""

    forest: Forest | None
    targets: IntArray
    amounts: PromptAmounts


@dataclass(frozen=True, slots=True)
class PromptPredictor:
    """A predictor laid out for one prompt at a time."""

    evidence: PromptEvidenceModel
    columns: PairColumns
    success: Forest
    bars: IntArray
    probability: ProbabilityModel
    mean_weights: tuple[np.float32, FloatArray]
    uncertainty: PromptUncertainty
    amounts: Mapping[str, _Target]

    @classmethod
    def of(cls, predictor: Predictor) -> "PromptPredictor":
        """Lay out a predictor.

        Raises
        ------
        NotCompilableError
        """
        n_bars, model = len(predictor.grid), predictor.evidence_model
        record = np.array(model.bank.base, dtype=np.float32, order="C")
        has_length = record.shape[1] > n_bars
        amounts = {
            name: _Target(
                Forest.of(amount.boosters) if amount.boosters else None,
                np.array([n_bars + position]),
                PromptAmounts.of(amount),
            )
            for position, (name, amount) in enumerate(predictor.amounts.items())
        }
        return cls(
            evidence=PromptEvidenceModel.of(model),
            columns=PairColumns(
                record, np.array(predictor.grid.bars, dtype=np.float32), first_kernel(model.names) if has_length else -1
            ),
            success=Forest.of(predictor.boosters),
            bars=np.arange(n_bars),
            probability=ProbabilityModel.of(record[:, :n_bars], predictor.blend, predictor.calibration),
            mean_weights=predictor.grid.mean_weights(),
            uncertainty=PromptUncertainty.of(predictor.uncertainty),
            amounts=amounts,
        )

    def predict(
        self, embedding: FloatArray, pieces: IntArray, surface: FloatArray
    ) -> tuple[PromptEvidence, FloatArray, float, dict[str, Amount]]:
        """Return the evidence, probabilities of shape (n_models, n_bars), the trust in them, and every amount."""
        evidence = self.evidence.evidence(embedding, pieces, surface)
        scores = self.success.mean_score(self.columns.lay(evidence, surface, self.bars))
        p, trust = self.probability.calibrate(evidence, scores)
        return evidence, p, trust, {name: self._amount(name, evidence, surface) for name in self.amounts}

    def _amount(self, name: str, evidence: PromptEvidence, surface: FloatArray) -> Amount:
        forest, targets, amounts = self.amounts[name]
        if forest is None:
            return amounts.amount(np.zeros(len(evidence.values)))
        return amounts.amount(forest.mean_score(self.columns.lay(evidence, surface, targets)))


@dataclass(frozen=True, slots=True)
class CompiledPredictor(Predictor):
    """A predictor that answers fewer than `FEW` prompts by compiled code.

    Attributes
    ----------
    prompt : PromptPredictor
        Compiled from the other fields; compiled again if one of them is replaced.
    """

    prompt: PromptPredictor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", PromptPredictor.of(self))

    @classmethod
    def of(cls, predictor: Predictor) -> "CompiledPredictor":
        """Compile a predictor; the first one in a process takes seconds if no machine code is cached.

        Raises
        ------
        NotCompilableError
        """
        made = cls(**{each.name: getattr(predictor, each.name) for each in fields(Predictor)})
        made._warm_up()
        return made

    def predict(self, features: PromptFeatures, *, quality_bar: float) -> Prediction:
        """Predict success at one bar, and output tokens; see `Predictor.predict`.

        Raises
        ------
        RequestError
            If no logged answer reached the bar.
        """
        pieces = [one for one in features.pieces if not isinstance(one, Terms)]
        if not 0 < len(features) < FEW or len(pieces) < len(features):
            return Predictor.predict(self, features, quality_bar=quality_bar)
        self.grid.check(quality_bar)
        parts = [self._predict_one(features, row, pieces[row], quality_bar) for row in range(len(features))]
        return parts[0] if len(parts) == 1 else _stacked(parts)

    def _predict_one(self, features: PromptFeatures, row: int, pieces: IntArray, quality_bar: float) -> Prediction:
        # copies, because numba compiles again for every memory layout and for read-only arrays
        evidence, p, trust, amounts = self.prompt.predict(
            np.array(features.embedding[row], dtype=np.float32),
            pieces,
            np.array(features.surface[row, : len(self.prompt.evidence.scale.centre)], dtype=np.float32),
        )
        p_at_bar = np.array(self.grid.at(p, quality_bar), dtype=np.float32)
        constant, weights = self.prompt.mean_weights
        tokens, latency = amounts["output_tokens"], amounts.get("latency_s")
        return Prediction(
            p_success=p_at_bar[None],
            expected_quality=(constant + p @ weights)[None],
            output_tokens=tokens.expected[None],
            output_token_quantiles=tokens.quantiles[None],
            latency_s=None if latency is None else latency.expected[None],
            familiarity=evidence.familiarity[None],
            trust=np.array([trust], dtype=np.float32),
            p_interval=self.prompt.uncertainty.interval(p_at_bar, trust)[None],
        )

    def _warm_up(self) -> None:
        """Predict an empty prompt, so that all functions are compiled now and not in the first request."""
        evidence = self.evidence_model
        none = np.zeros(0, dtype=np.int64)
        empty = PromptFeatures(
            embedding=np.zeros((1, len(evidence.embedding.head.weights)), dtype=np.float32),
            surface=np.zeros((1, len(evidence.kernel.scale.centre)), dtype=np.float32),
            pieces=[none],
            n_input_tokens=np.zeros(1),
            n_images=np.zeros(1),
            max_output_tokens=np.full(1, np.inf),
        )
        self._predict_one(empty, 0, none, self.grid.high)


def _stacked(parts: list[Prediction]) -> Prediction:
    columns: dict[str, list[Any]] = {
        each.name: [getattr(part, each.name) for part in parts] for each in fields(Prediction)
    }
    stacked: dict[str, Any] = {
        name: None if column[0] is None else np.concatenate(column) for name, column in columns.items()
    }
    return Prediction(**stacked)
