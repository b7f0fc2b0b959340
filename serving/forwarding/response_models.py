"""Whether the model that answered is the one that was asked for: dates and stages may differ, the model may not."""

import re
from functools import lru_cache
from typing import Final

_PARTS: Final = re.compile(r"[-_:@\s]+")
_QUALIFIER: Final = re.compile(r"0|\d\d|\d{3,}|v\d+|latest|preview|exp|experimental|beta|stable")


@lru_cache(maxsize=1024)
def is_other_model(asked: str, answered: str) -> bool:
    """Tell whether two ids name wholly different models, not dated or staged versions of one.

    Examples
    --------
    >>> is_other_model("gpt-4o", "gpt-4o-2024-08-06"), is_other_model("openai/gpt-4o", "gpt-4o")
    (False, False)
    >>> is_other_model("claude-sonnet-4-0", "claude-sonnet-4-20250514")
    False
    >>> is_other_model("gpt-4o", "gpt-4o-mini"), is_other_model("gemini-2.5-flash", "gemini-2.5-pro")
    (True, True)
    """
    one, two = _parts(asked), _parts(answered)
    n_common = next(
        (i for i, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    return n_common == 0 or not all(_QUALIFIER.fullmatch(part) for part in one[n_common:] + two[n_common:])


def _parts(model: str) -> list[str]:
    return [part for part in _PARTS.split(model.lower().rpartition("/")[2]) if part]
