"""Change the models of a trained router without training it again: add one, remove one, or announce one.

The boosters and the blend do not know models by name, so adding or removing a model adds or removes columns of arrays.
Certificates and metrics were measured with the old set of models. They are not true for the new set, so they are
dropped. The operating point says what a success is worth, which does not depend on the models, so it stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.errors import ArtifactError
from router_model.prediction.amounts import AmountModel
from router_model.prediction.evidence import Bank, EvidenceModel, LinearHead, Space
from router_model.prediction.predictor import Predictor
from router_model.saved.artifact import Artifact
from router_model.spend_curve import SpendCurve

MIN_MODELS = 2
"""A router with fewer models would have no choice."""

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Edit = Callable[[Array, Array, int], Array]
"""A function of a predictor's array, the same array of another one, and the position of the model axis."""


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """All arrays of a predictor for one model, with a model axis of length 1.

    Attributes
    ----------
    embedding_head, bag_head : LinearHead
    bank : Bank
        Aligned with the predictor's bank prompts.
    kernel_weights : float32 array, shape (n_bank, 1, n_targets, n_penalties)
    amounts : amount -> AmountModel
        Their boosters are ignored, because all models share the predictor's boosters.
    tokens_per_piece : float
    level : float32 array, shape (1, n_bars)
        The calibration's intercept of the model; 0 for a new one.
    """

    embedding_head: LinearHead
    bag_head: LinearHead
    bank: Bank
    kernel_weights: Array
    amounts: Mapping[str, AmountModel]
    tokens_per_piece: float
    level: Array


def with_column(predictor: Predictor, model: str, column: ModelColumn) -> Predictor:
    """Return a predictor with one more model, in the last place."""

    def append(array: Array, part: Array, axis: int) -> Array:
        return np.concatenate([array, part], axis=axis)

    return replace(_edited(predictor, append, column), models=(*predictor.models, model))


def take_columns(predictor: Predictor, columns: Sequence[int]) -> Predictor:
    """Return a predictor of the models in these columns, in this order; a column may be taken again."""

    def take(array: Array, _: Array, axis: int) -> Array:
        return np.take(array, columns, axis=axis)

    evidence = predictor.evidence_model
    itself = ModelColumn(
        evidence.embedding.head,
        evidence.bag.head,
        evidence.bank,
        evidence.kernel.weights,
        predictor.amounts,
        tokens_per_piece=1.0,
        level=predictor.calibration.model_intercept,
    )
    models = tuple(predictor.models[column] for column in columns)
    return replace(_edited(predictor, take, itself), models=models)


def without_column(predictor: Predictor, model: str) -> Predictor:
    """Return a predictor without `model`."""
    return take_columns(predictor, [column for column, name in enumerate(predictor.models) if name != model])


def append_model(
    artifact: Artifact,
    card: ModelCard,
    column: ModelColumn,
    *,
    spend_curve: SpendCurve | None,
    change: Mapping[str, Any],
) -> Artifact:
    """Return an artifact with one more candidate.

    Parameters
    ----------
    spend_curve : measured with the new set of models
    change : facts to record about the change, in addition to the model's id; see `recorded`
    """
    changed = replace(
        artifact,
        predictor=with_column(artifact.predictor, card.model, column),
        catalog=Catalog({**artifact.catalog.cards, card.model: card}),
        tokens_per_piece=np.append(artifact.tokens_per_piece, column.tokens_per_piece),
        reference=None if artifact.reference is None else artifact.reference.with_level(_level_of(artifact, column)),
        spend_curve=spend_curve,
        certificates=(),
        metrics={},
    )
    return recorded(changed, {"added": card.model, **change})


def _level_of(artifact: Artifact, column: ModelColumn) -> float:
    """Return the log odds of a new model's mean quality, from its records at all bars."""
    grid = artifact.predictor.grid
    return float(log_odds_of(grid.mean(column.bank.base[0, : len(grid)])))


def announce_model(artifact: Artifact, card: ModelCard) -> Artifact:
    """Return an artifact with a model that has a card and no outcomes.

    It is a candidate if the card tells its level (`ModelCard.says_level`); with a price alone it is listed and never
    chosen.
    """
    changed = replace(artifact, catalog=Catalog({**artifact.catalog.cards, card.model: card}))
    return recorded(changed, {"announced": card.model})


