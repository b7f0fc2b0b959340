"""A router of many models made of a trained one of few: for benchmarks, not for what it says."""

from dataclasses import replace

import numpy as np

from router_model.catalog import Catalog
from router_model.model_set import take_columns
from router_model.saved.artifact import Artifact


def tiled(artifact: Artifact, n_models: int) -> Artifact:
    """Return an artifact of `n_models` models, which are the artifact's own again and again under other ids.

    The first are named as they were; prices and capabilities are copied. What was certified or measured is dropped.
    """
    predictor = artifact.predictor
    columns = np.resize(np.arange(len(predictor.models)), n_models)
    n_own = len(predictor.models)
    copies = [f"-{position // n_own}" if position >= n_own else "" for position in range(n_models)]
    models = tuple(predictor.models[column] + copy for column, copy in zip(columns, copies, strict=True))
    cards = {
        model: replace(artifact.catalog[predictor.models[column]], model=model)
        for model, column in zip(models, columns, strict=True)
    }
    return replace(
        artifact,
        reference=None,  # it has a column for each model that was graded
        predictor=replace(take_columns(predictor, columns.tolist()), models=models),
        catalog=Catalog(cards),
        tokens_per_piece=artifact.tokens_per_piece[columns],
        safe_model=artifact.safe_model if artifact.safe_model in models else None,
        spend_curve=None,
        certificates=(),
        metrics={},
    )
