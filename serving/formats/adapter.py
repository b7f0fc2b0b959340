"""Read and write one attempt: the surface's format, the provider's, and the translation between them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from router_model.serving.common.turn_marks import pieces_of
from router_model.serving.formats.assembling import Assembly, joined_texts
from router_model.serving.formats.fitting.effort import with_effort
from router_model.serving.formats.fitting.fit import FIRST_CALL, FirstCall, fitted, keeps_first_call, untranslatable
from router_model.serving.formats.fitting.fitting import Fitted
from router_model.serving.formats.format import (
    KIND_OF_SURFACE,
    Call,
    Event,
    EventWriter,
    Facts,
    Format,
    StreamTranslation,
    Surface,
    Translation,
)
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.references import check_references
from router_model.serving.formats.settling import settle
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.sse import EventParser, events_in
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Target
from router_model.serving.providers.sent import NOTHING_SENT, Sent

_PAGE: Final = b"<"
_NO_EVENTS: Final = (b"{", b"[", _PAGE)
"""The first characters of JSON and HTML, which no event begins with."""
_BEFORE: Final = b"\xef\xbb\xbf \t\r\n"
"""A byte order mark and white space, which may be before either."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Speaks one surface's format to one kind of provider.

    Attributes
    ----------
    surface, provider : Format
    translation : Translation or None
        None if both are the same format.
    """

    surface: Format
    provider: Format
    translation: Translation | None = None

    def request(self, call: Call, target: Target, key: str | None, *, refused: Collection[str] = ()) -> HttpRequest:
        """Return the HTTP request of an attempt, with a body that is fitted to the target's model.

        Parameters
        ----------
        call : Call
        target : Target
        key : str or None
        refused : names of what the model has refused before (`router_model.serving.formats.fitting.parameters`)

        Raises
        ------
        InvalidRequestError
            If the body cannot be said in the provider's format.
        """
        unsaid: tuple[str, ...] = ()
        said: Mapping[str, Any] = call.body
        if self.translation is not None and call.surface in KIND_OF_SURFACE:
            knows = self.translation.knows
            if call.surface is not Surface.RESPONSES:  # whose translation refuses what it knows in its own words
                check_references(said, target.provider.kind, knows)
            unknown = () if knows is None else tuple(sorted(name for name in said if name not in knows))
            known = {name: value for name, value in said.items() if name not in unknown}
            said, unsaid = untranslatable(known, KIND_OF_SURFACE[call.surface], target.provider.kind)
            unsaid = (*unknown, *unsaid)
        body = dict(said) if self.translation is None else self.translation.request(said)
        if self.translation is not None and call.surface is Surface.RESPONSES:
            check_references(body, target.provider.kind)
        if target.effort is not None and call.surface is not Surface.EMBEDDINGS:
            body = with_effort(body, target.effort, target.provider, is_translated=self.translation is not None)
        fit = Fitted(body) if call.surface is Surface.EMBEDDINGS else fitted(body, target, refused=refused)
        if call.openrouter and target.provider.is_openrouter:
            fit.body.update(call.openrouter)
        if _keeps_first_call(call, target):
            unsaid = (*unsaid, FIRST_CALL)
        request = self.provider.request(fit.body, call, target, key)
        sent = Sent(request.content)
        # A long body is translated in a thread, and its sizes are counted there, too, instead of later on the loop.
        if call.is_long:
            sent.count(fit.body)
        return replace(request, headers={**request.headers, **call.trace}, changes=(*unsaid, *fit.changes), sent=sent)

    def answer(
        self,
        target: Target,
        content_type: str,
        content: bytes,
        extras: Mapping[str, Any],
        *,
        call: Call | None = None,
        sent: Sent = NOTHING_SENT,
    ) -> tuple[Json, Facts]:
        """Return a whole answer for the caller, and what it says about itself.

        Parameters
        ----------
        target : Target
        content_type, content : of the provider's answer
        extras : fields that are added to the caller's answer
        call : Call or None
            None if it is not known how the caller wants the answer.
        sent : Sent
            The body of the request, by which its usage is judged; empty if it is not known.

        Raises
        ------
        UpstreamFailure
            If it is none.
        """
        answer, facts = self.provider.read_answer(content_type, content)
        settle(facts, target, sent)
        if call is not None and _keeps_first_call(call, target):
            answer = FirstCall().of(answer)
        if self.translation is not None:
            answer = self.translation.answer(answer)
        facts.note(pieces_of(answer))
        return self.surface.write_answer(answer, facts, target, extras, call), facts

    def stream(self, call: Call, target: Target, sent: Sent = NOTHING_SENT) -> "AnswerStream":
        """Return what reads one stream and writes it for the caller; `sent` is the request."""
        translation = None if self.translation is None else self.translation.stream()
        writer = self.surface.writer(call, target)
        return AnswerStream(
            target,
            self.provider,
            translation,
            writer,
            sent=sent,
            first_call=FirstCall() if _keeps_first_call(call, target) else None,
        )

    def assembly(self, target: Target) -> "AnswerStream":
        """Return what reads one stream and sends nothing; its end is the body of the provider's whole answer."""
        return AnswerStream(target, self.provider, None, Assembly(self.provider.assembler()), assembles=True)

    def failure(self, status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
        """Read an answer with an error status."""
        return self.provider.failure(status, headers, content)


def _keeps_first_call(call: Call, target: Target) -> bool:
    surface = KIND_OF_SURFACE.get(call.surface)
    return surface is not None and keeps_first_call(call.body, surface, target.provider.kind)


class AnswerStream:
    """One stream: bytes of the provider in, bytes for the caller out.

    Some servers send a whole answer although a stream was asked for. It is collected, and at its end becomes the events
    that its stream would have had. Its first character tells, because content types are wrong too often.

    Attributes
    ----------
    facts : Facts
        ``has_content`` says whether a token has come: what was sent before can still be taken back.
    n_events : int
        That said something; comments and pings do not.
    n_bytes : int
        Of the provider's, so far.
    is_whole : bool
        Whether a whole answer comes, or a page; False as long as nothing has come.
    """

    def __init__(
        self,
        target: Target,
        provider: Format,
        translation: StreamTranslation | None,
        writer: EventWriter,
        *,
        sent: Sent = NOTHING_SENT,
        first_call: FirstCall | None = None,
        assembles: bool = False,
    ) -> None:
        self._reader = provider.reader()
        self.facts = self._reader.facts
        self.n_events = 0
        self.n_bytes = 0
        self.is_whole = False
        self._target = target
        self._provider = provider
        self._translation = translation
        self._writer = writer
        self._parser = EventParser()
        self._first_call = first_call
        self._assembles = assembles
        self._sent_to_provider = sent
        self._has_begun = False
        self._whole: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Return what the caller can be sent now.

        Raises
        ------
        UpstreamFailure
            If an event is an error or malformed.
        """
        sent: list[bytes] = []
        self.n_bytes += len(data)
        if not self._has_begun and (begun := data.lstrip(_BEFORE)):
            self._has_begun, self.is_whole = True, begun.startswith(_NO_EVENTS)
        if self.is_whole:
            self._whole.append(data)
            return sent
        for several in self._parser.feed(joined_texts(data) if self._assembles else data):
            for event in events_in(several):
                sent += self._take(event)
        return sent

    def _take(self, event: Event) -> list[bytes]:
        read = self._reader.read(event)
        if read is None:
            return []
        self.n_events += 1
        return self._written(read)

    def _written(self, event: Json) -> list[bytes]:
        sent: list[bytes] = []
        event = event if self._first_call is None else self._first_call.of(event)
        for one in (event,) if self._translation is None else self._translation.translate(event):
            self.facts.note(pieces_of(one))
            sent += self._writer.write(one)
        return sent

    def end(self, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the last events, once the body has ended.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.TRUNCATED` if the stream never said that it was complete, `MALFORMED` if it contained no
            answer; with an error's own kind, if the body was an error instead of a stream.
        """
        if not self._has_begun:
            said = "the provider's stream ended before its answer did: its body is empty"
            raise UpstreamFailure(FailureKind.TRUNCATED, said)
        if self.is_whole and self._assembles:
            return [dump(self._whole_answer())]
        facts = self.facts
        sent = self._whole_as_events() if self.is_whole else self._last_event()
        for event in self._reader.end():
            sent += self._written(event)
        if not facts.is_complete:
            raise UpstreamFailure(FailureKind.TRUNCATED, "the provider's stream ended before its answer did")
        if not facts.has_content and facts.finish_reason is None:
            raise UpstreamFailure(FailureKind.MALFORMED, "the provider's stream contained no answer")
        if not self._assembles:  # the whole answer is settled, once it is read
            settle(facts, self._target, self._sent_to_provider)
        if self._translation is not None:
            for event in self._translation.end(facts):
                sent += self._writer.write(event)
        return sent + self._writer.end(facts, extras)

    def _last_event(self) -> list[bytes]:
        """Take an event whose blank line is missing at the end of the body, if it is whole."""
        sent: list[bytes] = []
        rest = self._parser.rest()
        for event in events_in(rest) if rest.data else ():
            try:
                sent += self._take(event)
            except UpstreamFailure as failure:
                # Half an event means that the stream was cut, which `end` says better.
                if failure.kind is not FailureKind.MALFORMED:
                    raise
        return sent

    def _whole_as_events(self) -> list[bytes]:
        sent: list[bytes] = []
        for event in self._provider.as_stream(self._whole_answer()):
            sent += self._take(Event(dump(event)))
        return sent

    def _whole_answer(self) -> Json:
        """Return the whole answer; raise what another body says, an error as a rule."""
        body = b"".join(self._whole).strip(_BEFORE)
        return self._provider.read_answer("text/html" if body.startswith(_PAGE) else "application/json", body)[0]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return the events that end a stream that has begun with a clean error."""
        return self._writer.fail(failure)
