"""What the messages tell of the session: which one it is, whether it has begun, whether tools are at work.

A caller that names no session is recognised by how its conversation begins: the instructions and the first user
message stay the same from turn to turn. Simplifies: two conversations of one caller that begin alike are one session,
which costs stickiness and nothing else.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

_HASHED_CHARS = 8192  # of a text; the rest counts by its length
_HASHED_LEAVES = 256  # texts and numbers of a message's parts
_HASHED_INSTRUCTIONS = 64  # messages
_KEY_CHARS = 32
_OWNER_CHARS = 8
_TOOL_ROLES = ("tool", "function")


def session_key(key_id: str | None, session_id: str) -> str:
    """Return the key under which a named session is kept; one caller's sessions are never another's.

    It begins with its `owner`.

    >>> session_key("a", "bc") == session_key("ab", "c")
    False
    """
    return _digest(key_id, "named", key_id or "", session_id)


def owner(key: str) -> str:
    """Return a short hash of whose session a session's key is of.

    >>> owner(session_key("a", "x")) == owner(session_key("a", "y")) != owner(session_key("b", "x"))
    True
    """
    return key[:_OWNER_CHARS]


def beginning_key(key_id: str | None, user_id: str | None, messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the key of a conversation that nobody named, or None where it has no user message yet.

    >>> first = [{"role": "user", "content": "Fix the parser."}]
    >>> later = [*first, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "commit it"}]
    >>> beginning_key("a", None, first) == beginning_key("a", None, later)
    True
    >>> beginning_key("a", None, first) == beginning_key("b", None, first)
    False
    """
    first_user = next((message for message in messages if message.get("role") == "user"), None)
    if first_user is None:
        return None
    before = takewhile(lambda message: message is not first_user, messages)
    instructions = (message for message in before if message.get("role") in ("system", "developer"))
    parts = [key_id or "", user_id or ""]
    for message in (*islice(instructions, _HASHED_INSTRUCTIONS), first_user):
        parts += [str(message.get("role")), *islice(_leaves(message.get("content")), _HASHED_LEAVES)]
    return _digest(key_id, "beginning", *parts)


def uses_tools_now(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the conversation is inside a tool loop: a tool has just answered, or is yet to.

    In OpenAI's shape (``role: tool``, ``tool_calls``) or Anthropic's (parts ``tool_result``, ``tool_use``).

    >>> call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    >>> uses_tools_now([call]), uses_tools_now([call, {"role": "tool", "content": "4"}])
    (True, True)
    >>> uses_tools_now([call, {"role": "tool", "content": "4"}, {"role": "assistant", "content": "It is 4."}])
    False
    """
    if not messages:
        return False
    last = messages[-1]
    if last.get("role") in _TOOL_ROLES or (last.get("role") == "assistant" and last.get("tool_calls")):
        return True
    content = last.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, Mapping) and part.get("type") in ("tool_result", "tool_use") for part in parts)


def _leaves(content: object) -> Iterator[str]:
    """Yield the beginnings of all texts in a message's content, with their lengths, and what else it has.

    An image is a text of megabytes: writing all of the content as JSON to hash it would take as long as deciding.
    """
    if isinstance(content, str):
        yield f"{len(content)}:{content[:_HASHED_CHARS]}"
    elif isinstance(content, Mapping):
        yield "{"
        for name, value in content.items():
            yield f"{str(name)[:_HASHED_CHARS]}="
            yield from _leaves(value)
    elif isinstance(content, list):
        yield "["
        for part in content:
            yield from _leaves(part)
    else:
        yield repr(content)[:_HASHED_CHARS]


def _digest(key_id: str | None, *parts: str) -> str:
    whose, which = (hashlib.sha256(text.encode()).hexdigest() for text in (key_id or "", json.dumps(parts)))
    return whose[:_OWNER_CHARS] + which[: _KEY_CHARS - _OWNER_CHARS]
