"""One prompt, in whatever form it arrives: a string, chat messages, or a whole chat body.

This module decides which text of a conversation is encoded. Roles are not encoded, only the contents in their order, so
that a single user message and the same plain string have the same vector. Only a part of a very long conversation is
read (`conversation_text`).
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from router_model.features.errors import PromptError
from router_model.features.tool_counts import NO_TOOLS, ToolCounts, count_tools

MAX_ENCODED_CHARS = 8192
"""The most characters of a prompt that an encoder reads."""

OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
"""Fields of a chat body that bound the answer's tokens; OpenAI's newer name wins over the older one."""

_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Unicode's categories of control and format characters and of white space."""

_TOOL_ROLES = ("tool", "function")
_RESULT_CHARS = 200
_ERROR = re.compile(
    r"\b(errors?|exception|traceback|failed|failure|not found|denied|refused|timed out|timeout|exit code:? [1-9])\b",
    re.IGNORECASE,
)
"""Words of a tool's result that tell of an error, in its first `_RESULT_CHARS` characters: later on, they may be words
of a file that an agent reads."""

PromptLike: TypeAlias = "str | Sequence[Mapping[str, Any]] | Mapping[str, Any] | Prompt | LoggedPrompt"


@dataclass(frozen=True, slots=True)
class Prompt:
    r"""A prompt in the form the encoders read.

    Attributes
    ----------
    text : str
        The text to encode: the contents of all messages, joined by a blank line, or the part of them that
        `conversation_text` keeps.
    n_chars : int
        Length of the whole text before clipping.
    n_turns : int
        Number of messages that are not system or developer instructions (1 for a plain string).
    has_system, has_tools, wants_json, has_audio : bool
        Needs of the conversation, or of the request around it, that a model must meet.
    has_files : bool
        Whether a message holds a part that is neither text, image nor audio, such as a PDF.
    n_images : int
        Images in the messages.
    max_output_tokens : int or None
        The most tokens that the request lets a model write, reasoning included; None if it sets no limit.
    tools : ToolCounts
        Of the tools that the request offers.
    n_steps, n_tool_errors : int
        Answers of the model since the user spoke, and results of tools since then that tell of an error.
    turn : str
        The kind of an agent's call, as the service tells it and tables have it in ``turn_type``; empty if unknown.
    reasoning_effort : str or None
        The effort that the request asks for by a word (`asked_effort`); None if it leaves that open.

    Examples
    --------
    A follow-up is read together with its conversation:

    >>> Prompt.parse([{"role": "user", "content": "Fix the parser."},
    ...               {"role": "assistant", "content": "Done."},
    ...               {"role": "user", "content": "commit it"}]).text
    'Fix the parser.\n\nDone.\n\ncommit it'
    """

    text: str
    n_chars: int
    n_turns: int = 1
    has_system: bool = False
    has_tools: bool = False
    wants_json: bool = False
    has_audio: bool = False
    has_files: bool = False
    n_images: int = 0
    max_output_tokens: int | None = None
    tools: ToolCounts = NO_TOOLS
    n_steps: int = 0
    n_tool_errors: int = 0
    turn: str = ""
    reasoning_effort: str | None = None

    @property
    def has_images(self) -> bool:
        """Whether a message holds an image."""
        return self.n_images > 0

    def require_content(self) -> "Prompt":
        """Return the prompt itself, or refuse it if it is empty.

        Raises
        ------
        PromptError
            If its text has no visible characters (only white space, zero-width and control characters), and it has
            no image, audio or file. A prediction would say nothing about the call.
        """
        can_be_seen = any(unicodedata.category(sign) not in _UNSEEN for sign in self.text)
        if can_be_seen or self.n_images or self.has_audio or self.has_files:
            return self
        raise PromptError("the prompt is empty; expected text, an image, audio or a file in at least one message")

    @classmethod
    def parse(cls, value: PromptLike) -> "Prompt":
        """Read a string, a list of chat messages or a chat body with ``messages``.

        Raises
        ------
        PromptError
            If `value` is none of these, or a part of it has the wrong type for a chat body. The message says what was
            got.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(text=clip(value), n_chars=len(value))
        if isinstance(value, Mapping):
            return cls._of_body(value)
        if isinstance(value, LoggedPrompt):
            raise PromptError(
                "this prompt was logged as features (--log-prompts features), so its text is not known; what was asked "
                "for needs texts: give a table of prompts with their texts"
            )
        if isinstance(value, list | tuple):
            return cls._of_body({"messages": value})
        raise PromptError(f"a prompt is text, a list of chat messages or a chat body; got {type(value).__name__}")

    @classmethod
    def _of_body(cls, body: Mapping[str, Any]) -> "Prompt":
        messages = body.get("messages")
        if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
            raise PromptError(f"a chat body needs a list 'messages'; got {_instead_of_messages(body)}")
        parts: list[str] = []
        last_user = -1
        n_turns = n_system = n_images = n_audio = n_files = n_steps = n_tool_errors = 0
        for position, message in enumerate(messages):
            if not isinstance(message, Mapping):
                raise PromptError(f"messages[{position}] is {type(message).__name__}; expected an object")
            texts, images, audio, files = _contents(message, position)
            parts += texts
            n_images += images
            n_audio += audio
            n_files += files
            if message.get("role") == "user" and (texts or images or audio):  # results of tools count as files
                last_user = len(parts) - 1 if texts else last_user
                n_steps = n_tool_errors = 0
            n_steps += message.get("role") == "assistant"
            n_tool_errors += _tells_of_an_error(message)
            instruction = message.get("role") in ("system", "developer")
            n_system += instruction
            n_turns += not instruction
        return cls(
            text=conversation_text(parts, last_user),
            n_chars=sum(map(len, parts)) + 2 * max(len(parts) - 1, 0),
            n_turns=n_turns,
            has_system=n_system > 0,
            has_tools=bool(body.get("tools")),
            wants_json=_asks_for_json(body.get("response_format")),
            has_audio=n_audio > 0,
            has_files=n_files > 0,
            n_images=n_images,
            max_output_tokens=_output_limit(body),
            tools=count_tools(body.get("tools")),
            n_steps=n_steps,
            n_tool_errors=n_tool_errors,
            turn=str(body.get("turn_type") or ""),
            reasoning_effort=asked_effort(body),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LoggedPrompt:
    """A prompt whose features a log kept, without the text (`router_model.features.logged`).

    Attributes
    ----------
    encoder : str
        The beginning of the content hash of the encoder that made the embedding.
    text_hash : int
        `router_model.saved.artifact.prompt_hash` of the text.
    embedding : float32 array, shape (dimension,), of unit length
    surface : float32 array, shape (n_surface,)
    term_codes, term_counts : int64 arrays, shape (n_terms,)
        See `router_model.features.bag.Terms`.
    n_input_tokens : float
        Word pieces of the whole prompt.
    needs : Prompt
        What the request needs of a model; its text is empty.
    """

    encoder: str
    text_hash: int
    embedding: npt.NDArray[np.float32]
    surface: npt.NDArray[np.float32]
    term_codes: npt.NDArray[np.int64]
    term_counts: npt.NDArray[np.int64]
    n_input_tokens: float
    needs: Prompt


def asked_effort(body: Mapping[str, Any]) -> str | None:
    """Return how much a chat body asks a model to reason, in OpenAI's or OpenRouter's field; None if it does not say.

    A budget of tokens names no effort.

    >>> asked_effort({"reasoning_effort": "low"}), asked_effort({"reasoning": {"effort": "high", "exclude": True}})
    ('low', 'high')
    >>> asked_effort({"reasoning": {"enabled": False}}), asked_effort({"reasoning": {"max_tokens": 2000}})
    ('none', None)
    """
    reasoning = body.get("reasoning")
    fields: Mapping[str, Any] = reasoning if isinstance(reasoning, Mapping) else {}
    effort = body.get("reasoning_effort") or fields.get("effort")
    if isinstance(effort, str):
        return effort
    return "none" if fields.get("enabled") is False else None


def conversation_text(parts: Sequence[str], last_user: int, max_chars: int = MAX_ENCODED_CHARS) -> str:
    r"""Join the texts of a conversation; if they are too long, keep the most important parts.

    The last user turn comes first, because it is the question. Then whole texts are added, from the end of the
    conversation backwards, as long as they fit. The first text that does not fit is clipped to the remaining length.

    Parameters
    ----------
    parts : the texts in their order
    last_user : index of the last user turn's text; -1 if there is none, which means the last text

    Examples
    --------
    >>> conversation_text(["You are an editor, with a very long manual.", "commit it", "ok"], 1, max_chars=21)
    'You a\nnual.\n\ncommit it\n\nok'
    """
    if not parts:
        return ""
    order = [last_user % len(parts), *(i for i in reversed(range(len(parts))) if i != last_user % len(parts))]
    kept: dict[int, str] = {}
    left = max_chars
    for i in order:
        if left <= 1:
            break
        kept[i] = clip(parts[i], left)
        left -= len(parts[i])
    return "\n\n".join(kept[i] for i in sorted(kept))


def clip(text: str, max_chars: int = MAX_ENCODED_CHARS) -> str:
    r"""Keep the first and the last ``max_chars // 2`` characters of a longer text.

    >>> clip("abcdefgh", max_chars=4)
    'ab\ngh'
    """
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    return f"{text[:half]}\n{text[-half:]}"


def _instead_of_messages(body: Mapping[str, Any]) -> str:
    if body.get("messages") is not None:
        return f"{type(body['messages']).__name__} there"
    return f"only the keys {', '.join(sorted(map(repr, map(str, body))))}" if body else "an empty object"


def _contents(message: Mapping[str, Any], position: int) -> tuple[list[str], int, int, int]:
    """Return the texts of one message, and how many images, audio parts and other parts it has."""
    content = message.get("content")
    texts: list[str] = []
    n_images = n_audio = n_files = 0
    if isinstance(content, str):
        texts.append(content)
    elif isinstance(content, Sequence):
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif isinstance(part, Mapping):
                kind = str(part.get("type"))  # image_url, image, input_image; input_audio, audio_url; file, document
                n_images += "image" in kind
                n_audio += "audio" in kind
                n_files += not ("image" in kind or "audio" in kind or "text" in kind)
    elif content is not None:
        raise PromptError(f"messages[{position}].content is {type(content).__name__}; expected text or parts")
    calls = message.get("tool_calls")
    if calls:
        texts.append(json.dumps(calls, ensure_ascii=False, default=str))
    return [text for text in texts if text], n_images, n_audio, n_files


def _tells_of_an_error(message: Mapping[str, Any]) -> bool:
    """Tell whether a message is the result of a tool that failed, by its mark or the words that it begins with.

    >>> _tells_of_an_error({"role": "tool", "content": "Error: no such file"})
    True
    >>> _tells_of_an_error({"role": "user", "content": [{"type": "tool_result", "is_error": True, "content": "no"}]})
    True
    >>> _tells_of_an_error({"role": "user", "content": "Error: no such file"})
    False
    """
    content = message.get("content")
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list | tuple) else []
    if message.get("role") in _TOOL_ROLES:
        results = [content, *(part.get("text") for part in parts)]
    else:
        parts = [part for part in parts if part.get("type") == "tool_result"]
        results = [part.get("content") for part in parts]
    is_marked = any(part.get("is_error") is True for part in parts)
    return is_marked or any(_ERROR.search(one, 0, _RESULT_CHARS) for one in results if isinstance(one, str))


def _asks_for_json(response_format: object) -> bool:
    return isinstance(response_format, Mapping) and str(response_format.get("type", "")).startswith("json")


def _output_limit(body: Mapping[str, Any]) -> int | None:
    """Return the most tokens a chat body lets a model write.

    >>> _output_limit({"max_tokens": 100, "max_completion_tokens": 80}), _output_limit({"max_tokens": None})
    (80, None)
    """
    for name in OUTPUT_LIMITS:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise PromptError(f"{name}={value!r}; expected a whole number, 1 or more, or leave it out")
        return value
    return None
