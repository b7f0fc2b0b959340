import pytest

from router_model.serving.formats.format import Surface
from router_model.serving.formats.openai.chat_format import OpenAIFormat
from router_model.serving.formats.registry import adapter_for, composed
from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC
from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI
from router_model.serving.formats.translations.chat_to_responses import CHAT_TO_RESPONSES
from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI
from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI
from router_model.serving.formats.translations.responses_to_openai import RESPONSES_TO_OPENAI
from router_model.serving.providers.provider import Kind

CHATTING = [surface for surface in Surface if surface is not Surface.EMBEDDINGS]


@pytest.mark.parametrize(
    ("surface", "kind", "translation"),
    [
        (Surface.CHAT, Kind.OPENAI, None),
        (Surface.CHAT, Kind.ECHO, None),
        (Surface.CHAT, Kind.ANTHROPIC, CHAT_TO_ANTHROPIC),
        (Surface.CHAT, Kind.GEMINI, CHAT_TO_GEMINI),
        (Surface.MESSAGES, Kind.OPENAI, MESSAGES_TO_OPENAI),
        (Surface.MESSAGES, Kind.ECHO, MESSAGES_TO_OPENAI),
        (Surface.MESSAGES, Kind.ANTHROPIC, None),
        (Surface.MESSAGES, Kind.GEMINI, composed(MESSAGES_TO_OPENAI, CHAT_TO_GEMINI)),
        (Surface.CHAT, Kind.RESPONSES, CHAT_TO_RESPONSES),
        (Surface.MESSAGES, Kind.RESPONSES, composed(MESSAGES_TO_OPENAI, CHAT_TO_RESPONSES)),
        (Surface.GENERATE, Kind.RESPONSES, composed(GENERATE_TO_OPENAI, CHAT_TO_RESPONSES)),
        (Surface.RESPONSES, Kind.RESPONSES, None),
        (Surface.RESPONSES, Kind.OPENAI, RESPONSES_TO_OPENAI),
        (Surface.RESPONSES, Kind.ECHO, RESPONSES_TO_OPENAI),
        (Surface.RESPONSES, Kind.ANTHROPIC, composed(RESPONSES_TO_OPENAI, CHAT_TO_ANTHROPIC)),
        (Surface.RESPONSES, Kind.GEMINI, composed(RESPONSES_TO_OPENAI, CHAT_TO_GEMINI)),
        (Surface.GENERATE, Kind.OPENAI, GENERATE_TO_OPENAI),
        (Surface.GENERATE, Kind.ECHO, GENERATE_TO_OPENAI),
        (Surface.GENERATE, Kind.ANTHROPIC, composed(GENERATE_TO_OPENAI, CHAT_TO_ANTHROPIC)),
        (Surface.GENERATE, Kind.GEMINI, None),
    ],
)
def test_every_surface_reaches_every_kind(surface, kind, translation):
    assert adapter_for(surface, kind).translation == translation


def test_formats_are_those_of_the_surface_and_the_provider():
    adapter = adapter_for(Surface.MESSAGES, Kind.GEMINI)
    assert type(adapter.surface).__name__ == "AnthropicFormat"
    assert type(adapter.provider).__name__ == "GeminiFormat"


def test_the_same_pair_has_the_same_adapter():
    assert adapter_for(Surface.CHAT, Kind.OPENAI) is adapter_for(Surface.CHAT, Kind.OPENAI)
    assert isinstance(adapter_for(Surface.CHAT, Kind.ECHO).provider, OpenAIFormat)


@pytest.mark.parametrize("surface", CHATTING)
@pytest.mark.parametrize("kind", Kind)
def test_the_real_formats_are_where_the_registry_looks(surface, kind):
    for name in ("anthropic", "gemini", "translations"):
        pytest.importorskip(f"router_model.serving.formats.{name}", reason="this format is not built yet")
    adapter = adapter_for(surface, kind)
    assert adapter.surface.writer
    assert adapter.provider.reader()
