"""Turn a cost-quality dial from 0 (quality) to 10 (cost) into the value of quality, or of a success.

The direction and the default of 7 are those of ``cost_quality_tradeoff`` at OpenRouter and Not Diamond, so that clients
can keep the values they send. How the positions between map to values is our own choice, because theirs is not
documented.
"""

from dataclasses import dataclass

from router_model.catalog import Catalog
from router_model.goal import LEAST_COST, MOST_QUALITY, Tradeoff
from router_model.policy import OperatingPoint

DEFAULT_POSITION = 7.0
"""Where an artifact's operating point lies; the ends of the dial are `router_model.goal.Tradeoff`'s."""

_TYPICAL_TOKENS = 1000  # in and out; only the order of magnitude matters
_DEAREST_CALLS = 1e4  # just above 0, one call of the dearest model is worth a ten-thousandth of quality 1
_ROOM = 10.0  # the dial reaches at least this factor to both sides of the operating point
_PURE = 1e5  # at 0 quality is worth this much more still: only differences below 1e-9 give way to cost


@dataclass(frozen=True, slots=True)
class Dial:
    """What the positions of the dial stand for with one set of models.

    From 0 to 7 and from 7 to 10 the value moves geometrically: from 10,000 times a typical call of the dearest
    model (1,000 tokens in, 1,000 out), through the operating point's at 7, to a typical call of the cheapest model that
    is not free. Either end is moved out where it is less than a factor of 10 from the operating point.

    Attributes
    ----------
    high, middle, low : float
        The values of quality 1 over quality 0, in USD, just above 0, at 7 and just below 10.

    Examples
    --------
    A cheap model at 0.001 and a dear one at 0.01 USD a typical call; quality 1 is worth 1 USD by default. Halfway
    from 0 to 7 is the geometric mean of 100 and 1 USD, halfway from 7 to 10 that of 1 USD and 0.001 USD:

    >>> from decimal import Decimal
    >>> from router_model.catalog import ModelCard
    >>> cards = (ModelCard("cheap", Decimal("0.5"), Decimal("0.5")), ModelCard("dear", Decimal(5), Decimal(5)))
    >>> dial = Dial.of(OperatingPoint(0.5, 1.0), Catalog({card.model: card for card in cards}))
    >>> [round(dial.value_usd(Tradeoff(t)), 4) for t in (3.5, 7, 8.5, 10)]
    [10.0, 1.0, 0.0316, 0.0]
    """

    high: float
    middle: float
    low: float

    @classmethod
    def of(cls, point: OperatingPoint, catalog: Catalog) -> "Dial":
        """Scale the dial to what the models of `catalog` cost.

        Both are the artifact's, so that a position means the same wherever the artifact is loaded.
        """
        high, low = _ends(point.quality_value_usd, catalog)
        return cls(high, point.quality_value_usd, low)

    def value_usd(self, goal: Tradeoff) -> float:
        """Return what quality 1 is worth at a position of the dial, in USD. It never rises with the position.

        At 0 it is so large that the best model is chosen, at 10 it is 0, which chooses the cheapest model.
        """
        position = goal.cost_quality_tradeoff
        if position == DEFAULT_POSITION:
            return self.middle
        if position == LEAST_COST:
            return 0.0
        if position == MOST_QUALITY:
            return _PURE * self.high
        if position < DEFAULT_POSITION:
            middle = self.middle or self.low  # where the cheapest model is the best, 7 drops to 0
            return _between(self.high, middle, position / DEFAULT_POSITION)
        return _between(self.middle, self.low, (position - DEFAULT_POSITION) / (LEAST_COST - DEFAULT_POSITION))


def _ends(middle: float, catalog: Catalog) -> tuple[float, float]:
    """Return the values just above 0 and just below 10."""
    tokens = {"input_tokens": _TYPICAL_TOKENS, "output_tokens": _TYPICAL_TOKENS}
    calls = [float(catalog[model].cost_usd(**tokens)) for model in catalog]
    paid = [call for call in calls if call > 0] or [1.0]  # where all is free, any amount will do
    low = min(*paid, middle / _ROOM) if middle > 0 else min(paid)
    return max(_DEAREST_CALLS * max(paid), _ROOM * middle), low


def _between(start: float, end: float, share: float) -> float:
    """Move geometrically from `start` to `end`; stay at a `start` of 0."""
    return float(start * (end / start) ** share) if start > 0 else 0.0
