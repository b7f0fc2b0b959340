"""Convert votes between two answers into qualities of both (docs/decisions/0018-pairwise-votes.md).

A win is 1, a tie 0.5, a loss 0. The opponent goes to ``extra``. The import corrects the qualities for the opponent's
strength (`router_model.training.importing.opponents`) and averages several votes for a prompt and model.
"""

from typing import Final

from router_model.training.importing.conversion import Conversion, Row, Source

TIE: Final = 0.5


def vote_rows(
    prompt: Row, models: tuple[object, object], qualities: tuple[float, float], *, extra: Source, **shared: object
) -> Conversion:
    """Return the outcomes of both models.

    Parameters
    ----------
    prompt : dict
        The column ``prompt`` or ``messages``.
    models : pair of names
    qualities : pair of float
        In [0, 1]; both 0 where both answers are bad.
    extra : mapping
        Other facts about the vote to keep.
    shared : object
        Further columns of both rows.

    Examples
    --------
    >>> rows = vote_rows({"prompt": "Hi"}, ("a", "b"), (1.0, 0.0), extra={}, task="chat").rows
    >>> [(row["model"], row["quality"], row["extra"]) for row in rows]
    [('a', 1.0, {'opponent': 'b'}), ('b', 0.0, {'opponent': 'a'})]
    """
    if models[0] == models[1]:
        return Conversion([], {"votes between a model and itself": 1})
    kept = {**extra, "both_bad": True} if not any(qualities) else extra
    sides = zip(models, qualities, reversed(models), strict=True)
    return Conversion(
        [
            {**prompt, "model": model, "quality": quality, **shared, "extra": {**kept, "opponent": opponent}}
            for model, quality, opponent in sides
        ]
    )
