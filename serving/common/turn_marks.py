"""Marks of answers, by which a conversation is recognised when the answer comes back as one of its earlier turns.

A mark is the id of the answer's first tool call, or else how its text begins. Blanks do not count, as clients change
them. Ids that count from zero in every conversation (``functions.read:0``) and short texts ("Done.") mark nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Piece: TypeAlias = tuple[object, object]
"""The id of a tool call, and a text; None, or anything else that is no text, where there is none."""

_FEWEST_CHARS: Final = 40
_MOST_CHARS: Final = 200
_READ_CHARS: Final = 2000  # of one text, its blanks included
_MADE_ONCE: Final = re.compile(r"(?=[A-Za-z]*[0-9])[0-9A-Za-z]{8}")
_MOST_TURNS: Final = 2


def with_piece(call_id: str, said: str, piece: Piece) -> tuple[str, str]:
    """Return the id of an answer's first tool call and the beginning of its text, after one more piece.

    >>> with_piece("", "Iwill", ("functions.read:0", " read it."))
    ('', 'Iwillreadit.')
    >>> with_piece("", "Iwill", ("call_8f0a2b1c44d0", None))
    ('call_8f0a2b1c44d0', 'Iwill')
    """
    other_id, text = piece
    if not call_id and isinstance(other_id, str) and _MADE_ONCE.search(other_id[:_MOST_CHARS]):
        call_id = other_id[:_MOST_CHARS]
    if isinstance(text, str) and len(said) < _MOST_CHARS:
        said = (said + "".join(text[:_READ_CHARS].split()))[:_MOST_CHARS]
    return call_id, said


def mark_of(call_id: str, said: str) -> str | None:
    """Return the mark of an answer; None if it has none.

    >>> mark_of("call_8f0a2b1c44d0", "Iwill"), mark_of("", "Done.")
    ('call:call_8f0a2b1c44d0', None)
    """
    if call_id:
        return f"call:{call_id}"
    return f"text:{said}" if len(said) >= _FEWEST_CHARS else None


def marks_of(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the marks of a conversation's last answers, two at most, the last one first.

    >>> answer = {"role": "assistant", "content": None, "tool_calls": [{"id": "toolu_01A09q90qw90lq"}]}
    >>> marks_of([{"role": "user", "content": "hi"}, answer, {"role": "tool", "content": "4"}])
    ['call:toolu_01A09q90qw90lq']
    """
    marks: list[str] = []
    for message in reversed(messages):
        if message.get("role") != "assistant":
            continue
        call_id = said = ""
        for part in (*_objects(message.get("content")), *_objects(message.get("tool_calls"))):
            call_id, said = with_piece(call_id, said, (part.get("id"), part.get("text")))
        mark = mark_of(call_id, said)
        if mark is not None:
            marks.append(mark)
            if len(marks) == _MOST_TURNS:
                break
    return marks


def pieces_of(said: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what an answer, or one event of its stream, says; in the format of any surface.

    >>> list(pieces_of({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}))
    [(None, 'Hi')]
    """
    if "choices" in said:
        yield from _of_choice(next(_objects(said["choices"]), {}))
    elif "candidates" in said:
        yield from _of_candidate(next(_objects(said["candidates"]), {}))
    elif "output" in said:
        for item in _objects(said["output"]):
            yield item.get("call_id"), None
            if item.get("type") == "message":
                yield from ((None, part.get("text")) for part in _objects(item.get("content")))
    elif isinstance(said.get("content"), list):
        yield from map(_of_block, _objects(said["content"]))
    else:
        yield from _of_event(said)


def _of_choice(choice: Mapping[str, Any]) -> Iterator[Piece]:
    message = choice.get("delta") or choice.get("message")
    if isinstance(message, Mapping) and not choice.get("index"):
        yield None, message.get("content")
        for call in _objects(message.get("tool_calls")):
            yield call.get("id"), None


def _of_candidate(candidate: Mapping[str, Any]) -> Iterator[Piece]:
    content = candidate.get("content")
    for part in _objects(content.get("parts") if isinstance(content, Mapping) else None):
        if not part.get("thought"):
            call = part.get("functionCall")
            yield call.get("id") if isinstance(call, Mapping) else None, part.get("text")


def _of_event(event: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what an event that says its type says: Anthropic's and those of Responses."""
    kind, delta = event.get("type"), event.get("delta")
    if kind == "response.output_text.delta":
        yield None, delta
    elif kind == "content_block_delta" and isinstance(delta, Mapping):
        yield None, delta.get("text")
    elif kind == "content_block_start":
        yield from map(_of_block, _objects([event.get("content_block")]))
    elif kind == "response.output_item.added":
        for item in _objects([event.get("item")]):
            yield item.get("call_id"), None


def _of_block(block: Mapping[str, Any]) -> Piece:
    return block.get("id") if block.get("type") == "tool_use" else None, block.get("text")


def _objects(content: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list; a text counts as one part."""
    if isinstance(content, str):
        yield {"text": content}
    elif isinstance(content, list):
        yield from (part for part in content if isinstance(part, Mapping))