def remove_model(artifact: Artifact, model: str) -> Artifact:
    """Return an artifact without one of its models; nothing is retrained.

    Raises
    ------
    ArtifactError
        If the model does not exist, or fewer than `MIN_MODELS` candidates would be left.
    """
    left = Catalog({name: card for name, card in artifact.catalog.cards.items() if name != model})
    predictor = artifact.predictor
    if model not in predictor.models:
        if model not in artifact.catalog:
            raise ArtifactError(f"there is no model {model!r} to remove; the router has {', '.join(predictor.models)}")
        return recorded(replace(artifact, catalog=left), {"removed": model})
    if len(predictor.models) <= MIN_MODELS:
        raise ArtifactError(
            f"{model} is one of the last {len(predictor.models)} models ({', '.join(predictor.models)}); at least "
            f"{MIN_MODELS} must stay, so add another one first (router-model add-model)"
        )
    changed = replace(
        artifact,
        predictor=without_column(predictor, model),
        catalog=left,
        tokens_per_piece=np.delete(artifact.tokens_per_piece, predictor.models.index(model)),
        reference=None if artifact.reference is None else artifact.reference.without(predictor.models.index(model)),
        safe_model=None if artifact.safe_model == model else artifact.safe_model,
        spend_curve=None,  # it was measured on training prompts, which an artifact does not hold
        certificates=(),
        metrics={},
    )
    return recorded(changed, {"removed": model})


def graded_prompts_of_added(artifact: Artifact) -> dict[str, int]:
    """Return each model that was added after training, with the number of graded prompts it was added from.

    In the bank, such a model has an outcome for every prompt. Most of them are predicted from the other models'
    outcomes.
    """
    changes = [change for change in artifact.provenance.get("changes", []) if change.get("added") is not None]
    # If a model was added twice, the last time counts.
    counts = {change["added"]: int(change.get("n_prompts", 0)) for change in changes}
    return {model: count for model, count in counts.items() if model in artifact.predictor.models}


def recorded(artifact: Artifact, change: Mapping[str, Any]) -> Artifact:
    """Return an artifact whose provenance lists one more change, without its time: artifacts hold no times."""
    changes = [*artifact.provenance.get("changes", []), dict(change)]
    return replace(artifact, provenance={**artifact.provenance, "changes": changes})


def _edited(predictor: Predictor, edit: Edit, column: ModelColumn) -> Predictor:
    """Apply an edit to every array with a model axis."""
    model = predictor.evidence_model
    evidence_model = EvidenceModel(
        model.vocabulary,
        _edited_space(model.embedding, edit, column.embedding_head),
        _edited_space(model.bag, edit, column.bag_head),
        _edited_bank(model.bank, edit, column.bank),
        replace(model.kernel, weights=edit(model.kernel.weights, column.kernel_weights, 1)),
    )
    amounts = {name: _edited_amount(amount, edit, column.amounts[name]) for name, amount in predictor.amounts.items()}
    levels = edit(predictor.calibration.model_intercept, column.level, 0)
    calibration = replace(predictor.calibration, model_intercept=levels)
    return replace(predictor, evidence_model=evidence_model, calibration=calibration, amounts=amounts)


def _edited_space(space: Space, edit: Edit, part: LinearHead) -> Space:
    head = LinearHead(edit(space.head.weights, part.weights, 1), edit(space.head.bias, part.bias, 0))
    return replace(space, head=head)


def _edited_bank(bank: Bank, edit: Edit, part: Bank) -> Bank:
    return Bank(
        outcome=edit(bank.outcome, part.outcome, 1),
        weight=edit(bank.weight, part.weight, 1),
        base=edit(bank.base, part.base, 0),
    )


def _edited_amount(amount: AmountModel, edit: Edit, part: AmountModel) -> AmountModel:
    return replace(
        amount,
        mean_log=edit(amount.mean_log, part.mean_log, 0),
        residual_quantiles=edit(amount.residual_quantiles, part.residual_quantiles, 0),
        smearing=edit(amount.smearing, part.smearing, 0),
    )
