"""One tool call an answer, for callers who ask for that, where the provider's format cannot say it.

The first call stays, and the others are left out. Nothing is lost by that: the next turn shows the model its one call
with the result, and the model asks for what it still needs, as one does that calls its tools one by one. Only the
tokens of the calls that were left out are paid for.
"""

from typing import Final

from router_model.serving.formats.format import Call, Event, EventReader, Surface
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings
from router_model.serving.providers.provider import Kind

FIRST_CALL: Final = "parallel_tool_calls=first"
"""How the caller is told."""


def keeps_first_call(call: Call, kind: Kind) -> bool:
    """Tell whether a call asks for one tool call at a time, from a kind of provider that cannot be told so.

    >>> call = Call(Surface.CHAT, {"tools": [{}], "parallel_tool_calls": False})
    >>> keeps_first_call(call, Kind.GEMINI), keeps_first_call(call, Kind.ANTHROPIC)
    (True, False)
    """
    body = call.body
    if kind is not Kind.GEMINI or not body.get("tools"):
        return False
    if call.surface is Surface.MESSAGES:
        return mapping(body.get("tool_choice")).get("disable_parallel_tool_use") is True
    return body.get("parallel_tool_calls") is False


class FirstCall:
    """Leaves the first tool call of each candidate in an answer of Google's; one for each answer."""

    def __init__(self) -> None:
        self._called: set[int] = set()

    def of(self, said: Json) -> Json:
        """Return a whole answer, or one event of a stream, without the calls after the first.

        >>> parts = [{"functionCall": {"name": "look"}}, {"functionCall": {"name": "listen"}}]
        >>> FirstCall().of({"candidates": [{"content": {"parts": parts}}]})
        {'candidates': [{'content': {'parts': [{'functionCall': {'name': 'look'}}]}}]}
        """
        candidates = mappings(said.get("candidates"))
        return {**said, "candidates": [self._candidate(one) for one in candidates]} if candidates else said

    def _candidate(self, candidate: Json) -> Json:
        content = mapping(candidate.get("content"))
        parts = mappings(content.get("parts"))
        if not any("functionCall" in part for part in parts):
            return candidate
        kept = [part for part in parts if "functionCall" not in part or self._is_first(index_of(candidate))]
        return {**candidate, "content": {**content, "parts": kept}}

    def _is_first(self, index: int) -> bool:
        is_first = index not in self._called
        self._called.add(index)
        return is_first


class FirstCallReader:
    """Reads a stream of Google's (an `EventReader`) without the calls after the first; the facts are of all of it."""

    def __init__(self, reader: EventReader) -> None:
        self.facts = reader.facts
        self._reader = reader
        self._first = FirstCall()

    def read(self, event: Event) -> Json | None:
        """Return the event without the calls after the first; None of one that says nothing."""
        said = self._reader.read(event)
        return None if said is None else self._first.of(said)

    def end(self) -> list[Json]:
        """Return what the reader says at the end."""
        return [self._first.of(one) for one in self._reader.end()]
