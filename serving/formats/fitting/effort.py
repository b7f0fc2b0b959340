"""Convert between an effort, as OpenAI names how much to think, and a budget of tokens, as older Claude models take it.

The shares of ``max_tokens`` that stand for an effort are those OpenRouter documents for its ``reasoning.effort``.
"""

from collections.abc import Mapping
from typing import Final

MIN_BUDGET: Final = 1024
"""The least Anthropic takes, in tokens; a budget must also be less than ``max_tokens``."""
MAX_BUDGET: Final = 32_000
"""Beyond it Anthropic advises batches, since connections time out."""
_SHARES: Final[Mapping[str, float]] = {
    "minimal": 0.1,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": 0.95,
    "max": 0.95,
}


def budget_of(effort: str, max_tokens: int) -> int | None:
    """Return the tokens to think with; None if ``max_tokens`` leaves no room for them, or the effort is unknown.

    Examples
    --------
    >>> budget_of("medium", 8000), budget_of("low", 2000), budget_of("high", 1024)
    (4000, 1024, None)
    """
    if effort not in _SHARES or max_tokens <= MIN_BUDGET:
        return None
    return min(max(int(_SHARES[effort] * max_tokens), MIN_BUDGET), MAX_BUDGET, max_tokens - 1)


def effort_of(budget: int, max_tokens: int) -> str:
    """Return the effort whose share of ``max_tokens`` is nearest to a budget, of those that every provider knows.

    Examples
    --------
    >>> [effort_of(budget, 10_000) for budget in (1024, 3400, 3600, 9000)]
    ['low', 'low', 'medium', 'high']
    """
    share = budget / max(max_tokens, 1)
    return min(("low", "medium", "high"), key=lambda effort: abs(_SHARES[effort] - share))
