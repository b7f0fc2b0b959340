"""How numbers, money and other people's texts are written: in commands, reports, the console and pictures alike."""

import math

_WHOLE_DOLLARS = 100
_TWO_DIGITS = 2


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
