"""What is kept of a sent request to judge its usage: sizes, limits and tools, but none of its texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from router_model.serving.common.base64_data import is_data

_TEXTS: Final = frozenset({"messages", "contents", "system", "systemInstruction", "system_instruction", "input"})
"""Fields of a request with what the model reads; they are not kept."""
_OF_TOOLS: Final = frozenset({"tools", "input", "args", "arguments", "response"})
"""Fields that a tool's arguments or answers stand in: what looks like a file there is read as text."""
_UNREAD: Final = frozenset(
    {
        *("reasoning", "reasoning_content", "reasoning_details", "thinking", "signature", "thoughtSignature"),
        *("encrypted_content", "data", "url", "file_data", "image_url", "fileUri", "file_id"),
        *("metadata", "user", "prediction", "extra_content"),
    }
)
"""Fields whose texts a model does not read, or not as text: earlier thoughts, files, and notes."""


@dataclass(slots=True)
class _Sizes:
    """The total sizes of a request's texts.

    Attributes
    ----------
    n_text_bytes : of text that the model reads
    n_data_bytes, n_data : of images and files in base64, and how many they are
    fields : of the request, without its texts
    """

    n_text_bytes: int = 0
    n_data_bytes: int = 0
    n_data: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)


class Sent:
    """The body of one request; what it has in it is counted when that is first asked for.

    Parameters
    ----------
    content : bytes
        Empty if it is not known.

    Attributes
    ----------
    n_bytes : int

    Examples
    --------
    >>> sent = Sent(b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}')
    >>> sent.n_bytes, sent.n_text_bytes, sent.n_data, sent.fields
    (66, 6, 0, {'max_tokens': 5})
    """

    __slots__ = ("_content", "_sizes", "n_bytes")

    def __init__(self, content: bytes = b"") -> None:
        self.n_bytes = len(content)
        self._content = content
        self._sizes: _Sizes | None = None

    @property
    def n_text_bytes(self) -> int:
        """UTF-8 bytes of the text that the model reads."""
        return self._counted().n_text_bytes

    @property
    def n_words_bytes(self) -> int:
        """Bytes of the body without images and files in base64."""
        return self.n_bytes - self._counted().n_data_bytes

    @property
    def n_data(self) -> int:
        """Images and files in base64."""
        return self._counted().n_data

    @property
    def fields(self) -> Mapping[str, Any]:
        """Fields of the body without its texts; none if it is not a JSON object."""
        return self._counted().fields

    def count(self, body: Mapping[str, Any]) -> None:
        """Count now what `body` has, which is the content's: of a long one, in the thread that has written it."""
        sizes = _Sizes(fields={name: value for name, value in body.items() if name not in _TEXTS})
        for name, value in body.items():
            # The `input` of a whole body is a conversation in OpenAI's Responses, and no tool's.
            _count(value, sizes, name, is_read=name not in _UNREAD, is_tools=name == "tools")
        self._sizes, self._content = sizes, b""

    def _counted(self) -> _Sizes:
        if self._sizes is None:
            self.count(_parsed(self._content))
        return self._sizes or _Sizes()


def _count(value: Any, sizes: _Sizes, name: str, *, is_read: bool, is_tools: bool) -> None:
    if isinstance(value, str):
        if not is_tools and is_data(name, value):
            sizes.n_data_bytes += len(value)
            sizes.n_data += 1
        elif is_read:
            sizes.n_text_bytes += len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    elif isinstance(value, list):
        for one in value:
            _count(one, sizes, name, is_read=is_read, is_tools=is_tools)
    elif isinstance(value, Mapping):
        for inner, one in value.items():
            read, tools = is_read and inner not in _UNREAD, is_tools or inner in _OF_TOOLS
            _count(one, sizes, inner, is_read=read, is_tools=tools)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


NOTHING_SENT: Final = Sent()
"""The value for an unknown request."""
