"""Votes between two answers become qualities of both (docs/decisions/0018-pairwise-votes.md).

A win is 1, a tie 0.5, a loss 0. Several votes for a prompt and model are averaged by the import.
"""

from typing import Final

from training.importing.conversion import Conversion, Row

TIE: Final = 0.5


def vote_rows(
    prompt: Row, models: tuple[object, object], qualities: tuple[float, float], **shared: object
) -> Conversion:
    """Return the outcomes of both models.

    Parameters
    ----------
    prompt : dict
        The column ``prompt`` or ``messages``.
    models : pair of names
    qualities : pair of float
        In [0, 1]; they need not add up to 1, as both answers may be bad.
    shared : object
        Further columns of both rows.

    Examples
    --------
    >>> rows = vote_rows({"prompt": "Hi"}, ("a", "b"), (1.0, 0.0), task="chat").rows
    >>> [(row["model"], row["quality"], row["task"]) for row in rows]
    [('a', 1.0, 'chat'), ('b', 0.0, 'chat')]
    """
    if models[0] == models[1]:
        return Conversion([], {"votes between a model and itself": 1})
    return Conversion(
        [
            {**prompt, "model": model, "quality": quality, **shared}
            for model, quality in zip(models, qualities, strict=True)
        ]
    )
