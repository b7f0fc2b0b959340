"""Compare the quality with other grades in the same records: one that falls where another rises may be turned round.

The import never guesses which end of a scale is the best. But a field that the user named as the quality may measure
harm under a name that no list has, and then its correlation with other grades is usually negative.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

from router_model.training.importing.conversion import Source, is_missing
from router_model.training.importing.near_names import near_columns, sounds_lower_is_better
from router_model.training.importing.options import ImportOptions

_FEWEST: Final = 20
_SUSPICIOUS: Final = -0.3
"""Correlations of 20 unrelated pairs are below this in one of ten cases; of 100 pairs, in one of a thousand."""


class _Sums:
    """Sums of pairs of numbers, from which their correlation follows."""

    def __init__(self) -> None:
        self.n = 0
        self._sums = [0.0] * 5

    def add(self, one: float, other: float) -> None:
        self.n += 1
        for index, term in enumerate((one, other, one * one, other * other, one * other)):
            self._sums[index] += term

    def correlation(self) -> float:
        """Return Pearson's correlation; 0 if one of the two does not vary."""
        one, other, ones, others, both = self._sums
        variances = (self.n * ones - one * one) * (self.n * others - other * other)
        return (self.n * both - one * other) / float(variances**0.5) if variances > 0 else 0.0


class Agreement:
    """Compares the qualities of one source with its other grades.

    Examples
    --------
    >>> agreement = Agreement(ImportOptions())
    >>> for n in range(20):
    ...     agreement.see({"quality": n % 2, "score": 1 - n % 2})
    >>> list(agreement.told())[0][0].partition(":")[0]
    "qualities fall where 'score' rises (correlation -1.00)"
    """

    def __init__(self, options: ImportOptions) -> None:
        scale = options.reading.scale
        self._sign = -1.0 if scale is not None and scale.worst > scale.best else 1.0
        self._fields: dict[str, _Sums] = {}

    def see(self, own: Source) -> None:
        """Note a record with the user's columns under our names."""
        for ours, theirs in near_columns(tuple(own)):
            if ours != "quality" or sounds_lower_is_better(theirs):
                continue
            quality, other = _number(own.get("quality")), _number(own[theirs])
            if quality is not None and other is not None:
                self._fields.setdefault(theirs, _Sums()).add(self._sign * quality, other)

    def told(self) -> Iterator[tuple[str, int]]:
        """Yield what the summary should say, and the number of records that say so."""
        for name, sums in self._fields.items():
            correlation = sums.correlation()
            if sums.n >= _FEWEST and correlation <= _SUSPICIOUS:
                said = f"qualities fall where {name!r} rises (correlation {correlation:.2f})"
                yield f"{said}: if the smallest value is the best, turn the scale round with --scale", sums.n


def _number(value: Any) -> float | None:
    if is_missing(value) or not isinstance(value, bool | int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
