"""Repair tool calls, in pieces or whole, so that they follow OpenAI's format.

In the standard form each piece of a stream has the index of its call. The first piece has the id and the name, and the
others have pieces of the arguments, which are JSON in a text. What is found instead:

| who | what |
|---|---|
| Gemini's OpenAI surface, older Ollama, relays | no index: whole calls, each with an id |
| Ollama, Dynamo, relays of Gemini and of Responses | index 0 for each of several calls |
| vLLM, SGLang, relays | id or name again with every piece; an id that is new with every piece |
| relays in Java and Go | an index as text; null for what a piece does not say; arguments as an object |
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, index_or_none, mapping, mappings, text

_OURS: Final = frozenset({"index", "id", "type", "function", "name", "arguments", "parameters"})
_NO_ARGUMENTS: Final = "{}"
_BEFORE_AN_OBJECT: Final = (":", ",", "[")
"""The text before an object that is nested in another one."""


def whole_calls(calls: object) -> list[Json]:
    r"""Return the tool calls of a whole message: each has an id of its own, and arguments that are JSON in a text.

    >>> whole_calls([{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}])[0]["function"]
    {'name': 'f', 'arguments': '{"a":1}'}
    >>> whole_calls([{"id": "c1", "function": {"name": "now", "arguments": None}}])[0]["function"]["arguments"]
    '{}'
    """
    whole: list[Json] = []
    seen: set[str] = set()
    for call in _listed(calls):
        identifier = text(call.get("id"))
        identifier = identifier if identifier and identifier not in seen else made_up_id()
        seen.add(identifier)
        if "custom" in call:
            whole.append({**call, "id": identifier})
            continue
        function = {**_function(call), "arguments": _whole_arguments(_function(call).get("arguments"))}
        rest = {name: value for name, value in call.items() if name not in _OURS}
        whole.append({"id": identifier, "type": "function", "function": function, **rest})
    return whole


def made_up_id() -> str:
    """Return an id for a call that has none, or one that another call has already."""
    return f"call_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """One piece as it came; a field is empty if the piece lacks it."""

    index: int | None
    id: str
    name: str
    arguments: str
    has_arguments: bool
    more: Json
    is_custom: bool

    @classmethod
    def of(cls, piece: Mapping[str, Any], index: int | None) -> "_Piece":
        function = _function(piece)
        arguments = function.get("arguments")
        given = index_or_none(piece)
        return cls(
            index=index if given is None else given,
            id=text(piece.get("id")),
            name=text(function.get("name")) or text(mapping(piece.get("custom")).get("name")),
            arguments=_piece_of_arguments(arguments),
            has_arguments=arguments is not None,
            more={name: value for name, value in piece.items() if name not in _OURS and value is not None},
            is_custom="custom" in piece,
        )


@dataclass(slots=True)
class _Call:
    """One call as far as it has come; `id` as given, `index` its place among those that were sent."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    more: Json = field(default_factory=dict)
    index: int | None = None
    is_custom: bool = False
    may_be_none: bool = False

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a whole object, so that what comes next is another call's."""
        return _is_object(self.arguments)


