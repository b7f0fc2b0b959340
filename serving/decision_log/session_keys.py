"""Make the keys that sessions are stored under.

A conversation that nobody named is recognised by how it begins: the instructions and the first user message stay the
same from turn to turn, unless there is a clock in them; then by its last answers
(`router_model.serving.common.turn_marks`). Simplifies: two conversations of one caller that begin alike, or have a
clock at their beginning and were answered alike, are one session, which costs stickiness and nothing else.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

_HASHED_CHARS = 8192  # of a text; the rest counts by its length
_HASHED_LEAVES = 256  # texts and numbers of a message's parts
_HASHED_INSTRUCTIONS = 64  # messages
_KEY_CHARS = 32
_OWNER_CHARS = 8
_HEX = frozenset("0123456789abcdef")


def session_key(key_id: str | None, session_id: str) -> str:
    """Return the key under which a named session is kept; one caller's sessions are never another's.

    It begins with its `owner`.

    >>> session_key("a", "bc") == session_key("ab", "c")
    False
    """
    # The word keeps named sessions apart from those that are recognised by their beginning.
    return _digest(key_id, "named", key_id or "", session_id)


def owner(key: str) -> str:
    """Return a short hash of whose session a session's key is of.

    >>> owner(session_key("a", "x")) == owner(session_key("a", "y")) != owner(session_key("b", "x"))
    True
    """
    return key[:_OWNER_CHARS]


def beginning_key(key_id: str | None, user_id: str | None, messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the key of a conversation that nobody named, or None if it has no user message yet.

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


def turn_key(key_id: str | None, user_id: str | None, mark: str) -> str:
    """Return the key under which it is kept whose conversation an answer belongs to.

    >>> turn_key("a", None, "call:1") == turn_key("b", None, "call:1")
    False
    """
    return _digest(key_id, "turn", key_id or "", user_id or "", mark)


def response_key(key_id: str | None, response_id: str) -> str:
    """Return the key under which a response is kept; one caller's are never another's.

    >>> response_key("a", "resp_1") == response_key("b", "resp_1")
    False
    """
    return _digest(key_id, "response", key_id or "", response_id)


def remembered_sessions(decisions: Iterable[tuple[str | None, str | None]]) -> list[str]:
    """Return the keys under which the sessions of decisions may be kept.

    Parameters
    ----------
    decisions : pairs of key id and session id

    Returns
    -------
    list of str
        A session that the caller named is kept under a hash of both, one that it did not under its session id.

    Examples
    --------
    >>> remembered_sessions([("k", None)])
    []
    >>> remembered_sessions([("k", "s")]) == sorted(["s", session_key("k", "s")])
    True
    """
    pairs = {(key_id, session_id) for key_id, session_id in decisions if session_id is not None}
    return sorted({key for key_id, session_id in pairs for key in (session_id, session_key(key_id, session_id))})


def with_answers(remembered: Iterable[str]) -> list[str]:
    """Return those of `remembered_sessions` that answers may belong to; a session's name may be a model's, too.

    >>> with_answers(["gpt-5", session_key("k", "s")]) == [session_key("k", "s")]
    True
    """
    return [key for key in remembered if len(key) == _KEY_CHARS and _HEX.issuperset(key)]


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
