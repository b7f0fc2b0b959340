"""The tolerant reader: it repairs chat completions and chunks that nearly follow OpenAI's format.

All that comes from a provider of this format passes through here first, whole or in chunks. What follows (facts,
translations, assembling, writing) need not know what servers do differently, and what leaves us is what the official
SDKs expect. Unknown fields stay as they are.

| standard form | what servers send instead |
|---|---|
| ``id``, ``created`` in seconds, ``object`` | missing, null, a number as text, milliseconds, an id for each chunk |
| ``choices`` with ``index`` from 0, ``delta`` or ``message`` | null, one object, from 1, ``text``, each other's name |
| ``role`` in the first delta | in none, in each, ``model`` |
| ``content`` a text or null | a list of parts (Mistral's thinking, too), an object, a number |
| ``reasoning_content``, ``reasoning`` | ``thinking``, or an object |
| ``tool_calls`` | see `router_model.serving.formats.openai.tool_calls`; the older ``function_call`` |
| ``finish_reason`` | see `router_model.serving.formats.openai.finish`; none at all, or with every chunk |

``<think>`` in a content stays, as it is the model's text and callers have their own ways with it.
"""

import secrets
import time
from typing import Any, Final

from router_model.serving.formats.json_text import dump
from router_model.serving.formats.openai.finish import chat_finish, with_finish
from router_model.serving.formats.openai.tool_calls import CallPieces, whole_calls
from router_model.serving.formats.shapes import Json, index_or_none, mapping, mappings, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_MILLISECONDS: Final = 10**11
"""A number of seconds above this one (the year 5138) is one of milliseconds."""
_REASONING: Final = ("reasoning_content", "reasoning")
_OTHER_REASONING: Final = ("thinking", "thought", "reasoning_text")
_CUT: Final = frozenset({"length", "content_filter"})
_TEXTS: Final = ("text", "content", "parts", "thinking", "summary")
"""Fields of a part, or of an object in place of a text, that have the text in them."""


def by_the_book(answer: Json) -> Json:
    """Return a whole chat completion in the standard form; malformed choices stay for the reader to refuse.

    Examples
    --------
    >>> call = {"function": {"name": "now", "arguments": {}}}
    >>> answer = {"choices": [{"message": {"tool_calls": [call], "content": None}, "finish_reason": "stop"}]}
    >>> choice = by_the_book(answer)["choices"][0]
    >>> choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]
    ('tool_calls', {'name': 'now', 'arguments': '{}'})
    """
    choices = answer.get("choices")
    choices = [choices] if isinstance(choices, dict) else choices
    answer = {**answer, **_heading(answer, "chat.completion")}
    answer["id"] = answer["id"] or _made_up_id()
    if isinstance(choices, list):
        # Some servers count from 1; then the place in the list is the index.
        are_counted = _indices(choices) == set(range(len(choices)))
        answer["choices"] = [
            _whole_choice(choice, _index(choice, place) if are_counted else place)
            if isinstance(choice, dict)
            else choice
            for place, choice in enumerate(choices)
        ]
    return answer


def _index(choice: Json, place: int) -> int:
    given = index_or_none(choice)
    return place if given is None else given


def _indices(choices: list[Any]) -> set[int]:
    return {_index(choice, place) for place, choice in enumerate(choices) if isinstance(choice, dict)}


