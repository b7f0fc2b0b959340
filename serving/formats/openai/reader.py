"""Chunks of a chat completion: what a stream says of itself while it is read."""

from typing import Final

from serving.formats.format import Event, Facts, Json
from serving.formats.json_text import load_object
from serving.formats.openai.bodies import text_or_none
from serving.formats.openai.choices import ERROR, EXPLAINS_NOTHING_SAID, n_written, says_something
from serving.formats.openai.failures import failure_in
from serving.formats.openai.usage import read_usage, usage_json
from serving.formats.shapes import index_of
from serving.providers.failures import FailureKind, UpstreamFailure

DONE: Final = b"[DONE]"


class ChatReader:
    """Reads the events of one stream (an `EventReader`).

    A stream is complete when every choice that began has its ``finish_reason``; ``[DONE]`` is not waited for, and
    nothing after it is read. Where nothing was said and the reason does not explain it, ``facts.finish_reason`` stays
    None: such an answer is empty.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._is_done = False
        self._unfinished: set[int] = set()
        self._finish_reasons: dict[int, str] = {}

    def read(self, event: Event) -> Json | None:
        """Return the chunk; None of ``[DONE]``, of what comes after it, and of empty data.

        Raises
        ------
        UpstreamFailure
            If it is an error, or is malformed.
        """
        data = event.data.strip()
        if data == DONE or self._is_done or not data:
            self._is_done = self._is_done or data == DONE
            return None
        chunk = load_object(data, "event of the stream")
        if event.name == ERROR or chunk.get("error") or "choices" not in chunk:
            failure = failure_in(chunk)
            if failure is not None or event.name == ERROR:
                raise failure or _error_without_words()
        self.note(chunk)
        return chunk

    def note(self, chunk: Json) -> None:
        """Add to `facts` what a chunk says."""
        facts = self.facts
        if facts.response_id is None:
            facts.response_id = text_or_none(chunk.get("id"))
            facts.response_model = text_or_none(chunk.get("model"))
        choices = chunk.get("choices")
        if choices:
            self._note_choices(choices)
        # Some providers send the usage so far with every chunk: the last one counts.
        usage = usage_json(chunk)
        if usage is not None:
            facts.usage = read_usage(usage)

    def _note_choices(self, choices: object) -> None:
        if not isinstance(choices, list):
            raise UpstreamFailure(FailureKind.MALFORMED, "choices of the provider's stream are no list")
        facts = self.facts
        for choice in choices:
            if not isinstance(choice, dict) or not isinstance(delta := choice.get("delta") or {}, dict):
                raise UpstreamFailure(FailureKind.MALFORMED, "a choice of the provider's stream has no delta")
            if not facts.has_content:
                facts.has_content = says_something(delta)
            facts.n_bytes_written += n_written(delta)
            index = index_of(choice)
            reason = choice.get("finish_reason")
            if reason:
                self._finish(choice, index, str(reason))
            elif index not in self._finish_reasons:
                self._unfinished.add(index)
                facts.is_complete = False

    def _finish(self, choice: Json, index: int, reason: str) -> None:
        if reason == ERROR:
            raise failure_in(choice) or _error_without_words()
        self._finish_reasons.setdefault(index, reason)
        self._unfinished.discard(index)
        self.facts.is_complete = not self._unfinished
        if self.facts.finish_reason is None and (self.facts.has_content or reason in EXPLAINS_NOTHING_SAID):
            self.facts.finish_reason = self._finish_reasons[min(self._finish_reasons)]


def _error_without_words() -> UpstreamFailure:
    return UpstreamFailure(
        FailureKind.SERVER, "the provider's stream ended with an error that says nothing", status=502
    )
