"""Collect a stream, and assemble the whole answer in the provider's format.

A stream shows early that a provider is at work, and what it has used so far; a whole answer shows nothing before its
end. So whole answers are asked for as streams, too, where the stream has all that the whole answer would have.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Assembler, Call, Facts, Surface
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, mapping, text
from router_model.serving.providers.failures import UpstreamFailure

_MODALITIES: Final = ("responseModalities", "response_modalities")


class Assembly:
    """Collects the events of a stream instead of sending them (an `EventWriter`); its end is the whole answer."""

    def __init__(self, assembler: Assembler) -> None:
        self._assembler = assembler

    def write(self, event: Json) -> list[bytes]:
        """Keep the event; nothing is sent."""
        self._assembler.add(event)
        return []

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:  # noqa: ARG002  (the surface adds them)
        """Return the whole answer as the body that the provider would have sent."""
        return [dump(self._assembler.answer(facts))]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:  # noqa: ARG002  (the protocol's)
        """Return nothing: no part of the answer has been sent."""
        return []


def streams_say_all(call: Call) -> bool:
    """Return whether the stream of an answer can be put together to what the whole answer would be.

    Embeddings are never streamed. Speech is: but as raw samples only, whatever file format the call asks for.

    Examples
    --------
    >>> streams_say_all(Call(Surface.CHAT, {"n": 2})), streams_say_all(Call(Surface.CHAT, {"modalities": ["audio"]}))
    (True, False)
    """
    if call.surface is Surface.EMBEDDINGS:
        return False
    config = mapping(call.body.get("generationConfig"))
    asked = [call.body.get("modalities"), *(config.get(name) for name in _MODALITIES)]
    spoken = any(text(one).lower() == "audio" for names in asked if isinstance(names, list) for one in names)
    return not spoken and not call.body.get("audio")