class TolerantStream:
    """Makes the chunks of one stream what they should be."""

    def __init__(self) -> None:
        self._id = ""
        self._created = 0
        self._choices: dict[int, _Choice] = {}
        self._places: dict[int, int] | None = None
        """Of choices that are not counted from 0, in the order they come in."""
        self._model: object = None

    def chunk(self, chunk: Json) -> Json:
        """Return the next chunk in the standard form; it is changed in place.

        Raises
        ------
        UpstreamFailure
            If its choices are none.
        """
        choices = chunk.get("choices")
        choices = [choices] if isinstance(choices, dict) else choices or []
        if not isinstance(choices, list):
            raise UpstreamFailure(FailureKind.MALFORMED, "'choices' of the provider's stream is not a list")
        heading = _heading(chunk, "chat.completion.chunk", self._created)
        self._created = heading["created"]
        self._id = heading["id"] = self._id or heading["id"] or (_made_up_id() if choices else "")
        chunk |= heading
        choices = [choice for choice in choices if choice is not None]
        # Only the first choices tell: in a stream that counts from 0, a later chunk may have choice 1 alone.
        if choices and not self._choices and 0 not in _indices(choices):
            self._places = {}
        chunk["choices"] = [self._choice(choice, place) for place, choice in enumerate(choices)]
        self._model = chunk.get("model") or self._model
        return chunk

    @property
    def may_have_ended(self) -> bool:
        """Whether choices have said something, but not why they ended, and none is within a tool call."""
        open_ = [state for state in self._choices.values() if state.is_open]
        return bool(open_) and not any(state.is_within_a_call for state in open_)

    def finish(self) -> Json | None:
        """Return the chunk that ends the choices that have not said why they ended.

        None if all have, or where a tool call is cut: then the answer is not at its end.
        """
        if not self.may_have_ended:
            return None
        open_ = {index: state for index, state in self._choices.items() if state.is_open}
        choices = [
            state.ended({"index": index, "delta": {}, "finish_reason": "stop"}) for index, state in open_.items()
        ]
        heading = {"id": self._id, "object": "chat.completion.chunk", "created": self._created}
        return {**heading, "model": self._model, "choices": choices}

    def _choice(self, choice: object, place: int) -> Json:
        if not isinstance(choice, dict):
            raise UpstreamFailure(FailureKind.MALFORMED, "a choice of the provider's stream has no delta")
        index = _index(choice, place)
        if self._places is not None:
            index = self._places.setdefault(index, len(self._places))
        choice["index"] = index
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = _Choice()
        return state.take(choice)


class _Choice:
    """The progress of one choice of a stream."""

    __slots__ = ("_calls", "_has_begun", "_has_delta", "_said", "has_finished", "has_said", "has_text")

    def __init__(self) -> None:
        self._calls = CallPieces()
        self._has_begun = False
        self._has_delta = False
        self._said = ""
        """By the messages so far, of a server that sends these instead of deltas."""
        self.has_text = False
        self.has_said = False
        self.has_finished = False

    @property
    def is_open(self) -> bool:
        """Whether it has said something, but not why it ended."""
        return self.has_said and not self.has_finished

    @property
    def is_within_a_call(self) -> bool:
        """Whether the arguments of a tool call have begun and are not whole."""
        return self._calls.are_cut

    def take(self, choice: Json) -> Json:
        delta = choice["delta"] = self._message(self._delta(choice))
        if delta and not self._has_begun:
            choice["delta"] = {"role": "assistant", **delta}
            self._has_begun = True
        if "tool_calls" in delta:
            self.has_finished = False  # a reason before the last call is none
        if "logprobs" in choice:
            choice["logprobs"] = choice["logprobs"] or None
        return self.ended(choice)

    def ended(self, choice: Json) -> Json:
        """Return a choice with OpenAI's word for its end, if this is it, after what was held back of tool calls."""
        reason = chat_finish(choice.get("finish_reason"), has_calls=bool(self._calls), has_text=self.has_text)
        if reason is None:
            choice["finish_reason"] = None
            return choice
        calls = self._calls.finish(is_cut=reason in _CUT)
        self.has_finished = True
        if calls:
            delta = choice["delta"]
            role = {} if self._has_begun else {"role": "assistant"}
            self._has_begun = True
            choice["delta"] = {**role, **delta, "tool_calls": [*delta.get("tool_calls", ()), *calls]}
        with_finish(choice, reason)
        return choice

    def _delta(self, choice: Json) -> Json:
        """Return the delta; if a server sends messages or texts instead, return the new part of them."""
        delta = choice.get("delta")
        if isinstance(delta, dict) and (delta or "message" not in choice or self._has_delta):
            # Remembered, because a server with deltas may send the whole message once more at the end.
            self._has_delta = self._has_delta or bool(delta)
            return delta
        if delta and not isinstance(delta, dict):
            raise UpstreamFailure(FailureKind.MALFORMED, "a choice of the provider's stream has no delta")
        said = choice.pop("message", None)
        if self._has_delta:  # the whole message again, at the end
            return {}
        if isinstance(said, dict):
            return self._news(dict(said))
        return {"content": words} if (words := text(choice.pop("text", None)) or text(said)) else {}

    def _news(self, message: Json) -> Json:
        """Return what a message says that those before did not; each may be a piece, or all so far."""
        said = text(message.get("content"))
        if self._said and said.startswith(self._said):
            message["content"] = said[len(self._said) :]
            self._said = said
        else:
            self._said += said
        return message

    def _message(self, delta: Json) -> Json:
        if "role" in delta:
            role = delta.pop("role")
            if not self._has_begun and role:
                self._has_begun = True
                delta = {"role": "assistant", **delta}
        _put_texts(delta)
        if delta.get("content") or delta.get("refusal"):
            self.has_text = self.has_said = True
        if "tool_calls" in delta or "function_call" in delta:
            self._put_calls(delta)
        self.has_said = self.has_said or bool(self._calls) or any(delta.get(name) for name in delta if name != "role")
        return delta

    def _put_calls(self, delta: Json) -> None:
        calls, function = delta.pop("tool_calls", None), delta.pop("function_call", None)
        if not calls and isinstance(function, dict) and function:
            calls = [{"index": 0, "function": function}]
        if calls and (pieces := self._calls.take(calls)):
            delta["tool_calls"] = pieces


