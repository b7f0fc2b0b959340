r"""Split a predicted probability of success into contributions that add up to its log odds.

A predictor is a chain of steps. Boosters and simpler members are averaged as probabilities (the blend). Then the log
odds of the average are corrected part by part (the calibration). The split follows each step exactly. Steps that are
not linear are handled by one idea: between a start :math:`x_0` and an end :math:`x`, a function changes by the slope
:math:`s` of its *chord* times the distance, :math:`f(x) - f(x_0) = s\,(x - x_0)`. If the distance is a sum of
contributions, each of them is scaled by the same slope, and they still add up. Each distance starts at the model's
record: with its success rate :math:`r_k` at the bar and :math:`R_k = logit(r_k)`,

1. the boosters' mean score is :math:`z_k = bias + \sum_c \phi_{kc}` over their columns c (TreeSHAP values; Lundberg et
   al. 2020), and :math:`\sigma(z_k) - r_k = s_k (z_k - R_k)`;
2. the blend is :math:`q_k = \sum_j w_j x_{kj}` and changes by :math:`q_k - r_k = \sum_j w_j (x_{kj} - r_k)`: the share
   of a simpler member is credited to its own column, that of the boosters to their columns, as in 1;
3. the log odds change by :math:`C_k = logit(q_k) - R_k = t_k (q_k - r_k)`;
4. the calibration of model m is :math:`logit(p) = a_0 + b_m + a_1 R_m + a_2 \bar C + a_3 \tau (C_m - \bar C)`, with
   the mean over models :math:`\bar C` and the trust :math:`\tau` (`router_model.prediction.calibration`). A column's
   *difficulty* is its share of the third term, its *edge* that of the fourth; ``calibration`` is :math:`a_0 + b_m +
   (a_1 - 1) R_m`.

If a bar lies between two learned bars, its probability is a mean of theirs, and the two splits are joined by chords
once more. If a higher bar was predicted more likely than a lower one, it is answered like the lower one, and the lower
one is explained. As in every additive explanation of a curved function, the meaning of each share is a convention. That
the shares add up is exact.

The trees are shared by all models. So their bias belongs to the average pair of prompt and model, and is not the
model's record. If a model is much better or worse than average, the source ``record`` takes back most of that
difference, and evidence that merely confirms the record is credited with it. So compare two models, or two prompts,
rather than read one number alone.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.special import logit as log_odds

from router_model.explanation_records import Contribution, SuccessExplanation, SurfaceContribution
from router_model.features.featuriser import PromptFeatures
from router_model.features.request import FORM_MEANINGS, FORM_NAMES
from router_model.prediction.calibration import P_FLOOR
from router_model.prediction.evidence import Evidence
from router_model.prediction.predictor import Predictor, member_probabilities, pair_names, pair_rows

Float64Array = npt.NDArray[np.float64]

SOURCES = ("record", "similar_prompts", "learned_scores", "difficulty", "familiarity", "surface")
"""The sources of contributions: the trees' use of the model's record (and the bar), outcomes of similar logged prompts,
linear scores of the prompt's topic and wording, the mean of these over all models, the similarity of the prompt to
logged ones, and its surface features."""

N_SURFACE = 3
"""Number of surface features that an explanation names."""

_NEAR = 1e-9  # for a shorter chord, the tangent is used
_EDGE = 1e-6  # records are kept this far inside (0, 1), as `router_model.prediction.calibration.logit` does


def source_of(column: str) -> str:
    """Return the source of evidence that a booster column belongs to (`router_model.prediction.predictor.pair_names`).

    >>> [source_of(column) for column in ("bag_head_edge", "kernel_2", "bag_head_difficulty", "log_chars")]
    ['learned_scores', 'similar_prompts', 'difficulty', 'surface']
    """
    if column in ("record", "quality_bar"):
        return "record"
    if column in FORM_MEANINGS:
        return "surface"
    if column.startswith("familiarity_"):
        return "familiarity"
    if column.endswith("_difficulty"):
        return "difficulty"
    return "similar_prompts" if column.startswith("kernel_") else "learned_scores"


def explain_success(
    predictor: Predictor, features: PromptFeatures, columns: Sequence[int], *, quality_bar: float
) -> list[SuccessExplanation | None]:
    """Explain the probabilities that some models meet the bar on one prompt.

    Parameters
    ----------
    features : of a single prompt
    columns : of the models, in the order of the predictor's

    Returns
    -------
    list with one explanation for each column; None if every logged answer meets the bar, so that nothing was predicted
    """
    chain = _Chain(predictor, features)
    return [chain.explain(column, quality_bar) for column in columns]


class _Chain:
    """The chain of steps from columns to probabilities, for one prompt."""

    def __init__(self, predictor: Predictor, features: PromptFeatures) -> None:
        self.predictor = predictor
        self.features = features
        self.evidence: Evidence = predictor.evidence_model.evidence(features)
        self.surface = predictor.evidence_model.surface_of(features)
        n_bars, n_surface = len(predictor.grid), self.surface.shape[1]
        self.names = pair_names(
            self.evidence.names, FORM_NAMES[:n_surface], n_bars=n_bars, n_targets=self.evidence.values.shape[2]
        )
        members = member_probabilities(self.evidence, predictor.boosted(self.evidence, features))
        calibration, record = predictor.calibration, self.evidence.record[:, :, :n_bars]
        blended = predictor.blend.combine(members)
        trust = calibration.trust(self.evidence.familiarity, features.log_chars)
        corrected = calibration.correct(blended, record, trust)
        self.members = members[0].astype(np.float64)  # (n_models, n_bars, n_members)
        self.record = np.clip(record[0].astype(np.float64), _EDGE, 1 - _EDGE)  # (n_models, n_bars)
        self.blended = blended[0].astype(np.float64)
        self.corrected = corrected[0].astype(np.float64)
        self.trust = float(trust[0])
        self.changes = cache(self._changes)  # models share the bars, and splitting the trees' scores is slow

    def explain(self, column: int, quality_bar: float) -> SuccessExplanation | None:
        """Combine the splits of the learned bars that answer `quality_bar`."""
        grid = self.predictor.grid
        p = float(grid.at(self.corrected[column].astype(np.float32), quality_bar))
        # Whatever the interpolation, the answer is linear in the learned bars' probabilities; these are their shares.
        constant = grid.at(np.zeros(len(grid), dtype=np.float32), quality_bar)
        shares = grid.at(np.eye(len(grid), dtype=np.float32), quality_bar) - constant
        if not shares.any():
            return None
        record = float(constant + shares @ self.record[column])
        joint = _logit_chord(record, p)
        calibration, parts = 0.0, np.zeros((2, len(self.names)))
        for bar in np.flatnonzero(shares).tolist():
            start, end = self.record[column, bar], self.corrected[column, bar]
            weight = joint * shares[bar] / _logit_chord(start, end)
            of_bar, columns = self._bar_parts(column, bar)
            calibration += weight * of_bar
            parts += weight * columns
        return SuccessExplanation(
            model=self.predictor.models[column],
            p_success=p,
            log_odds=float(log_odds(p)),
            record=record,
            record_log_odds=float(log_odds(record)),
            calibration=float(calibration),
            contributions=self._grouped(parts),
            surface=self._strongest_surface(parts.sum(axis=0)),
        )

    def _bar_parts(self, column: int, bar: int) -> tuple[float, Float64Array]:
        """Return what calibration adds to the record, and the columns' difficulty and edge, shape (2, n_columns)."""
        answered = int(np.argmax(self.corrected[column] <= self.corrected[column, bar]))  # the first bar as unlikely
        constant, record_slope, difficulty_slope, edge_slope = self.predictor.calibration.slopes[:, answered].tolist()
        start = float(log_odds(self.record[column, answered]))
        changes = self.changes(answered)
        mean = changes.mean(axis=0)
        parts = np.stack([difficulty_slope * mean, edge_slope * self.trust * (changes[column] - mean)])
        constant += float(self.predictor.calibration.model_intercept[column, answered])
        return constant + record_slope * start - float(log_odds(self.record[column, bar])), parts

    def _changes(self, bar: int) -> Float64Array:
        """Return how much each column changes every model's blended log odds at a bar, shape (n_models, n_columns)."""
        predictor, record, weights = (
            self.predictor,
            self.record[:, bar],
            self.predictor.blend.weights.astype(np.float64),
        )
        rows = pair_rows(self.evidence, self.surface, predictor.grid.bars, targets=[bar])
        taken = [booster.predict(rows, pred_contrib=True, num_threads=1) for booster in predictor.boosters]
        contributions = np.mean(taken, axis=0)  # the last column is the bias
        slope = 1 / _logit_chord(record, expit(contributions.sum(axis=1)))
        changes = weights[-1] * slope[:, None] * contributions[:, :-1]
        members = np.clip(self.members[:, bar], P_FLOOR, 1 - P_FLOOR)
        for member, name in enumerate(self.evidence.names, start=1):
            changes[:, self.names.index(name)] += weights[member] * (members[:, member] - record)
        # The rest belongs to the record: its own share of the blend, the boosters' bias, and the floor of members.
        blended = self.blended[:, bar]
        changes[:, self.names.index("record")] += blended - record - changes.sum(axis=1)
        return np.asarray(changes * _logit_chord(record, blended)[:, None])

    def _grouped(self, parts: Float64Array) -> tuple[Contribution, ...]:
        sources = np.array([source_of(name) for name in self.names])
        sums = {source: parts[:, sources == source].sum(axis=1).tolist() for source in SOURCES}
        return tuple(
            Contribution(source, difficulty + edge, difficulty, edge) for source, (difficulty, edge) in sums.items()
        )

    def _strongest_surface(self, total: Float64Array) -> tuple[SurfaceContribution, ...]:
        by_feature = total[-self.surface.shape[1] :]
        strongest = np.argsort(-np.abs(by_feature), kind="stable")[:N_SURFACE].tolist()
        return tuple(
            SurfaceContribution(
                name=FORM_NAMES[feature],
                meaning=FORM_MEANINGS[FORM_NAMES[feature]],
                value=float(self.surface[0, feature]),
                log_odds=float(by_feature[feature]),
            )
            for feature in strongest
            if by_feature[feature]
        )


def _logit_chord(start: npt.ArrayLike, end: npt.ArrayLike) -> Float64Array:
    """Return the slope of the log odds between two probabilities; if they are equal, the slope of the tangent.

    >>> float(_logit_chord(0.5, 0.5)), round(float(_logit_chord(0.5, 0.9)), 3)
    (4.0, 5.493)
    """
    low, high = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    way = high - low
    near = np.abs(way) < _NEAR
    middle = (low + high) / 2
    tangent = 1 / (middle * (1 - middle))
    return np.asarray(np.where(near, tangent, (log_odds(high) - log_odds(low)) / np.where(near, 1.0, way)))
