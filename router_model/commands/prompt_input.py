"""Read the prompt of ``router-model route`` from its argument or from standard input.

Standard input may hold a chat body, a list of chat messages, or text. A text may begin with a brace too, as code and
LaTeX do. Input is refused only if it begins like a chat body and is not valid JSON: it is probably half a chat body,
and would otherwise be routed as if somebody had typed it.
"""

import json
import re
import sys
from typing import TYPE_CHECKING, cast

from router_model.features import PromptError

if TYPE_CHECKING:
    from router_model.features import PromptLike

_LIKE_CHAT = re.compile(
    r"""
      \s*\{\s*"(?:messages|model|prompt)"\s*(?::|\Z)            # a body whose first key is one of these,
    | \s*\{\s*"[^"]*"\s*:(?s:.*)"messages"\s*(?::|\Z)           # or that has messages further on,
    | \s*\[\s*\{\s*"(?:role|content)"\s*(?::|\Z)                # or the list of messages alone
    """,
    re.VERBOSE,
)


def read_prompt(prompt: str, *, plain: bool = False) -> "PromptLike":
    """Return the prompt argument or, if it is ``-``, standard input.

    Parameters
    ----------
    plain : bool
        Read standard input as text, even if it looks like a chat body.

    Raises
    ------
    PromptError
        If standard input begins like a chat body and is not valid JSON.
    """
    if prompt != "-":
        return prompt
    text = sys.stdin.buffer.read().decode("utf-8-sig", "replace")  # some editors write a byte order mark first
    return text if plain else parse_input(text)


def parse_input(text: str) -> "PromptLike":
    """Parse the text if it is a chat body or a list of messages; otherwise return the text.

    Raises
    ------
    PromptError
        If it begins like a chat body and is not valid JSON.

    Examples
    --------
    >>> parse_input('[{"role": "user", "content": "Hello"}]')
    [{'role': 'user', 'content': 'Hello'}]
    >>> parse_input("{x | x > 0} is which set?")
    '{x | x > 0} is which set?'
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as exc:
        _refuse_half_a_body(text, f"{exc.msg} at line {exc.lineno}, column {exc.colno}")
        return text
    except (ValueError, RecursionError):  # a number of 5,000 digits, or brackets nested too deeply
        _refuse_half_a_body(text, "numbers too long or brackets too deep")
        return text
    is_body = isinstance(body, dict) and "messages" in body
    is_messages = isinstance(body, list) and bool(body) and all(isinstance(m, dict) and "role" in m for m in body)
    return cast("PromptLike", body) if is_body or is_messages else text


def _refuse_half_a_body(text: str, where: str) -> None:
    """Raise an error for text that begins like a chat body, because it is more likely damaged than meant as text."""
    if _LIKE_CHAT.match(text):
        raise PromptError(
            f"standard input begins like a chat body but is not JSON ({where}); "
            'expected the whole of {"messages": [{"role": "user", "content": "..."}]} or of its list of messages. '
            "If it is meant as text, add --text"
        )
