"""How numbers, money and other people's texts are written: in commands, reports, the console and pictures alike."""

import math

_WHOLE_DOLLARS = 100
_CENTS = 2
_UNKNOWN = "-"
_FINE = 0.05  # nearer than this to nothing or to all, a whole percent says too little
_TENTH = 0.0005  # half of a tenth of a percent


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "prompt"), counted(1200, "prompt")
    ('1 prompt', '1,200 prompts')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def number(value: float, half_width: float | None = None, *, digits: int, signed: bool = False) -> str:
    """Return a number with so many decimals and half the width of its interval; a dash where it is not a number.

    Parameters
    ----------
    half_width : stands after the sign ±; left out where there is no interval: None, 0, infinite or not a number
    signed : whether a plus stands before what is above 0

    Examples
    --------
    >>> number(0.8123, 0.0121, digits=3), number(2.0, 1.04, digits=1, signed=True), number(1234.5, digits=1)
    ('0.812 ± 0.012', '+2.0 ± 1.0', '1,234.5')
    >>> number(-0.001, 0.5, digits=1, signed=True), number(13, 0.2, digits=0), number(0.5, 0.0, digits=1)
    ('0.0 ± 0.5', '13 ± <1', '0.5')
    >>> number(0.5, math.inf, digits=1), number(math.nan, digits=1)
    ('0.5', '-')
    """
    if not math.isfinite(value):
        return _UNKNOWN
    written = f"{abs(value):,.{digits}f}"
    sign = "" if not float(written.replace(",", "")) else "-" if value < 0 else "+" * signed
    return f"{sign}{written}{_half(half_width, digits)}"


def _half(half_width: float | None, digits: int) -> str:
    if not half_width or not math.isfinite(half_width):
        return ""
    written = f"{half_width:,.{digits}f}"
    is_shown = float(written.replace(",", "")) > 0
    return f" ± {written}" if is_shown else f" ± <{10**-digits:.{digits}f}"


def points(difference: float, half_width: float | None = None) -> str:
    """Return a difference between two shares or qualities in points, hundredths of the scale from 0 to 1.

    >>> points(0.02, 0.01), points(-0.0049), points(0)
    ('+2.0 ± 1.0 points', '-0.5 points', '0.0 points')
    """
    half = None if half_width is None else 100 * half_width
    return f"{number(100 * difference, half, digits=1, signed=True)} points"


def usd(amount: float, half_width: float | None = None) -> str:
    """Return money: whole dollars from a hundred on, cents from a dollar on, and below three digits that count.

    >>> usd(1234.5), usd(12.345), usd(-3), usd(0), usd(12.345, 0.2)
    ('$1,234', '$12.35', '-$3.00', '$0', '$12.35 ± 0.20')
    >>> usd(0.7644), usd(0.5), usd(0.0123456), usd(4e-10), usd(0.0123456, 0.00061)
    ('$0.764', '$0.50', '$0.0123', '$0.0000000004', '$0.0123 ± 0.0006')
    """
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if not math.isfinite(size):
        return _UNKNOWN
    if not size:
        return f"$0{_half(half_width, _CENTS)}"
    if size >= 1:
        digits = 0 if size >= _WHOLE_DOLLARS else _CENTS
        return f"{sign}${size:,.{digits}f}{_half(half_width, digits)}"
    digits = _CENTS - math.floor(math.log10(size))
    whole, _, part = f"{size:.{digits}f}".partition(".")
    if not half_width:
        part = f"{part.rstrip('0'):0<2}"
    return f"{sign}${whole}.{part}{_half(half_width, digits)}"


def percent(share: float, half_width: float | None = None, *, signed: bool = False, digits: int | None = None) -> str:
    """Return a share as a percentage: whole, but with a decimal within five percent of 0 and of 1.

    Parameters
    ----------
    half_width, signed : as of `number`
    digits : decimals, in tables that compare what is nearly equal

    Examples
    --------
    >>> percent(0.864), percent(0.864, 0.012), percent(0.973, 0.004), percent(-0.3), percent(0.3, signed=True)
    ('86 %', '86 % ± 1', '97.3 % ± 0.4', '-30 %', '+30 %')
    >>> percent(0), percent(0.99), percent(0.0001), percent(0.99999), percent(0.021), percent(0.296, digits=1)
    ('0 %', '99 %', '<0.1 %', '>99.9 %', '2.1 %', '29.6 %')
    >>> percent(0.0, 0.0), percent(0.5, 0.0003), percent(0.5, math.inf), percent(math.nan)
    ('0 %', '50 % ± <1', '50 %', '-')
    """
    if not math.isfinite(share):
        return _UNKNOWN
    if digits is None:
        if half_width is None and not signed:
            if 0 < share < _TENTH:
                return "<0.1 %"
            if 1 - _TENTH < share < 1:
                return ">99.9 %"
        size = abs(share)
        is_whole = not half_width and round(100 * size, 6) % 1 == 0
        digits = 1 if not is_whole and (size < _FINE or 1 - _FINE <= size < 1) else 0
    half = _half(None if half_width is None else 100 * half_width, digits)
    return f"{number(100 * share, digits=digits, signed=signed)} %{half}"


def shortened(text: str, most: int = 160) -> str:
    r"""Return a text on one line, cut if it is long.

    >>> shortened("out of\norder", 8)
    'out of …'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def sentence(text: str) -> str:
    """Return a text as a sentence.

    >>> sentence("a tie")
    'A tie.'
    """
    return f"{text[:1].upper()}{text[1:]}."
