"""Which formats, and which translation between them, a surface and a kind of provider need."""

from functools import cache
from importlib import import_module
from typing import Any, Final

from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.composed import Composed
from router_model.serving.formats.embeddings import EmbeddingsFormat, NoEmbeddings
from router_model.serving.formats.format import KIND_OF_SURFACE, Format, Surface, Translation
from router_model.serving.providers.provider import Kind

_FORMATS: Final = {
    Kind.OPENAI: ("router_model.serving.formats.openai", "OpenAIFormat"),
    Kind.ECHO: ("router_model.serving.formats.openai", "OpenAIFormat"),
    Kind.ANTHROPIC: ("router_model.serving.formats.anthropic", "AnthropicFormat"),
    Kind.GEMINI: ("router_model.serving.formats.gemini", "GeminiFormat"),
}
"""Modules are imported when the first call needs them: most services speak to one or two kinds."""

_TRANSLATIONS: Final = {
    (Surface.CHAT, Kind.ANTHROPIC): ("CHAT_TO_ANTHROPIC",),
    (Surface.CHAT, Kind.GEMINI): ("CHAT_TO_GEMINI",),
    (Surface.MESSAGES, Kind.OPENAI): ("MESSAGES_TO_OPENAI",),
    (Surface.MESSAGES, Kind.GEMINI): ("MESSAGES_TO_OPENAI", "CHAT_TO_GEMINI"),
    (Surface.GENERATE, Kind.OPENAI): ("GENERATE_TO_OPENAI",),
    (Surface.GENERATE, Kind.ANTHROPIC): ("GENERATE_TO_OPENAI", "CHAT_TO_ANTHROPIC"),
}


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
        return Adapter(embeddings, embeddings, None if _speaks_openai(kind) else NoEmbeddings())
    return Adapter(_format(KIND_OF_SURFACE[surface]), _format(kind), _translation(surface, kind))


def _speaks_openai(kind: Kind) -> bool:
    return kind in {Kind.OPENAI, Kind.ECHO}


def _format(kind: Kind) -> Format:
    module, name = _FORMATS[kind]
    made: Format = getattr(import_module(module), name)()
    return made


def _translation(surface: Surface, kind: Kind) -> Translation | None:
    names = _TRANSLATIONS.get((surface, Kind.OPENAI if _speaks_openai(kind) else kind))
    if names is None:
        return None
    module: Any = import_module("router_model.serving.formats.translations")
    translations = [getattr(module, name) for name in names]
    return translations[0] if len(translations) == 1 else Composed(*translations)
