"""Numbers, money and other people's texts as sentences of a command say them."""

import math


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "prompt"), counted(1200, "prompt")
    ('1 prompt', '1,200 prompts')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def in_usd(usd: float) -> str:
    """Return an amount with two to four decimals, or two digits if it is so small that four decimals would lose it.

    >>> [in_usd(usd) for usd in (0, 5, 0.7644, 1234.5, 0.000038, 4e-10)]
    ['$0', '$5.00', '$0.7644', '$1,234.50', '$0.000038', '$0.0000000004']
    """
    if not usd:
        return "$0"
    if abs(usd) < 0.01:  # noqa: PLR2004  (below, four decimals have fewer than two digits)
        return f"${usd:.{1 - math.floor(math.log10(abs(usd)))}f}".rstrip("0")
    whole, _, cents = f"{usd:,.4f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def shortened(text: str, most: int = 160) -> str:
    r"""Return a text on one line, cut if it is long.

    >>> shortened("out of\norder", 8)
    'out of …'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
