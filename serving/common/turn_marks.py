"""Marks of answers, by which a conversation is recognised when the answer comes back as one of its earlier turns.

A mark is the id of the answer's first tool call, or else how its text begins. Blanks do not count, as clients change
them. Ids that count from zero in every conversation (``functions.read:0``) and short texts ("Done.") mark nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_FEWEST_CHARS: Final = 40
_MOST_CHARS: Final = 200
_READ_CHARS: Final = 2000  # of one text, its blanks included
_MADE_ONCE: Final = re.compile(r"(?=[A-Za-z]*[0-9])[0-9A-Za-z]{8}")
_MOST_TURNS: Final = 2


@dataclass(slots=True)
class TurnMark:
    """The mark of one answer; it is noted while the answer comes.

    Attributes
    ----------
    call_id : of the first tool call that has one made for it alone; empty if there is none
    said : the beginning of the text, without blanks

    Examples
    --------
    >>> mark = TurnMark()
    >>> mark.add_text("I will read ")
    >>> mark.value is None
    True
    >>> mark.add_call("call_8f0a2b1c44d0")
    >>> mark.value
    'call:call_8f0a2b1c44d0'
    """

    call_id: str = ""
    said: str = ""

    def add_text(self, text: object) -> None:
        """Take the next piece of the answer's text."""
        if isinstance(text, str) and len(self.said) < _MOST_CHARS:
            self.said = (self.said + "".join(text[:_READ_CHARS].split()))[:_MOST_CHARS]

    def add_call(self, call_id: object) -> None:
        """Take the id of a tool call."""
        if not self.call_id and isinstance(call_id, str) and _MADE_ONCE.search(call_id[:_MOST_CHARS]):
            self.call_id = call_id[:_MOST_CHARS]

    @property
    def value(self) -> str | None:
        """The mark; None if the answer has none."""
        if self.call_id:
            return f"call:{self.call_id}"
        return f"text:{self.said}" if len(self.said) >= _FEWEST_CHARS else None


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
        mark = TurnMark()
        for part in _parts(message.get("content")):
            mark.add_text(part.get("text"))
            mark.add_call(part.get("id"))
        for call in _parts(message.get("tool_calls")):
            mark.add_call(call.get("id"))
        if mark.value is not None:
            marks.append(mark.value)
            if len(marks) == _MOST_TURNS:
                break
    return marks


def note_answer(mark: TurnMark, said: Mapping[str, Any]) -> None:
    """Note what an answer, or one event of its stream, says; in the format of any surface."""
    if "choices" in said:
        _note_choice(mark, next(_parts(said["choices"]), {}))
    elif "candidates" in said:
        _note_candidate(mark, next(_parts(said["candidates"]), {}))
    elif "output" in said:
        for item in _parts(said["output"]):
            _note_item(mark, item)
    elif isinstance(said.get("content"), list):
        for block in _parts(said["content"]):
            _note_block(mark, block)
    else:
        _note_event(mark, said)


def _note_choice(mark: TurnMark, choice: Mapping[str, Any]) -> None:
    message = choice.get("delta") or choice.get("message")
    if isinstance(message, Mapping) and not choice.get("index"):
        mark.add_text(message.get("content"))
        for call in _parts(message.get("tool_calls")):
            mark.add_call(call.get("id"))


def _note_candidate(mark: TurnMark, candidate: Mapping[str, Any]) -> None:
    content = candidate.get("content")
    for part in _parts(content.get("parts") if isinstance(content, Mapping) else None):
        if not part.get("thought"):
            mark.add_text(part.get("text"))
            for call in _parts([part.get("functionCall")]):
                mark.add_call(call.get("id"))


def _note_event(mark: TurnMark, event: Mapping[str, Any]) -> None:
    """Note an event that says its type: Anthropic's and those of Responses."""
    kind, delta = event.get("type"), event.get("delta")
    if kind == "response.output_text.delta":
        mark.add_text(delta)
    elif kind == "content_block_delta" and isinstance(delta, Mapping):
        mark.add_text(delta.get("text"))
    elif kind == "content_block_start":
        for block in _parts([event.get("content_block")]):
            _note_block(mark, block)
    elif kind == "response.output_item.added":
        for item in _parts([event.get("item")]):
            mark.add_call(item.get("call_id"))


def _note_block(mark: TurnMark, block: Mapping[str, Any]) -> None:
    mark.add_text(block.get("text"))
    if block.get("type") == "tool_use":
        mark.add_call(block.get("id"))


def _note_item(mark: TurnMark, item: Mapping[str, Any]) -> None:
    mark.add_call(item.get("call_id"))
    if item.get("type") == "message":
        for part in _parts(item.get("content")):
            mark.add_text(part.get("text"))


def _parts(content: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list; a text counts as one part."""
    if isinstance(content, str):
        yield {"text": content}
    elif isinstance(content, list):
        yield from (part for part in content if isinstance(part, Mapping))
