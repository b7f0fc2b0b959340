"""A router of many candidates out of one of few: its models again and again, each at a price of its own.

For measuring time and memory: what it predicts of a copy is what it predicts of the original.
"""

from dataclasses import replace
from decimal import Decimal
from itertools import cycle, islice

import numpy as np

from router_model.artifact import Artifact
from router_model.catalog import Catalog
from router_model.model_set import ModelColumn, _edited
from router_model.predictor import Predictor


def tiled(artifact: Artifact, n_models: int) -> Artifact:
    """Return an artifact with `n_models` candidates, copies of its own; without certificates and announced models."""
    originals = artifact.predictor.models
    columns = np.array(list(islice(cycle(range(len(originals))), n_models)))
    names = [
        originals[column] if n < len(originals) else f"{originals[column]}-{n}" for n, column in enumerate(columns)
    ]
    cards = []
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        card, factor = artifact.catalog[originals[column]], Decimal(1000 + number) / 1000
        prices = {key: getattr(card, key) * factor for key in ("usd_per_mtok_input", "usd_per_mtok_output")}
        cards.append(replace(card, model=name, **prices))
    return replace(
        artifact,
        predictor=_tiled_predictor(artifact.predictor, tuple(names), columns),
        catalog=Catalog({card.model: card for card in cards}),
        tokens_per_piece=artifact.tokens_per_piece[columns],
        safe_model=artifact.safe_model if artifact.safe_model in names else None,
        spend_curve=None,
        certificates=(),
        metrics={},
    )


def _tiled_predictor(predictor: Predictor, names: tuple[str, ...], columns: np.ndarray) -> Predictor:
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
    tiled = _edited(predictor, lambda array, _, axis: np.take(array, columns, axis=axis), itself)
    return replace(tiled, models=names)