class CallPieces:
    """Puts the pieces of one choice's tool calls in order.

    A call is sent once its name is known for sure: with the first piece that says its arguments, be they empty.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._sent_ids: list[str] = []

    def __bool__(self) -> bool:
        """Tell whether a tool has been called."""
        return bool(self._calls)

    @property
    def are_cut(self) -> bool:
        """Whether the arguments of a call have begun and are not whole."""
        return any(call.pieces and not call.is_custom and not call.is_whole for call in self._calls)

    def take(self, pieces: object) -> list[Json]:
        """Return the pieces to send; some pieces are held back for now."""
        listed = _listed(pieces)
        # Several pieces at once are of several calls, told apart by place; one alone may go on with the last call.
        are_places = len(listed) > 1 and all(index_or_none(piece) is None for piece in listed)
        sent: list[Json] = []
        for place, piece in enumerate(listed):
            sent += self._take(_Piece.of(piece, place if are_places else None))
        return sent

    def finish(self, *, is_cut: bool) -> list[Json]:
        """Return what was held back, and the arguments of calls without any; of a cut answer nothing is completed."""
        sent: list[Json] = []
        for call in [] if is_cut else self._calls:
            if call.index is None and not (call.may_be_none and not call.pieces):
                call.pieces = call.pieces or [_NO_ARGUMENTS]
                sent.append(self._begin(call))
            elif call.index is not None and not call.pieces and not call.is_custom:
                call.pieces = [_NO_ARGUMENTS]
                sent.append({"index": call.index, "function": {"arguments": _NO_ARGUMENTS}})
        return sent

    def _take(self, piece: _Piece) -> list[Json]:
        call = self._call_of(piece)
        if call is None:
            return []  # a whole call that was there already
        added_name = _add_name(call, piece.name)
        call.id = call.id or piece.id
        if piece.arguments:
            # Only the first piece can be JSON within JSON: a later one that begins with a quote is within an object.
            call.pieces.append(piece.arguments if call.pieces else _unwrapped(piece.arguments))
        if call.index is None:
            call.more |= piece.more
            is_known = call.is_custom or (call.name and (call.pieces or (piece.has_arguments and not call.may_be_none)))
            return [self._begin(call)] if is_known else []
        function = {"name": added_name} if added_name and not call.is_custom else {}
        function |= {"arguments": piece.arguments} if piece.arguments or (piece.has_arguments and not function) else {}
        said = ({"function": function} if function else {}) | piece.more
        return [{"index": call.index, **said}] if said else []

    def _begin(self, call: _Call) -> Json:
        """Return the first piece of a call."""
        call.index = len(self._sent_ids)
        identifier = call.id if call.id and call.id not in self._sent_ids else made_up_id()
        self._sent_ids.append(identifier)
        if call.is_custom:
            return {"index": call.index, "id": identifier, "type": "custom", **call.more}
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": call.index, "id": identifier, "type": "function", "function": function, **call.more}

    def _call_of(self, piece: _Piece) -> _Call | None:
        """Return the call that a piece belongs to, a new one if it begins one; None if it repeats a whole call."""
        known = self._by_id.get(piece.id) if piece.id else None
        here = self._by_index.get(piece.index) if piece.index is not None else None
        if piece.index is None:
            call = known or (self._calls[-1] if self._calls else None)
        elif here is None:
            # A name at a new index begins a call even if the id is known: some servers give all calls one id.
            call = None if piece.name else known
        else:
            call = here if known is None or here.id == piece.id else known
        if call is not None and piece.name:
            if _repeats(call, piece):
                return None
            if _begins_anew(call, piece):
                call = None
        if call is None:
            return self._new(piece)
        if piece.id:
            self._by_id.setdefault(piece.id, call)
        return call

    def _new(self, piece: _Piece) -> _Call:
        last = self._calls[-1] if self._calls else None
        call = _Call(is_custom=piece.is_custom)
        # A name again, without anything else, may be that of the last call or begin one more of the same function.
        call.may_be_none = last is not None and not piece.id and not piece.arguments and piece.name == last.name
        self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        if piece.id:
            self._by_id[piece.id] = call
        return call


def _repeats(call: _Call, piece: _Piece) -> bool:
    """Tell whether a piece is a whole call again, which some servers send once more at the end."""
    same = piece.name == call.name and piece.id in ("", call.id)
    return same and bool(piece.arguments) and piece.arguments == call.arguments and call.is_whole


def _begins_anew(call: _Call, piece: _Piece) -> bool:
    """Tell whether a piece with a name begins another call than the one whose id or index it has, or is next to."""
    is_other_id = bool(piece.id and call.id and piece.id != call.id)
    if is_other_id:
        return not _goes_on(call, piece)
    if call.pieces:
        # Some servers repeat the name with every piece; after whole arguments, without an id, it is the next call's.
        is_repeated = piece.name == call.name and (not piece.arguments or not call.is_whole)
        return not (is_repeated and (piece.id or not call.is_whole))
    # Before its arguments, a name can come in pieces, or with every piece. If no call has an id, and this one has
    # said its arguments or has no index, another name is another call's.
    has_no_ids = not piece.id and not call.id
    return (
        has_no_ids and piece.name != call.name and bool(call.name) and (call.index is not None or piece.index is None)
    )


def _goes_on(call: _Call, piece: _Piece) -> bool:
    """Tell whether a piece with another id continues a call all the same: its id is new with every piece."""
    if piece.name != call.name or not call.pieces or call.is_whole:
        return False
    begins_object = piece.arguments.lstrip().startswith("{")
    return not begins_object or call.arguments.rstrip().endswith(_BEFORE_AN_OBJECT)


def _add_name(call: _Call, name: str) -> str:
    """Add a name, or a piece of one, to a call; return its new part."""
    if not name or call.pieces or name == call.name:
        if name and not call.name:
            call.name = name
        return ""
    before, call.name = call.name, name if name.startswith(call.name) else call.name + name
    return call.name[len(before) :]


def _listed(calls: object) -> list[Json]:
    return [calls] if isinstance(calls, dict) else mappings(calls)


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the function of a call; some servers put its name and arguments into the call itself."""
    function = mapping(call.get("function"))
    function = function or {name: call[name] for name in ("name", "arguments", "parameters") if name in call}
    if "parameters" in function and "arguments" not in function:
        function = {**function, "arguments": function["parameters"]}
        del function["parameters"]
    return function


def _piece_of_arguments(arguments: object) -> str:
    if isinstance(arguments, str | None):
        return arguments or ""
    return dump(arguments).decode() if arguments else ""  # an object without fields stands before those that come


def _whole_arguments(arguments: object) -> str:
    """Return whole arguments as JSON in a text."""
    said = _piece_of_arguments(arguments)
    return _unwrapped(said) if said.strip() else _NO_ARGUMENTS


def _unwrapped(said: str) -> str:
    """Return an object that is JSON in a text that is JSON itself; any other value is returned as it is."""
    if said.lstrip().startswith('"'):
        try:
            inner = orjson.loads(said)
        except orjson.JSONDecodeError:
            return said
        return inner if _is_object(inner) else said
    return said


def _is_object(said: str) -> bool:
    try:
        return isinstance(orjson.loads(said), dict)
    except orjson.JSONDecodeError:
        return False
