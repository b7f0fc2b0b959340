"""Collect a stream, and assemble the whole answer in the provider's format.

A stream shows early that a provider is at work, and what it has used so far; a whole answer shows nothing before its
end. So whole answers are asked for as streams, too, where the stream has all that the whole answer would have.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from router_model.serving.formats.format import Assembler, Call, Facts, Surface
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, mapping, text
from router_model.serving.providers.failures import UpstreamFailure

_EVENT_END: Final = b"\n\n"
_FEWEST_JOINED: Final = 4
_TEXT: Final = re.compile(rb"""(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*""")
"""A text as JSON has it; none with an escape that may be half a character."""
_TEXT_EVENT: Final = re.compile(
    rb"""((?:event:\ \w+\n)?data:\ \{[^{}]*(?:"choices":\s*\[\s*\{[^{}]*)?"delta":\s*\{\s*
    (?:"(?:role|type)":\s*"\w*"\s*,\s*)?"(?:content|text)":\s*")(%b)("
    (?:\s*,\s*"\w+":\s*(?:null|"assistant"))*\s*\}[^{}]*\}(?:\s*\][^{}]*\})?)"""
    % _TEXT.pattern,
    re.VERBOSE,
)
"""An event of one choice, or of none, that says a piece of text and nothing else that adds up."""
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


def joined_texts(data: bytes) -> bytes:
    r"""Return a piece of a stream in which neighbouring events that differ only in their text are one, with all of it.

    Where a provider is fast, many events come in one read, and reading one takes as long as reading all of them joined.

    Examples
    --------
    >>> said = (b'{"delta":{"content":"a"}}', b'{"delta":{"content":"b\\n"}}', b'{"delta":{"content":"c"}}', b"[DONE]")
    >>> joined_texts(b"".join(b"data: %b\n\n" % one for one in said))
    b'data: {"delta":{"content":"ab\\nc"}}\n\ndata: [DONE]\n\n'
    """
    *events, rest = data.split(_EVENT_END)
    if len(events) < _FEWEST_JOINED:
        return data
    joined: list[bytes] = []
    at = 0
    while at < len(events):
        event, n_joined = _joined_to_first(events, at)
        joined.append(event)
        at += n_joined
    return _EVENT_END.join((*joined, rest))


def _joined_to_first(events: list[bytes], at: int) -> tuple[bytes, int]:
    """Return the event at a place, joined with those behind it that only have another text, and how many that are."""
    found = _TEXT_EVENT.fullmatch(events[at])
    if found is None:
        return events[at], 1
    head, text, tail = found.groups()
    texts, n_around = [text], len(head) + len(tail)
    for event in islice(events, at + 1, None):
        if not (len(event) >= n_around and event.startswith(head) and event.endswith(tail)):
            break
        text = event[len(head) : len(event) - len(tail)]
        if not _TEXT.fullmatch(text):
            break
        texts.append(text)
    return head + b"".join(texts) + tail, len(texts)


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
