"""Notice costs that are not in US dollars, by a field beside them or by how they are written.

``cost_currency: cents`` beside ``cost: 5`` says 0.05 dollars. Read as dollars, it would be a hundred times too dear.
"""

from functools import lru_cache
from typing import Any, Final

from router_model.training.importing.columns import unit_in_name, words_of
from router_model.training.importing.conversion import Source, is_missing
from router_model.training.importing.findings import Finding
from router_model.training.importing.near_names import near_column
from router_model.training.importing.number_text import read_number
from router_model.training.importing.options import ImportOptions

_NAMES: Final = frozenset(("currency", "costcurrency", "pricecurrency", "currencycode", "costunit", "costunits"))
_DOLLARS: Final = frozenset(("usd", "us$", "$", "dollar", "dollars", "us dollar", "us dollars"))
_CONVERT: Final = "Convert the amounts, or leave them out like this."
_CENTS: Final = frozenset(("cent", "cents", "usd cents", "us cents", "usc", "¢"))


class Currency:
    """Looks for other currencies in one source of the user's own records."""

    def __init__(self, options: ImportOptions) -> None:
        self._given = tuple(options.columns.get("cost_usd", ()))
        self._stated: tuple[str, Any] | None = None
        self._written: tuple[str, str] | None = None
        self._has_costs = False

    def see(self, own: Source) -> None:
        """Note what a record, with the named columns under our names, says about its currency."""
        self._has_costs = self._has_costs or not is_missing(own.get("cost_usd"))
        for name, is_currency in _names_about_costs(tuple(own)):
            value = own[name]
            if not isinstance(value, str) or not value:
                continue
            if is_currency and self._stated is None and value.strip().lower() not in _DOLLARS:
                self._stated = (name, value.strip())
            elif not is_currency and self._written is None and _is_foreign(value):
                self._written = (name, value)

    def findings(self, proposed: str | None) -> list[Finding]:
        """Return why the costs cannot be read as dollars; empty if they can, or if the user leaves them out.

        Parameters
        ----------
        proposed : str or None
            The field that is proposed for the costs.
        """
        if self._given and not any(self._given):
            return []
        if self._stated is not None and (proposed or self._has_costs):
            return self._about_stated(*self._stated, proposed or next(iter(self._given), "cost_usd"))
        if self._written is not None and not (proposed or self._has_costs):
            name, value = self._written
            seen = f"{name!r} looks like cost_usd, but holds {value!r}, expected US dollars"
            return [Finding(seen, (("--column", "cost_usd="),), _CONVERT)]
        return []

    def _about_stated(self, name: str, value: str, cost: str) -> list[Finding]:
        if value.lower() in _CENTS and (cost.endswith(":cents") or unit_in_name(cost) == "cents"):
            return []
        seen = f"{name!r} says {value!r}, and {cost!r} would be read as US dollars"
        given = tuple(("--column", f"cost_usd={one}") for one in self._given)
        if value.lower() in _CENTS:
            return [Finding(seen, (("--column", f"cost_usd={cost}:cents"),), drop=given)]
        return [Finding(seen, (("--column", "cost_usd="),), _CONVERT, given)]


@lru_cache(maxsize=1024)
def _names_about_costs(names: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Return the fields that may say a currency or hold costs, and whether they are of the first kind."""
    currencies = [(name, True) for name in names if "".join(words_of(name)) in _NAMES]
    costs = [(name, False) for name in names if (near := near_column(name)) and near[0] == "cost_usd"]
    return (*currencies, *costs)


def _is_foreign(value: str) -> bool:
    """Whether a text is an amount in another currency: €0.5, 5 EUR."""
    text = value.strip()
    if not any(character.isdecimal() for character in text):
        return False
    try:
        read_number(text, None)
    except ValueError:
        return any(character in "€£¥₹" for character in text) or text[-3:].isupper()
    return False
