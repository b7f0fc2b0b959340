"""Names of models, tasks and methods as they fit a chart."""

import re
from typing import Final

NAME_LENGTH: Final = 26
_PROVIDERS = re.compile(r"^([\w.@-]+/)+")


def short_name(text: str, length: int = NAME_LENGTH) -> str:
    """Shorten a name to fit a figure, in the middle.

    Examples
    --------
    >>> short_name("a-model-with-a-very-long-name-indeed", 16)
    'a-model-…-indeed'
    """
    text = " ".join(text.split())
    head = length // 2
    return text if len(text) <= length else f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def short_model(model: str, length: int = NAME_LENGTH) -> str:
    """Shorten a model's id; its provider is dropped first.

    Examples
    --------
    >>> short_model("openai/gpt-5")
    'gpt-5'
    """
    return short_name(_PROVIDERS.sub("", model) or model, length)


def usd(value: float) -> str:
    """Write an amount of money with three digits that matter, or whole dollars from 100 on.

    Examples
    --------
    >>> usd(1234.5), usd(12.345), usd(0.01234), usd(-3.0), usd(0.0)
    ('$1,234', '$12.3', '$0.0123', '-$3.00', '$0')
    """
    sign, size = ("-" if value < 0 else ""), abs(value)
    if not size:
        return "$0"
    if size >= 99.95:  # noqa: PLR2004
        return f"{sign}${size:,.0f}"
    digits = 1 if size >= 9.995 else 2 if size >= 0.995 else None  # noqa: PLR2004
    if digits is not None:
        return f"{sign}${size:.{digits}f}"
    written = f"{size:.3g}"
    return f"{sign}${written if 'e' not in written else f'{size:.2e}'}"
