"""Match model ids against the glob patterns of a request, compiled once for all models.

Most patterns are a model's id or a prefix (``openai/*``). These are looked up in sets. The others become regular
expressions. Compiling one takes about 4 microseconds for each character, so a request may only have a limited number
of characters in such patterns.
"""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final

from router_model.errors import RequestError

MAX_PATTERN_CHARS: Final = 4096
"""The most characters of all globs that are neither an id nor a prefix."""

_WILD: Final = re.compile(r"[*?\[]")
_ESCAPED: Final = re.compile(r"\[([*?\[])\]")
"""Matches a wildcard in brackets, which stands for itself."""


class Globs:
    """Several glob patterns, which match as in `fnmatch.fnmatchcase`.

    Parameters
    ----------
    globs : sequence of str

    Raises
    ------
    RequestError
        If the patterns that are neither an id nor a prefix have more than `MAX_PATTERN_CHARS` characters.

    Examples
    --------
    >>> globs = Globs(["openai/*", "large", "*-[ab]"])
    >>> [globs.first_match(model) for model in ("openai/x", "large", "small-b", "small")]
    ['openai/*', 'large', '*-[ab]', None]
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._ids: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        patterns: list[str] = []
        for glob in globs:
            if not _WILD.search(_ESCAPED.sub("", glob)):
                self._ids.setdefault(_ESCAPED.sub(r"\1", glob), glob)
            elif glob.endswith("*") and not _WILD.search(glob, 0, len(glob) - 1):
                self._prefixes.setdefault(glob[:-1], glob)
            else:
                patterns.append(glob)
        n_chars = sum(map(len, patterns))
        if n_chars > MAX_PATTERN_CHARS:
            raise RequestError(
                f"globs that are neither a model's id nor a prefix such as 'openai/*' have {n_chars} characters "
                f"together; expected at most {MAX_PATTERN_CHARS}; list the ids instead"
            )
        self._starts = tuple(self._prefixes)
        self._patterns = [(re.compile(translate(glob)), glob) for glob in patterns]

    def match(self, model: str) -> bool:
        """Return whether any pattern matches a model's id."""
        return (
            model in self._ids
            or model.startswith(self._starts)
            or any(pattern.match(model) for pattern, _ in self._patterns)
        )

    def first_match(self, model: str) -> str | None:
        """Return a pattern that matches a model's id, or None; an equal id comes before prefixes, then the others."""
        if model in self._ids:
            return self._ids[model]
        if model.startswith(self._starts):
            return next(glob for start, glob in self._prefixes.items() if model.startswith(start))
        return next((glob for pattern, glob in self._patterns if pattern.match(model)), None)


@lru_cache(maxsize=32)
def globs_of(globs: tuple[str, ...]) -> Globs:
    """Return compiled globs from a cache, because callers repeat theirs and several parts of the service use them."""
    return Globs(globs)