def _whole_choice(choice: Json, index: int) -> Json:
    choice = {**choice, "index": index}
    if not isinstance(choice.get("message"), dict):
        delta, said = choice.pop("delta", None), text(choice.get("message")) or text(choice.pop("text", None))
        message = delta if isinstance(delta, dict) else {"content": said} if said else None
        if message is None:
            return choice
        choice["message"] = message
    message = choice["message"] = {**choice["message"], "role": "assistant"}
    _put_texts(message)
    calls, function = message.pop("tool_calls", None), message.pop("function_call", None)
    if not calls and isinstance(function, dict) and function:
        calls = [{"function": function}]
    if calls and (whole := whole_calls(calls)):
        message["tool_calls"] = whole
    message.setdefault("content", None)
    if "logprobs" in choice:
        choice["logprobs"] = choice["logprobs"] or None
    has_text = bool(message["content"] or message.get("refusal"))
    reason = choice.get("finish_reason")
    if not reason and (has_text or "tool_calls" in message):
        reason = choice["finish_reason"] = "stop"
    with_finish(choice, chat_finish(reason, has_calls="tool_calls" in message, has_text=has_text))
    return choice


def _put_texts(message: Json) -> None:
    """Make content and reasoning of a message or delta texts."""
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        said, thought, images = _said(content)
        message["content"] = said
        if thought and not any(message.get(name) for name in _REASONING):
            message["reasoning_content"] = thought
        if images:
            message["images"] = [*mappings(message.get("images")), *images]
    for name in (*_REASONING, "refusal"):
        value = message.get(name)
        if value is not None and not isinstance(value, str):
            message[name] = _said(value)[0] or None
    for name in _OTHER_REASONING:
        if name in message and not any(message.get(known) for known in _REASONING):
            thought = "".join(_said(message.pop(name))[:2])
            if thought:
                message["reasoning_content"] = thought


def _said(content: Any) -> tuple[str, str, list[Json]]:
    """Return the text of a content that is none, its reasoning, and its images."""
    if content is None or isinstance(content, bool):
        return "", "", []
    if isinstance(content, str):
        return content, "", []
    if isinstance(content, list):
        parts = [_said_by_part(part) for part in content]
        return "".join(p[0] for p in parts), "".join(p[1] for p in parts), [one for p in parts for one in p[2]]
    if isinstance(content, dict) and (inner := next((content[n] for n in _TEXTS if content.get(n)), None)) is not None:
        return _said(inner)
    return dump(content).decode() if content else "", "", []


def _said_by_part(part: Any) -> tuple[str, str, list[Json]]:
    kind = text(mapping(part).get("type"))
    if kind in ("thinking", "reasoning"):
        return "", "".join(_said(part.get("thinking") or part.get("reasoning") or part.get("text"))[:2]), []
    if kind == "image_url":
        return "", "", [part]
    if isinstance(part, dict) and not any(part.get(name) for name in _TEXTS):
        return "", "", []  # a reference, an empty part, or an unknown part
    return _said(part)


def _heading(body: Json, object_: str, created: int = 0) -> Json:
    return {
        "id": text(body.get("id")) or ("" if body.get("id") in (None, "") else str(body["id"])),
        "object": object_,
        "created": created or _seconds(body.get("created")),
    }


def _seconds(created: object) -> int:
    """Return a time in whole seconds; now, if there is none."""
    try:
        seconds = float(created) if isinstance(created, int | float | str) and not isinstance(created, bool) else 0.0
        return int(seconds / 1000 if seconds > _MILLISECONDS else seconds) or int(time.time())
    except (ValueError, OverflowError):
        return int(time.time())


def _made_up_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
