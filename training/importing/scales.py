"""The scale on which qualities are written, and how a wrong scale is noticed.

If ratings from 1 to 5 were read as numbers from 0 to 1, the good answers would be lost and the worst rating, 1, would
count as a success. So the values of a whole source are checked before any of them counts.
"""

import math
from dataclasses import dataclass
from typing import Final

from router_model.errors import TableError

_USUAL_ENDS: Final = (2, 3, 5, 10, 100)
"""Common upper ends of rating scales."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale of qualities.

    Attributes
    ----------
    worst, best : float
        The numbers that become 0 and 1; `worst` may be the greater one.
    """

    worst: float
    best: float

    @classmethod
    def parse(cls, text: str) -> "Scale":
        """Read ``WORST:BEST``.

        >>> Scale.parse("1:5")
        Scale(worst=1.0, best=5.0)

        Raises
        ------
        TableError
            If the text is not a scale.
        """
        parts = text.split(":")
        try:
            worst, best = (float(part) for part in parts)
        except ValueError:
            worst = best = math.nan
        if not (math.isfinite(worst) and math.isfinite(best)) or worst == best:
            raise TableError(
                f"scale: got {text!r}, expected WORST:BEST, two different numbers such as 1:5, or 5:1 if 1 is best; "
                "use this form"
            )
        return cls(worst, best)

    def __str__(self) -> str:
        return f"{self.worst:g}:{self.best:g}"

    @property
    def reversed(self) -> "Scale":
        """The scale with its ends swapped."""
        return Scale(self.best, self.worst)

    @property
    def range(self) -> tuple[float, float]:
        """The smaller and the greater end."""
        return min(self.worst, self.best), max(self.worst, self.best)


UNIT_SCALE: Final = Scale(0, 1)
PERCENT: Final = Scale(0, 100)


def guess_scale(minimum: float, maximum: float) -> Scale | None:
    """Guess the scale of numbers from their range, if some are outside [0, 1]; None if it is unclear.

    >>> [str(guess_scale(*ends)) for ends in [(1, 5), (0, 4), (1, 2), (3, 8), (40, 85), (-1, 1), (-9, 3), (0, 900)]]
    ['1:5', '0:5', '1:2', '1:10', '0:100', '-1:1', 'None', 'None']
    """
    if minimum < 0:
        return Scale(-1, 1) if minimum >= -1 and maximum <= 1 else None
    best = next((end for end in _USUAL_ENDS if maximum <= end), None)
    if best is None:
        return None
    return Scale(0 if minimum < 1 or best == PERCENT.best else 1, best)
