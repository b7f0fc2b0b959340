"""Translate chunks of a chat completion into the stream of Google's surface."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from router_model.serving.formats.format import Facts
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, text
from router_model.serving.formats.translations.generate_to_openai.answer import call_part, candidate_of, text_parts


@dataclass(slots=True)
class _Candidate:
    """The progress of a candidate: the tool calls it has begun, by their index, and whether it has ended."""

    calls: dict[int, Json] = field(default_factory=dict)
    ended: bool = False


class GenerateStream:
    """Translates one stream.

    Google's tool calls come whole, so theirs are collected until the candidate ends.
    """

    def __init__(self) -> None:
        self._candidates: dict[int, _Candidate] = {}
        self._id: str | None = None
        self._model: str | None = None

    def translate(self, event: Json) -> Sequence[Json]:
        """Return an event of all that the chunk says; none of one that has only a role, a piece of a call, or counts.

        Raises
        ------
        UpstreamFailure
            If the arguments of a tool call are not a JSON object.
        """
        self._id = self._id or text(event.get("id")) or None
        self._model = text(event.get("model")) or self._model
        candidates = [one for choice in mappings(event.get("choices")) if (one := self._candidate(choice))]
        return [self._event(candidates)] if candidates else []

    def end(self, facts: Facts) -> Sequence[Json]:  # noqa: ARG002  (the surface's writer says the usage)
        """Return the tool calls of candidates that never said why they ended."""
        candidates = [
            candidate_of(index, _calls(state), "tool_calls", None)
            for index, state in self._candidates.items()
            if state.calls and not state.ended
        ]
        return [self._event(candidates)] if candidates else []

    def _candidate(self, choice: Json) -> Json | None:
        index, delta = index_of(choice), mapping(choice.get("delta"))
        state = self._candidates.setdefault(index, _Candidate())
        for call in mappings(delta.get("tool_calls")):
            _collect(state.calls, call)
        reason = None if state.ended else text(choice.get("finish_reason"))
        parts = text_parts(delta)
        if reason:
            state.ended = True
            parts += _calls(state)
        if not parts and not reason and not choice.get("logprobs"):
            return None
        return candidate_of(index, parts, reason, choice.get("logprobs"))

    def _event(self, candidates: list[Json]) -> Json:
        return {"candidates": candidates, "modelVersion": self._model, "responseId": self._id}


def _collect(calls: dict[int, Json], piece: Json) -> None:
    """Add a piece of a tool call to what has come of it."""
    call = calls.setdefault(index_of(piece), {"id": "", "function": {"name": "", "arguments": ""}})
    function = mapping(piece.get("function"))
    call["id"] = text(piece.get("id")) or call["id"]
    call["function"]["name"] += text(function.get("name"))
    call["function"]["arguments"] += text(function.get("arguments"))
    if piece.get("extra_content"):
        call["extra_content"] = piece["extra_content"]


def _calls(state: _Candidate) -> list[Json]:
    return [call_part(state.calls[index]) for index in sorted(state.calls)]
