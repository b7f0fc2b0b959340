"""Names of a service's routers, as options, keys and requests write them: ``auto:code`` asks the router ``code``."""

import re
from typing import Final

AUTO: Final = ("auto", "openrouter/auto")
"""Names of no model: the router decides."""
OPENROUTER_VARIANTS: Final = frozenset({"beta", "exacto", "extended", "floor", "free", "nitro", "online", "thinking"})
"""What OpenRouter has behind the colon of a model's name; here it is taken for the name of a router."""
DEFAULT_ROUTER: Final = "default"
"""The name of the router that has none: ARTIFACT's, and that of records that were logged before there were names."""
ROUTER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def router_in(model: str) -> str | None:
    """Return the router that a name asks for: '' of plain ``auto``; None of what is the name of a model.

    Where a name is missing behind the colon, that is ``:``, which is the name of no router.

    >>> router_in("auto"), router_in("auto:code"), router_in("gpt-5"), router_in("auto:")
    ('', 'code', None, ':')
    """
    auto, colon, name = model.partition(":")
    return (name or colon) if auto in AUTO else None


def split_named(text: str) -> tuple[str, str]:
    """Return the name and the path of ``NAME=PATH``.

    Raises
    ------
    ValueError
        If it is not that; the message says what is expected.

    Examples
    --------
    >>> split_named("code=routers/a=b")
    ('code', 'routers/a=b')
    """
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise ValueError(f"got {text!r}; expected NAME=PATH, such as code=routers/code")
    if ROUTER_NAME.fullmatch(name) is None:
        raise ValueError(
            f"the name {name!r} of {text!r} is none; expected 1 to 32 of a-z, 0-9, '.', '_' and '-', the first one a "
            "letter or digit"
        )
    return name, path
