"""A translation by way of OpenAI's format: Anthropic's surface to Gemini, Google's surface to Anthropic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router_model.serving.formats.format import Facts, Json, StreamTranslation, Translation
from router_model.serving.formats.shapes import mappings, text


@dataclass(frozen=True, slots=True)
class Composed:
    """Two translations, one after the other (a `Translation`).

    Attributes
    ----------
    to_openai : Translation
        From the surface's format to OpenAI's.
    from_openai : Translation
        From OpenAI's format to the provider's.
    """

    to_openai: Translation
    from_openai: Translation

    def request(self, body: Mapping[str, Any]) -> Json:
        """Return the body for the provider."""
        return self.from_openai.request(self.to_openai.request(body))

    def answer(self, answer: Json) -> Json:
        """Return the surface's answer."""
        return self.to_openai.answer(self.from_openai.answer(answer))

    def stream(self) -> StreamTranslation:
        """Return what translates one stream."""
        return _ComposedStream(self.from_openai.stream(), self.to_openai.stream())


class _ComposedStream:
    """Events of the provider become chunks, and these the surface's events."""

    def __init__(self, to_chunks: StreamTranslation, to_events: StreamTranslation) -> None:
        self._to_chunks = to_chunks
        self._to_events = to_events
        self._reason: str | None = None

    def translate(self, event: Json) -> Sequence[Json]:
        return [*self._events(self._to_chunks.translate(event))]

    def end(self, facts: Facts) -> Sequence[Json]:
        """Return the last events; the second translation is told the reason to finish in OpenAI's words."""
        events = [*self._events(self._to_chunks.end(facts))]
        reason = self._reason or facts.finish_reason
        return [*events, *self._to_events.end(replace(facts, finish_reason=reason))]

    def _events(self, chunks: Sequence[Json]) -> Iterator[Json]:
        for chunk in chunks:
            for choice in mappings(chunk.get("choices")):
                self._reason = self._reason or text(choice.get("finish_reason")) or None
            yield from self._to_events.translate(chunk)
