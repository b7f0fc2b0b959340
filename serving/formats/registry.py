"""Find the formats, and the translation between them, for a surface and a kind of provider."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.embeddings import NO_EMBEDDINGS, EmbeddingsFormat
from router_model.serving.formats.format import KIND_OF_SURFACE, Facts, Format, StreamTranslation, Surface, Translation
from router_model.serving.formats.shapes import Json, mappings, text
from router_model.serving.providers.provider import Kind


@cache
def adapter_for(surface: Surface, kind: Kind) -> Adapter:
    """Return what speaks a surface's format to a kind of provider; the same one every time.

    Examples
    --------
    >>> adapter_for(Surface.CHAT, Kind.ECHO).translation is None
    True
    """
    if surface is Surface.EMBEDDINGS:
        embeddings = EmbeddingsFormat()
        has_embeddings = _speaks_openai(kind) or kind is Kind.RESPONSES
        return Adapter(embeddings, embeddings, None if has_embeddings else NO_EMBEDDINGS)
    return Adapter(_format(KIND_OF_SURFACE[surface]), _format(kind), _translation(surface, kind))


def _speaks_openai(kind: Kind) -> bool:
    return kind in {Kind.OPENAI, Kind.ECHO}


def _format(kind: Kind) -> Format:
    """Return a kind's format; imported when the first call needs it, as most services speak to one or two kinds."""
    if kind is Kind.ANTHROPIC:
        from router_model.serving.formats.anthropic.messages_format import AnthropicFormat  # noqa: PLC0415

        return AnthropicFormat()
    if kind is Kind.GEMINI:
        from router_model.serving.formats.gemini.generate_format import GeminiFormat  # noqa: PLC0415

        return GeminiFormat()
    if kind is Kind.RESPONSES:
        from router_model.serving.formats.responses.responses_format import ResponsesFormat  # noqa: PLC0415

        return ResponsesFormat()
    from router_model.serving.formats.openai.chat_format import OpenAIFormat  # noqa: PLC0415

    return OpenAIFormat()


def _translation(surface: Surface, kind: Kind) -> Translation | None:
    steps = _translations().get((surface, Kind.OPENAI if _speaks_openai(kind) else kind), ())
    return composed(*steps) if len(steps) > 1 else next(iter(steps), None)


@cache
def _translations() -> dict[tuple[Surface, Kind], tuple[Translation, ...]]:
    """Return the translations of each pair; imported when the first call needs one, as most need none."""
    from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC  # noqa: PLC0415
    from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI  # noqa: PLC0415
    from router_model.serving.formats.translations.chat_to_responses import CHAT_TO_RESPONSES  # noqa: PLC0415
    from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI  # noqa: PLC0415
    from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI  # noqa: PLC0415
    from router_model.serving.formats.translations.responses_to_openai import RESPONSES_TO_OPENAI  # noqa: PLC0415

    return {
        (Surface.CHAT, Kind.ANTHROPIC): (CHAT_TO_ANTHROPIC,),
        (Surface.CHAT, Kind.GEMINI): (CHAT_TO_GEMINI,),
        (Surface.CHAT, Kind.RESPONSES): (CHAT_TO_RESPONSES,),
        (Surface.RESPONSES, Kind.OPENAI): (RESPONSES_TO_OPENAI,),
        (Surface.RESPONSES, Kind.ANTHROPIC): (RESPONSES_TO_OPENAI, CHAT_TO_ANTHROPIC),
        (Surface.RESPONSES, Kind.GEMINI): (RESPONSES_TO_OPENAI, CHAT_TO_GEMINI),
        (Surface.MESSAGES, Kind.OPENAI): (MESSAGES_TO_OPENAI,),
        (Surface.MESSAGES, Kind.GEMINI): (MESSAGES_TO_OPENAI, CHAT_TO_GEMINI),
        (Surface.MESSAGES, Kind.RESPONSES): (MESSAGES_TO_OPENAI, CHAT_TO_RESPONSES),
        (Surface.GENERATE, Kind.OPENAI): (GENERATE_TO_OPENAI,),
        (Surface.GENERATE, Kind.ANTHROPIC): (GENERATE_TO_OPENAI, CHAT_TO_ANTHROPIC),
        (Surface.GENERATE, Kind.RESPONSES): (GENERATE_TO_OPENAI, CHAT_TO_RESPONSES),
    }


@cache
def composed(to_openai: Translation, from_openai: Translation) -> Translation:
    """Return two translations, one after the other.

    Parameters
    ----------
    to_openai : from the surface's format to OpenAI's
    from_openai : from OpenAI's format to the provider's
    """
    return Translation(
        request=lambda body: from_openai.request(to_openai.request(body)),
        answer=lambda answer: to_openai.answer(from_openai.answer(answer)),
        stream=lambda: _ComposedStream(from_openai.stream(), to_openai.stream()),
        knows=to_openai.knows,
    )


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
