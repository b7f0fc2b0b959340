"""Read the chunks of a chat completion, and collect what a stream tells about itself."""

from typing import Final

from router_model.serving.formats.counts import later_counts
from router_model.serving.formats.format import Event, Facts
from router_model.serving.formats.json_text import load_object
from router_model.serving.formats.openai.bodies import text_or_none
from router_model.serving.formats.openai.choices import EXPLAINS_NOTHING_SAID, n_written, says_something
from router_model.serving.formats.openai.failures import failure_in
from router_model.serving.formats.openai.finish import ERROR, STOP
from router_model.serving.formats.openai.tolerant import TolerantStream
from router_model.serving.formats.openai.usage import read_usage, usage_json
from router_model.serving.formats.shapes import Json, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

DONE: Final = b"[DONE]"
_DONES: Final = frozenset({DONE, b'"[DONE]"', b"[done]", b"DONE"})
_NOTHING: Final = frozenset({b"", b"null", b"{}"})
_PINGS: Final = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})


class ChatReader:
    """Reads the events of one stream (an `EventReader`); the chunks it returns are in the standard form.

    A stream is complete when every choice that began has its ``finish_reason``. ``[DONE]`` is not waited for, and
    nothing after it is read. A stream without a reason is complete all the same if it ends with its usage, unless it is
    within a tool call. ``[DONE]`` alone does not say so, as relays send it after whatever ended a stream. Reasons are
    given to the caller at the end only, as some servers say one with every chunk; where a choice goes on after its
    reason, the end of the body is waited for.

    If nothing was said and the reason does not explain it, ``facts.finish_reason`` stays None: such an answer is
    empty.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._stream = TolerantStream()
        self._counts: Json = {}
        self._is_done = False
        self._goes_on = False
        self._unfinished: set[int] = set()
        self._finish_reasons: dict[int, str] = {}
        self._ends: dict[int, Json] = {}

    def read(self, event: Event) -> Json | None:
        """Return the chunk without its reasons to finish; None of what says nothing.

        Raises
        ------
        UpstreamFailure
            If it is an error, or is malformed.
        """
        data = event.data.strip()
        if self._is_done or data in _NOTHING:
            return None
        if data in _DONES:
            self._is_done = True
            self._take_ends_for_true()
            if self.facts.usage is not None:
                self._seem_ended()
            return None
        chunk = load_object(data, "event of the stream")
        if event.name == ERROR or chunk.get("error") or "choices" not in chunk:
            failure = failure_in(chunk)
            if failure is not None or event.name == ERROR:
                raise failure or _error_without_words()
        if event.name in _PINGS or text(chunk.get("type")) in _PINGS:
            return None
        chunk = self._stream.chunk(chunk)
        self._note(chunk)
        return self._without_ends(chunk)

    def end(self) -> list[Json]:
        """Return the chunks that finish the choices, once the body has ended; also of those that never said why."""
        self._take_ends_for_true()
        if not self.facts.is_complete:
            return []
        chunk = self._stream.finish()
        if chunk is not None:
            self._note(chunk)
            self._without_ends(chunk)
        return list(self._ends.values())

    def _keep_end(self, chunk: Json, choice: Json) -> None:
        """Keep what ends a choice: the first reason, unless that was a mere stop and another one follows."""
        before = self._ends.get(choice["index"])
        if before is not None and before["choices"][0]["finish_reason"] != STOP:
            return
        # The writer puts the usage on the last chunk; left here, the caller would get it twice.
        end = {name: value for name, value in chunk.items() if name not in {"usage", "x_groq"}}
        if says_something(choice["delta"]):
            choice = {**choice, "delta": {}} | ({"logprobs": None} if "logprobs" in choice else {})
        self._ends[choice["index"]] = {**end, "choices": [choice]}

    def _take_ends_for_true(self) -> None:
        """Believe the reasons of choices that went on after one, as nothing more comes."""
        self.facts.is_complete |= self._goes_on and not self._unfinished

    def _seem_ended(self) -> None:
        """Take the answer for complete until more of it comes."""
        self.facts.is_complete = self.facts.is_complete or self._stream.may_have_ended

    def _without_ends(self, chunk: Json) -> Json | None:
        """Keep the ends of choices for the end; return what is left of a chunk."""
        left = []
        for choice in chunk["choices"]:
            if not choice["finish_reason"]:
                left.append(choice)
                continue
            if says_something(choice["delta"]):
                left.append({**choice, "finish_reason": None})
            self._keep_end(chunk, choice)
        is_said = left or not chunk["choices"] or usage_json(chunk) is not None
        return {**chunk, "choices": left} if is_said else None

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
            # Usage beside words is no sign of an end: some providers send it with every chunk.
            if not any(choice["delta"] for choice in chunk["choices"]):
                self._seem_ended()

    def _note_choices(self, choices: list[Json]) -> None:
        facts = self.facts
        for choice in choices:
            delta = choice["delta"]
            if not facts.has_content:
                facts.has_content = says_something(delta)
            facts.n_bytes_written += n_written(delta)
            index = choice["index"]
            reason = choice.get("finish_reason")
            if says_something(delta) and index in self._finish_reasons:
                self._goes_on, facts.is_complete = True, False
            if reason:
                self._finish(choice, index, reason)
            elif index not in self._finish_reasons:
                self._unfinished.add(index)
                facts.is_complete = False

    def _finish(self, choice: Json, index: int, reason: str) -> None:
        if reason == ERROR:
            raise failure_in(choice) or _error_without_words()
        if self._finish_reasons.get(index, STOP) == STOP:
            self._finish_reasons[index] = reason
        self._unfinished.discard(index)
        self.facts.is_complete = not self._unfinished and not self._goes_on
        if self.facts.has_content or reason in EXPLAINS_NOTHING_SAID:
            self.facts.finish_reason = self._finish_reasons[min(self._finish_reasons)]


def _error_without_words() -> UpstreamFailure:
    return UpstreamFailure(
        FailureKind.SERVER, "the provider's stream ended with an error that has no message", status=502
    )
