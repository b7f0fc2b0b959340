"""Chunks of a chat completion: what a stream says of itself while it is read."""

from typing import Final

from serving.formats.counts import later_counts
from serving.formats.format import Event, Facts, Json
from serving.formats.json_text import load_object
from serving.formats.openai.bodies import text_or_none
from serving.formats.openai.choices import EXPLAINS_NOTHING_SAID, n_written, says_something
from serving.formats.openai.failures import failure_in
from serving.formats.openai.finish import ERROR
from serving.formats.openai.tolerant import TolerantStream
from serving.formats.openai.usage import read_usage, usage_json
from serving.providers.failures import FailureKind, UpstreamFailure

DONE: Final = b"[DONE]"
_NOTHING: Final = frozenset({b"", b"null", b"{}"})


class ChatReader:
    """Reads the events of one stream (an `EventReader`); the chunks it returns are by the book.

    A stream is complete when every choice that began has its ``finish_reason``. ``[DONE]`` is not waited for, and
    nothing after it is read. A stream without a reason is complete all the same if its usage and then ``[DONE]`` came:
    who has counted the answer has come to its end. ``[DONE]`` alone does not say so, as relays send it after whatever
    ended a stream.

    Where nothing was said and the reason does not explain it, ``facts.finish_reason`` stays None: such an answer is
    empty.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._stream = TolerantStream()
        self._counts: Json = {}
        self._is_done = False
        self._unfinished: set[int] = set()
        self._finish_reasons: dict[int, str] = {}

    def read(self, event: Event) -> Json | None:
        """Return the chunk; of ``[DONE]`` the end that was not said, if there is one; None of what says nothing.

        Raises
        ------
        UpstreamFailure
            If it is an error, or is malformed.
        """
        data = event.data.strip()
        if self._is_done or data in _NOTHING:
            return None
        if data == DONE:
            return self._done()
        chunk = load_object(data, "event of the stream")
        if event.name == ERROR or chunk.get("error") or "choices" not in chunk:
            failure = failure_in(chunk)
            if failure is not None or event.name == ERROR:
                raise failure or _error_without_words()
        chunk = self._stream.chunk(chunk)
        self._note(chunk)
        return chunk

    def _done(self) -> Json | None:
        self._is_done = True
        chunk = self._stream.finish() if self.facts.usage is not None else None
        if chunk is not None:
            self._note(chunk)
        return chunk

    def _note(self, chunk: Json) -> None:
        """Add to `facts` what a chunk says."""
        facts = self.facts
        if facts.response_id is None:
            facts.response_id = text_or_none(chunk.get("id"))
        if facts.response_model is None:
            facts.response_model = text_or_none(chunk.get("model"))
        choices = chunk.get("choices")
        if choices:
            self._note_choices(choices)
        # Some providers send the usage so far with every chunk: the last one counts.
        usage = usage_json(chunk)
        if usage is not None:
            self._counts = later_counts(self._counts, usage)
            facts.usage = read_usage(self._counts)

    def _note_choices(self, choices: list[Json]) -> None:
        facts = self.facts
        for choice in choices:
            delta = choice["delta"]
            if not facts.has_content:
                facts.has_content = says_something(delta)
            facts.n_bytes_written += n_written(delta)
            index = choice["index"]
            reason = choice.get("finish_reason")
            if reason:
                self._finish(choice, index, reason)
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
