"""Find in an error's words which part of the request the model does not accept.

Most providers have no codes for it. The words are matched as whole phrases that name something of
`router_model.serving.formats.fitting.parameters`: "not supported" alone says nothing, as it may be said of a caller's
value ("image/tiff is not supported"), which is the caller's to mend.
"""

import re
from typing import Final

from router_model.serving.formats.fitting.parameters import LIMITS, PARAMETERS, REASONING_HISTORY
from router_model.serving.formats.spellings import snake


def _spellings() -> dict[str, str]:
    """Return the names of parameters by how providers spell them, in lower case."""
    spelled: dict[str, str] = {}
    for one in PARAMETERS:
        if one.name in LIMITS:
            continue
        paths = (*one.chat, *one.messages, *one.generate)
        leaves = (path.rpartition(".")[2] for path in paths)
        for spelling in (one.name, *one.called, *paths, *leaves):
            for written in (spelling, snake(spelling), spelling.replace("_", "")):
                spelled.setdefault(written.lower(), one.name)
    return spelled


_NAME_OF: Final = _spellings()
_EVERYDAY: Final = {"n", "user", "usage", "store", "image", "tool", "function", "document", "labels"}
"""Names that are words of everyday language; they count in quotes alone."""
# The longest first: the first alternative that fits counts, and 'stop' would cut 'stop sequences' short.
_BY_LENGTH: Final = sorted(_NAME_OF, key=len, reverse=True)
_ANY_NAME: Final = "|".join(map(re.escape, _BY_LENGTH))
_NAME: Final = "|".join(re.escape(word) for word in _BY_LENGTH if word not in _EVERYDAY)
_QUOTE: Final = r"['\"`“”]"
_IT: Final = (
    rf"(?:{_QUOTE}(?P<quoted>[A-Za-z_][\w.\[\] ]{{0,60}}?){_QUOTE}"
    rf"|(?<![\w./-])(?P<word>{_NAME})(?![\w/-]|\.\w))"
)
_IS_NOT: Final = (
    r"(?:is|are|was)(?: currently| yet)?(?: not|n\Wt)(?: currently| yet| longer)? "
    r"(?:supported|enabled|available|allowed|permitted|implemented|recognized|compatible)"
    r"|(?:is|are) (?:currently )?(?:unsupported|unavailable|disabled|deprecated for)"
    r"|not supported (?:by|with|for|on|in)"
    r"|(?:is|are) only supported (?:by|with|for|on|in) (?:certain|some|other|these)"
)
_EXTRA: Final = r"extra (?:inputs|fields) (?:are )?not permitted"
_PHRASES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        (
            r"\b(?:does|do|can)(?:n\Wt| ?not)(?: currently| yet)? support "
            rf"(?:the |this |any |use of |using |setting |specifying |parameters? |features? |forced |an? )*{_IT}"
        ),
        (
            rf"{_IT}(?: (?:parameter|option|field|feature|mode|values?|type|content|modality))?"
            rf"(?: of type {_QUOTE}\w+{_QUOTE})? (?:{_IS_NOT})"
        ),
        (
            r"\b(?:unsupported|unrecognized|unknown|unexpected)(?: request)? (?:parameter|argument|field|property"
            rf"|option|name|key|value|keyword argument)s?(?: supplied)?[:(]? ?{_IT}"
        ),
        rf"\b(?:cannot|can\Wt) use {_IT} with this model",
        rf"\bno endpoints found that support (?:the )?{_IT}",
        rf"\bproperty {_IT} is unsupported",
        rf"\b(?:parameter|argument)s? not supported (?:on|by|for|with) this model:? ?{_IT}",
        rf"(?:^|\bbody\.|\bbody['\"], ?['\"]|[\s('\"])(?P<word>{_ANY_NAME})['\"]?\)?(?:: |, 'msg': '){_EXTRA}",
    )
)
"""Phrases that contain the name of the refused parameter."""
_SPECIAL: Final = tuple(
    (names, re.compile(pattern, re.IGNORECASE))
    for pattern, *names in (
        (r"\bpenalty is not enabled", "presence_penalty", "frequency_penalty"),
        (r"invalid \W?signature\W? in \W?thinking\W? block", REASONING_HISTORY),
        (r"messages?[\w.\[\]' ]*reasoning\w*\W{0,3} ?(?:extra inputs|was unexpected)", REASONING_HISTORY),
        (r"tool choice requires --enable-auto-tool-choice", "tools"),
        (r"is not a multimodal model|at most 0 image", "images"),
        (r"must be verified to stream", "stream"),
        (r"system role not supported|only user and assistant roles are supported", "system"),
        (r"role \W?(?:system|developer)\W? (?:is|are) not supported|unknown variant \W?developer", "system"),
        (r"only works in thinking mode|thinking\.type\.\w+\W? is not supported", "reasoning_effort"),
        (r"\breasoning_effort\W? (?:value )?must be one of", "reasoning_effort"),
        (r"this response_format type is unavailable", "response_format"),
        (r"\btemperature\W+ and \W*top_p\W+ cannot both be specified",),
        (r"unsupported (?:value|parameter)\b.{0,80}\bmodel\b",),
        (r"max_(?:completion_|output_)?tokens.{0,120}(?:maximum allowed|at most|too large|valid range|less than or)",),
        (r"max_(?:completion_|output_)?tokens: \d+ > \d+",),
    )
)
"""Phrases of single providers, with what they name; nothing if no parameter is refused as such."""


def named_in(message: str) -> tuple[tuple[str, ...], str]:
    """Return the names of parameters that a message calls unsupported, and the phrase that says so; empty if none.

    Examples
    --------
    >>> named_in("registry.ollama.ai/library/gemma3:4b does not support tools")
    (('tools',), 'does not support tools')
    >>> named_in("The image format image/tiff is not supported")
    ((), '')
    """
    for pattern in _PHRASES:
        for match in pattern.finditer(message):
            said = match.groupdict()
            name = name_of(said.get("quoted") or said["word"])
            if name is not None:
                return (name,), match[0]
    for names, special in _SPECIAL:
        if found := special.search(message):
            return tuple(names), found[0]
    return (), ""


def name_of(spelled: str | None) -> str | None:
    """Return the name of a parameter as a provider spells it, with a path before it; None for an unknown name.

    >>> name_of("generationConfig.topK"), name_of("messages[1].reasoning_content"), name_of("reasoning.effort")
    ('top_k', 'reasoning_history', 'reasoning_effort')
    >>> name_of("tools[0].function.name"), name_of("foo")
    (None, None)
    """
    whole = (spelled or "").strip()
    parts = [part for part in re.split(r"[.\[\]]+", whole) if part and not part.isdigit() and part != "body"]
    for part in (whole, *parts[-1:], *(parts[:1] if len(parts) == 2 else ())):  # noqa: PLR2004  (reasoning.effort)
        known = _NAME_OF.get(part.lower()) or _NAME_OF.get(snake(part).lower())
        if known is not None:
            return known
    return None
