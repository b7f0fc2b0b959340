"""Translate Gemini's stream into chunks of a chat completion."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from router_model.serving.formats.format import Facts
from router_model.serving.formats.gemini.reader import block_reason, candidates_of, finish_reason_of, parts_of
from router_model.serving.formats.shapes import Json, index_of, text
from router_model.serving.formats.translations.chat_to_gemini.answer import (
    blocked_end,
    ending,
    logprobs_of,
    made_up_id,
    refusal,
    said,
)


@dataclass(slots=True)
class _Choice:
    """The progress of a choice: whether it has begun, how many tools it has called, why it ended."""

    begun: bool = False
    n_calls: int = 0
    reason: str | None = None


class ChatStream:
    """Translates one stream.

    How a choice ends is said at the end only: some models of Google's give a finish reason with every event, and tool
    calls, which change it, may come in any.
    """

    def __init__(self) -> None:
        self._created = int(time.time())
        self._choices: dict[int, _Choice] = {}
        self._id: str | None = None
        self._model = ""
        self._blocked: str | None = None

    def translate(self, event: Json) -> Sequence[Json]:
        """Return one chunk for each candidate with content; none for an event that has counts only."""
        self._id = self._id or text(event.get("responseId")) or made_up_id(event)
        self._model = text(event.get("modelVersion")) or self._model
        self._blocked = block_reason(event) or self._blocked
        return [self._chunk(choice) for candidate in candidates_of(event) if (choice := self._choice(candidate))]

    def end(self, facts: Facts) -> Sequence[Json]:  # noqa: ARG002  (the surface's writer says the usage)
        """Return a chunk that says how each choice ended."""
        if self._blocked is not None and not self._choices:
            delta = {"role": "assistant", **refusal(self._blocked)}
            return [self._chunk({"index": 0, "delta": delta, **blocked_end(self._blocked)})]
        return [self._end_of(index) for index in sorted(self._choices)]

    def _end_of(self, index: int) -> Json:
        state = self._choices[index]
        end = ending(state.reason or self._blocked, has_calls=state.n_calls > 0)
        return self._chunk({"index": index, "delta": {}, "logprobs": None, **end})

    def _choice(self, candidate: Json) -> Json | None:
        index = index_of(candidate)
        state = self._choices.setdefault(index, _Choice())
        what = said(parts_of(candidate), self._id, index, state.n_calls)
        state.reason = finish_reason_of(candidate) or state.reason
        delta = what.fields()
        if what.calls:
            delta["tool_calls"] = [{"index": state.n_calls + i, **call} for i, call in enumerate(what.calls)]
            state.n_calls += len(what.calls)
        logprobs = logprobs_of(candidate)
        if not delta and logprobs is None:
            return None
        if not state.begun:
            delta, state.begun = {"role": "assistant", **delta}, True
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}

    def _chunk(self, choice: Json) -> Json:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": [choice],
        }
