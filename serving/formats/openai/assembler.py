"""Assemble the chunks of a chat completion into the answer that the provider would have sent whole.

Texts are joined, lists are continued, and tool calls are filled in by their index, as OpenAI documents it for
``delta``. Of a field that nobody documented, a text in ``delta`` is taken for a piece, and anywhere else the last value
counts.
"""

from typing import Any, Final

from router_model.serving.formats.format import Facts
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings

_OF_STREAMS: Final = frozenset({"choices", "object", "obfuscation"})
"""Fields of a chunk that say nothing of the answer."""
_FIRST_COUNTS: Final = frozenset({"id", "created", "model"})
_NO_PIECES: Final = frozenset({"role", "type", "name", "id"})
"""Texts that a delta says once, or repeats as a whole."""
_OTHER_CONTENT: Final = ("tool_calls", "function_call", "refusal", "audio", "images")
"""A message with one of these fields has the content null, not an empty text."""
_JOINED: Final = ("text", "summary", "data")
"""Texts of OpenRouter's ``reasoning_details`` that come in pieces."""


class ChatAssembler:
    """Puts one stream together (an `Assembler`).

    Examples
    --------
    >>> assembler = ChatAssembler()
    >>> for delta in ({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}):
    ...     assembler.add({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    >>> assembler.answer(Facts(finish_reason="stop"))["choices"][0]["message"]
    {'role': 'assistant', 'content': 'Hello'}
    """

    def __init__(self) -> None:
        self._answer: Json = {"object": "chat.completion"}
        self._choices: dict[int, _Choice] = {}

    def add(self, event: Json) -> None:
        """Take the next chunk."""
        answer = self._answer
        for name, value in event.items():
            if name not in answer:
                if name not in _OF_STREAMS:
                    answer[name] = value
            # An empty id or model does not count as the first: Azure's first chunk has neither.
            elif value is not None and name not in _OF_STREAMS and not (answer[name] and name in _FIRST_COUNTS):
                answer[name] = value
        for choice in mappings(event.get("choices")):
            index = index_of(choice)
            if index not in self._choices:
                self._choices[index] = _Choice(index)
            self._choices[index].add(choice)

    def answer(self, facts: Facts) -> Json:
        """Return the chat completion; a choice that never said why it ended takes the reason of the stream."""
        answer = dict(self._answer)
        # Chunks say usage null until it is known; a whole answer without usage lacks the field.
        if answer.get("usage", ...) is None:
            del answer["usage"]
        answer["choices"] = [self._choices[index].whole(facts.finish_reason) for index in sorted(self._choices)]
        return answer


