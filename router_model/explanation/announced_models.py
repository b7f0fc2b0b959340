"""Explain an announced model's probability of success by those of the known models that it is a mixture of.

Its log odds are a weighted sum of theirs, and so are the contributions. Where the sum starts is the model's own level;
the calibration is the rest: the mixture's own start, and what brings its mean to the level.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from router_model.announced.announced import AnnouncedModels
from router_model.explanation_records import Contribution, SuccessExplanation


def explain_announced(
    model: str, known: Sequence[SuccessExplanation | None], announced: AnnouncedModels
) -> SuccessExplanation | None:
    """Return the explanation of an announced model; None if nothing was predicted.

    Parameters
    ----------
    known : of all known models, on the same prompt
    """
    parts = [one for one in known if one is not None]
    if len(parts) < len(known):
        return None
    column = announced.models.index(model)
    weights = announced.weights[:, column].astype(np.float64)
    log_odds = float(weights @ [one.log_odds for one in parts] + announced.shift[column])
    contributions = tuple(
        Contribution(
            same[0].source,
            *(float(weights @ [getattr(one, field) for one in same]) for field in ("log_odds", "difficulty", "edge")),
        )
        for same in zip(*(one.contributions for one in parts), strict=True)
    )
    level = announced.levels[model].log_odds
    return SuccessExplanation(
        model=model,
        p_success=float(expit(log_odds)),
        log_odds=log_odds,
        record=float(expit(level)),
        record_log_odds=level,
        calibration=log_odds - level - sum(one.log_odds for one in contributions),
        contributions=contributions,
        surface=parts[int(np.argmax(weights))].surface,
    )
