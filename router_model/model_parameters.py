"""Catalog entries of a model with parameters: one candidate for each effort of a model.

An entry with the keys ``model`` and ``reasoning_effort`` is a candidate of its own, under its own id::

    [models."openai/gpt-5"]
    usd_per_mtok_input = 1.25
    usd_per_mtok_output = 10

    [models."openai/gpt-5:high"]
    model = "openai/gpt-5"
    reasoning_effort = "high"

What such an entry does not say (prices, limits, capabilities) is that of the model it names. The effort is the only
parameter, because it is the only one that changes quality and price and that providers of all formats can be told
(docs/decisions/0042-effort-is-a-candidate.md).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from router_model.errors import CatalogError

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From least to most."""
MODEL: Final = "model"
EFFORT: Final = "reasoning_effort"
Entry: TypeAlias = Mapping[str, Any]
_PRICES_FROM: Final = ("price_source", "price_date")
"""Where and when the prices were found; an entry with a price of its own does not take these over."""


def with_inherited(model: str, entry: Entry, base_of: Callable[[str], Entry | None], where: str) -> dict[str, Any]:
    """Return an entry with what it does not say from the model that it names; any other entry as it is.

    Parameters
    ----------
    model, entry : the id and its table
    base_of : returns the entry of a model, or None
    where : names the entry in errors

    Raises
    ------
    CatalogError
        If only one of both keys is given, the effort is not known, or the model that is named has parameters itself.

    Examples
    --------
    >>> base = {"usd_per_mtok_input": 1, "usd_per_mtok_output": 8, "tools": True}
    >>> entry = {"model": "a", "reasoning_effort": "high", "usd_per_mtok_output": 9}
    >>> with_inherited("a:high", entry, {"a": base}.get, "here")["usd_per_mtok_output"]
    9
    """
    if MODEL not in entry and EFFORT not in entry:
        return dict(entry)
    if MODEL not in entry:
        raise CatalogError(
            f"{where}: {EFFORT} is given without {MODEL}; name the model that providers serve, e.g. "
            f'{MODEL} = "{model.rpartition(":")[0] or "openai/gpt-5"}"'
        )
    if EFFORT not in entry:
        raise CatalogError(
            f"{where}: {MODEL} is given without {EFFORT}; give one of {', '.join(EFFORTS)} (another name for the same "
            "model belongs into the providers file)"
        )
    base, effort = entry[MODEL], entry[EFFORT]
    if effort not in EFFORTS:
        raise CatalogError(f"{where}.{EFFORT}: got {effort!r}, expected one of {', '.join(EFFORTS)}")
    if base == model:
        raise CatalogError(
            f'{where}: its {MODEL} is itself; give the candidate another id, e.g. [models."{model}:{effort}"]'
        )
    inherited = base_of(base) if isinstance(base, str) else None
    if inherited is None:
        return dict(entry)
    if MODEL in inherited:
        raise CatalogError(
            f"{where}: its {MODEL}, {base!r}, has parameters itself (it is {inherited[MODEL]!r} with {EFFORT} = "
            f"{inherited.get(EFFORT)!r}); name the model that providers serve"
        )
    has_own_price = any(key.startswith("usd_per_") for key in entry)
    kept = {key: value for key, value in inherited.items() if not (has_own_price and key in _PRICES_FROM)}
    return {**kept, **entry}
