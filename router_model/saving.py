"""Say a saving in words, in one way wherever it is printed."""

import math

from router_model.wording import number, percent

_AS_TIMES = -1.0  # beyond twice the cost, a multiple is easier to read than a percentage
_WHOLE = -9.0  # ten times as much: no decimals


def say_saving(saving: float, half_width: float | None = None) -> str:
    """Say what is saved of another one's cost, or how much more it costs.

    Parameters
    ----------
    saving : share of the other one's cost; negative where it costs more, minus infinity where the other is free
    half_width : half the width of its interval, as of `wording.number`

    Examples
    --------
    >>> say_saving(0.864), say_saving(0.864, 0.012)
    ('saves 86 %', 'saves 86 % ± 1')
    >>> say_saving(-0.3, 0.1), say_saving(-19.0, 2.0), say_saving(-1.5)
    ('costs 30 % ± 10 more', 'costs 20 ± 2 times as much', 'costs 2.5 times as much')
    >>> say_saving(-math.inf), say_saving(0.0, 0.0)
    ('costs money where the other is free', 'saves 0 %')
    """
    if math.isnan(saving):
        return "saves an unknown amount"
    if not math.isfinite(saving):
        return "costs money where the other is free"
    if saving < _AS_TIMES:
        return f"costs {_times(saving, half_width)} times as much"
    verb, more = ("costs", " more") if round(saving, 3) < 0 else ("saves", "")
    return f"{verb} {percent(abs(saving), half_width)}{more}"


def saving_cell(saving: float | None, half_width: float | None = None) -> str:
    """Say it in a column that is headed "saves"; None is unknown.

    >>> saving_cell(0.864, 0.012), saving_cell(-0.3), saving_cell(-19.0, 2.0), saving_cell(-math.inf), saving_cell(None)
    ('86 % ± 1', '-30 %', '20 ± 2 x cost', 'it is free', '-')
    """
    if saving is None or math.isnan(saving):
        return "-"
    if not math.isfinite(saving):
        return "it is free"
    return percent(saving, half_width) if saving >= _AS_TIMES else f"{_times(saving, half_width)} x cost"


def _times(saving: float, half_width: float | None) -> str:
    return number(1 - saving, half_width, digits=0 if saving <= _WHOLE else 1)
