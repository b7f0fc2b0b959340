"""How numbers, money and other people's texts are written: in commands, reports, the console and pictures alike."""

import math

_WHOLE_DOLLARS = 100
_TWO_DIGITS = 2
_FINE = 0.05  # nearer than this to nothing or to all, a whole percent says too little
_TENTH = 0.0005  # half of a tenth of a percent


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "prompt"), counted(1200, "prompt")
    ('1 prompt', '1,200 prompts')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def usd(amount: float) -> str:
    """Return money: whole dollars from a hundred on, cents from a dollar on, and below three digits that count.

    >>> usd(1234.5), usd(12.345), usd(-3), usd(0)
    ('$1,234', '$12.35', '-$3.00', '$0')
    >>> usd(0.7644), usd(0.5), usd(0.0123456), usd(4e-10)
    ('$0.764', '$0.50', '$0.0123', '$0.0000000004')
    """
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if not size:
        return "$0"
    if size >= _WHOLE_DOLLARS:
        return f"{sign}${size:,.0f}"
    if size >= 1:
        return f"{sign}${size:.2f}"
    whole, _, part = f"{size:.{_TWO_DIGITS - math.floor(math.log10(size))}f}".partition(".")
    return f"{sign}${whole}.{part.rstrip('0'):0<2}"


def percent(share: float, half_width: float | None = None, *, signed: bool = False) -> str:
    """Return a share as a percentage: whole, but with a decimal within five percent of 0 and of 1.

    Parameters
    ----------
    half_width : half the width of its interval, which stands after the sign ±
    signed : whether a plus stands before what is above 0

    Examples
    --------
    >>> percent(0.864), percent(0.864, 0.012), percent(0.973, 0.004), percent(-0.3), percent(0.3, signed=True)
    ('86 %', '86 % ± 1', '97.3 % ± 0.4', '-30 %', '+30 %')
    >>> percent(0), percent(0.99), percent(0.0001), percent(0.99999), percent(0.021)
    ('0 %', '99 %', '<0.1 %', '>99.9 %', '2.1 %')
    """
    if half_width is None and not signed:
        if 0 < share < _TENTH:
            return "<0.1 %"
        if 1 - _TENTH < share < 1:
            return ">99.9 %"
    size = abs(share)
    is_whole = not half_width and round(100 * size, 6) % 1 == 0
    digits = 1 if not is_whole and (size < _FINE or 1 - _FINE <= size < 1) else 0
    number = f"{100 * size:,.{digits}f}"
    sign = "" if not float(number.replace(",", "")) else "-" if share < 0 else "+" * signed
    return f"{sign}{number} %" + ("" if half_width is None else f" ± {100 * half_width:.{digits}f}")


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
