"""Limit how many messages, tools, names and other entries a body may list.

Checked before a body is validated or translated: code that looks at each of a million entries, or that collects a
million errors, holds up everybody. Only lists that the service itself reads are counted; what is inside the schema of a
tool is the provider's, and bounded by the number of the body's parts (`router_model.serving.http_edge.json_shape`).
"""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.common.settings import Settings

_MESSAGES: Final = ("messages", "contents", "input")
_IN_MESSAGES: Final = ("content", "parts", "tool_calls")
_TOOLS: Final = ("tools", "functions")
_IN_TOOLS: Final = ("functionDeclarations", "function_declarations")
_BATCH: Final = "requests"
_LEVELS: Final = 3
"""Levels of objects and arrays, besides messages and tools, in which every list is counted."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of a service; see `Settings` for what each counts.

    Attributes
    ----------
    depth, parts, messages, tools, items, batch : int
    """

    depth: int
    parts: int
    messages: int
    tools: int
    items: int
    batch: int

    @classmethod
    def of(cls, settings: Settings) -> "BodyLimits":
        """Return those of the settings."""
        return cls(
            depth=settings.max_json_depth,
            parts=settings.max_json_parts,
            messages=settings.max_messages,
            tools=settings.max_tools,
            items=settings.max_list_items,
            batch=settings.max_batch,
        )

    def check(self, body: Mapping[str, Any], where: str = "") -> None:
        """Refuse a body that lists too much.

        Raises
        ------
        InvalidRequestError
            With the first list that is too long: its place, its length, the limit, the setting.
        """
        _check(body, self.items, where or "the body", "max_list_items")
        for name, value in body.items():
            place = f"{where}{name}"
            if name in _MESSAGES:
                self._check_messages(value, place)
            elif name in _TOOLS:
                self._check_tools(value, place)
            elif name == _BATCH and isinstance(value, list):
                _check(value, self.batch, place, "max_batch")
                for position, one in enumerate(value):
                    if isinstance(one, dict):
                        self.check(one, f"{place}[{position}].")
            else:
                self._check_small(value, place, _LEVELS)

    def _check_messages(self, messages: Any, place: str) -> None:
        if not isinstance(messages, list) or (messages and isinstance(messages[0], int)):
            return  # a text; or one, as numbers of tokens
        _check(messages, self.messages, place, "max_messages")
        n_parts = _n_inside(messages, _IN_MESSAGES)
        if n_parts > 2 * self.messages:
            raise _too_many(
                n_parts, 2 * self.messages, f"{place}: content parts in all of them together", "max_messages"
            )

    def _check_tools(self, tools: Any, place: str) -> None:
        if isinstance(tools, list):
            # Google's format has many functions in one entry of the list.
            n_tools = max(len(tools), _n_inside(tools, _IN_TOOLS))
            if n_tools > self.tools:
                raise _too_many(n_tools, self.tools, place, "max_tools")

    def _check_small(self, value: Any, place: str, levels: int) -> None:
        """Check a list or an object, and those in it."""
        if not isinstance(value, list | dict) or not levels:
            return
        _check(value, self.items, place, "max_list_items")
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(one, list | dict):
                inner = f"{place}.{name}" if isinstance(name, str) else f"{place}[{name}]"
                self._check_small(one, inner, levels - 1)


def _n_inside(entries: Iterable[Any], names: Iterable[str]) -> int:
    """Count what the lists of these names in all entries hold together."""
    found = (entry.get(name) for entry in entries if isinstance(entry, dict) for name in names)
    return sum(len(one) for one in found if isinstance(one, list))


def _check(value: Sized, limit: int, place: str, setting: str) -> None:
    if len(value) > limit:
        raise _too_many(len(value), limit, place, setting)


def _too_many(got: int, limit: int, place: str, setting: str) -> InvalidRequestError:
    param = place.partition(":")[0][:200]
    return InvalidRequestError(
        f"{place[:200]}: got {got}; expected at most {limit}; send fewer, or ask the operator to raise "
        f"the limit ({setting})",
        param=param,
    )
