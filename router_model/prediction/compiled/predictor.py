"""A predictor whose predictions the extension module computes, the same as `router_model.prediction.predictor`."""

import math
from dataclasses import dataclass, field, fields
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from router_model.features.bag import Terms
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.compiled import _native
from router_model.prediction.compiled.forest import forest_arrays
from router_model.prediction.compiled.layout import predictor_arrays, shared_columns
from router_model.prediction.evidence import FAMILIARITY, Evidence
from router_model.prediction.predictor import Prediction, Predictor
from router_model.prediction.threads import in_parallel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_CHUNK = 64  # prompts that one thread predicts at once


@dataclass(frozen=True, slots=True, repr=False)
class CompiledPredictor(Predictor):
    """A predictor that compiled code answers for; prompts that were logged without their order of pieces excepted.

    Attributes
    ----------
    processor : one of `_native.PROCESSORS`, the kinds of processors that this one can stand in for, the fastest first
    """

    processor: str = _native.PROCESSORS[0]
    native: _native.Predictor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shared = shared_columns(self)
        forests = [
            _native.Forest(forest_arrays(boosters, shared=shared)) if boosters else None
            for boosters in (self.boosters, *(amount.boosters for amount in self.amounts.values()))
        ]
        native = _native.Predictor(predictor_arrays(self), tuple(forests), self.processor)
        object.__setattr__(self, "native", native)

    @classmethod
    def of(cls, predictor: Predictor, processor: str = _native.PROCESSORS[0]) -> "CompiledPredictor":
        """Lay out a predictor.

        Raises
        ------
        NotCompilableError
        """
        return cls(**{each.name: getattr(predictor, each.name) for each in fields(Predictor)}, processor=processor)

    def by_numpy(self) -> Predictor:
        """Return the reference, which says the same."""
        return Predictor(**{each.name: getattr(self, each.name) for each in fields(Predictor)})

    def predict(self, features: PromptFeatures, *, quality_bar: float) -> Prediction:
        """Predict success at one bar, and output tokens; see `Predictor.predict`.

        Raises
        ------
        RequestError
            If no logged answer reached the bar.
        """
        if _some_are_terms(features):
            return Predictor.predict(self, features, quality_bar=quality_bar)
        self.grid.check(quality_bar)
        out = np.empty((len(features), len(self.models) * (4 + 4 * len(self.amounts)) + 4), dtype=np.float32)
        below, above, share = self.grid.between(quality_bar)

        def fill(start: int) -> None:
            rows = slice(start, start + _CHUNK)
            self.native.predict(*_laid(features, rows), out[rows], below, above, float(share))

        in_parallel(fill, range(0, len(features), _CHUNK))
        return self._prediction(out)

    def evidence(self, features: PromptFeatures) -> Evidence:
        """Collect the evidence for prompts; see `router_model.prediction.evidence.EvidenceModel.evidence`."""
        if _some_are_terms(features):
            return Predictor.evidence(self, features)
        n, base, names = len(features), self.evidence_model.bank.base, self.evidence_model.names
        values = np.empty((n, *base.shape, len(names)), dtype=np.float32)
        familiarity = np.empty((n, len(FAMILIARITY)), dtype=np.float32)

        def fill(start: int) -> None:
            rows = slice(start, min(start + _CHUNK, n))
            shape = (rows.stop - start, *values.shape[1:])
            out = np.empty((shape[0], math.prod(shape[1:]) + len(FAMILIARITY)), dtype=np.float32)
            self.native.evidence(*_laid(features, rows), out)
            of_values, of_familiarity = np.split(out.ravel(), [math.prod(shape)])
            values[rows], familiarity[rows] = of_values.reshape(shape), of_familiarity.reshape(len(out), -1)

        in_parallel(fill, range(0, n, _CHUNK))
        return Evidence(names, values, np.broadcast_to(base, (n, *base.shape)), familiarity)

    def _prediction(self, out: FloatArray) -> Prediction:
        """Take the numbers of each prompt apart, in the order in which ``native/probabilities.c`` writes them."""
        n, m = len(out), len(self.models)
        amounts = {name: out[:, m * (4 + 4 * place) : m * (8 + 4 * place)] for place, name in enumerate(self.amounts)}
        tokens, latency = amounts["output_tokens"], amounts.get("latency_s")
        return Prediction(
            p_success=out[:, :m],
            expected_quality=out[:, m : 2 * m],
            p_interval=out[:, 2 * m : 4 * m].reshape(n, m, 2),
            output_tokens=tokens[:, :m],
            output_token_quantiles=tokens[:, m:].reshape(n, m, 3),
            latency_s=None if latency is None else latency[:, :m],
            familiarity=out[:, -4:-1],
            trust=out[:, -1],
        )


def _some_are_terms(features: PromptFeatures) -> bool:
    return any(isinstance(one, Terms) for one in features.pieces)


def _laid(features: PromptFeatures, rows: slice) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return some prompts' pieces, one after the other, where each prompt's begin, embeddings and surface features."""
    pieces = [one for one in features.pieces[rows] if not isinstance(one, Terms)]  # callers saw to it that none is
    together = pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, np.empty(0, np.int64)])
    starts = np.array([0, *accumulate(map(len, pieces))], dtype=np.int64)
    return (
        np.ascontiguousarray(together, dtype=np.int64),
        starts,
        np.ascontiguousarray(features.embedding[rows], dtype=np.float32),
        np.ascontiguousarray(features.surface[rows], dtype=np.float32),
    )