class _Choice:
    """One choice."""

    def __init__(self, index: int) -> None:
        self._fields: Json = {"index": index}
        self._message: Json = {"role": "assistant"}
        self._pieces: dict[str, list[str]] = {}
        self._calls: dict[int, Json] = {}

    def add(self, choice: Json) -> None:
        fields = self._fields
        for name, value in choice.items():
            if name == "delta":
                self._add_delta(mapping(value))
            elif name == "logprobs":
                _continue_lists(fields, name, value)
            elif name == "finish_reason":
                fields[name] = fields.get(name) or value
            elif name not in {"index", "message"} and (value is not None or name not in fields):
                fields[name] = value  # Perplexity repeats the whole ``message`` next to every delta

    def whole(self, finish_reason: str | None) -> Json:
        """Return the choice as a whole answer has it."""
        message = self._message
        for name, pieces in self._pieces.items():
            _put_text(message, name, "".join(pieces))
        self._pieces = {}
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        if not message.get("content") and any(message.get(name) for name in _OTHER_CONTENT):
            message["content"] = None
        message.setdefault("content", None)
        ends = self._fields.get("finish_reason") or finish_reason or "stop"
        return {**self._fields, "message": message, "finish_reason": ends}

    def _add_delta(self, delta: Json) -> None:
        message = self._message
        for name, value in delta.items():
            if value is None:
                message.setdefault(name, None)
            elif name == "tool_calls":
                self._add_calls(value)
            elif isinstance(value, str) and name not in _NO_PIECES:
                self._pieces.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._add_list(name, value)
            elif isinstance(value, dict):
                message[name] = _filled_in(mapping(message.get(name)), value)
            else:
                message[name] = value

    def _add_list(self, name: str, new: list[Any]) -> None:
        """Continue a list; a content in parts is Mistral's, whose texts after them are parts, too."""
        message = self._message
        if name == "content":
            _put_text(message, name, "".join(self._pieces.pop(name, ())))
            message[name] = _joined_parts(_parts(message.get(name)), new)
        elif name == "reasoning_details":
            message[name] = joined_details(message.get(name) or [], new)
        else:
            known = message.get(name) or []
            # Some servers send annotations again with the new ones.
            message[name] = [*known, *(one for one in new if one not in known)]

    def _add_calls(self, calls: object) -> None:
        for piece in mappings(calls):
            call = self._calls.setdefault(index_of(piece), {})
            for name, value in piece.items():
                if name == "function":
                    call[name] = _filled_in(mapping(call.get(name)), mapping(value))
                elif name != "index" and value is not None and not (name == "id" and call.get("id")):
                    call[name] = _filled_in(mapping(call.get(name)), value) if isinstance(value, dict) else value
            call.setdefault("type", "function")


def _filled_in(known: Json, new: Json) -> Json:
    """Return a call of a function, or an object of a vendor's, with what a piece adds: arguments are joined."""
    filled = dict(known)
    for name, value in new.items():
        before = filled.get(name)
        if name in {"arguments", "input"} and isinstance(before, str) and isinstance(value, str):
            filled[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            filled[name] = _filled_in(before, value)
        elif not before or (value and name not in _NO_PIECES):
            filled[name] = value
    return filled


def _put_text(message: Json, name: str, piece: str) -> None:
    """Add a text to a field that may be none yet, a text, or parts of a content."""
    before = message.get(name)
    if isinstance(before, list):
        message[name] = _joined_parts(before, _parts(piece))
    elif piece or before is None:
        message[name] = (before or "") + piece


def _parts(content: object) -> list[Any]:
    """Return a content as parts."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _joined_parts(known: list[Any], new: list[Any]) -> list[Any]:
    """Return the parts of a content; neighbours of one type are one part, as are the texts within their thinking."""
    parts = list(known)
    for part in new:
        last = parts[-1] if parts else None
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in {"text", "thinking"} or not isinstance(last, dict) or last.get("type") != kind:
            parts.append(part)
        elif isinstance(last.get(kind), list) and isinstance(part.get(kind), list):
            parts[-1] = {**last, **part, kind: _joined_parts(last[kind], part[kind])}
        else:
            parts[-1] = {**last, **part, kind: (last.get(kind) or "") + (part.get(kind) or "")}
    return parts


def joined_details(known: list[Any], new: list[Any]) -> list[Any]:
    """Return ``reasoning_details``: a piece belongs to the last one if it has its type, and its index."""
    details = list(known)
    for piece in mappings(new):
        last = details[-1] if details else {}
        if not details or any(last.get(name) != piece.get(name) for name in ("type", "index")):
            details.append(piece)
            continue
        joined = {name: (last.get(name) or "") + piece[name] for name in _JOINED if isinstance(piece.get(name), str)}
        details[-1] = {**last, **{name: value for name, value in piece.items() if value is not None}, **joined}
    return details


def _continue_lists(fields: Json, name: str, new: object) -> None:
    """Add to the lists of an object (``content`` and ``refusal`` of ``logprobs``); null if it stays null."""
    known = fields.setdefault(name, None)
    if not isinstance(new, dict):
        return
    if known is None:
        known = fields[name] = {}
    for part, values in new.items():
        before = known.get(part)
        known[part] = [*before, *values] if isinstance(before, list) and isinstance(values, list) else values or before
