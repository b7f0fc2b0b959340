"""Tell an agent's background calls from its work.

Agents write titles, summaries and compactions of a conversation, and check whether a model answers. Such a call says
nothing about which model the work needs, so it is routed by itself, and the conversation's model stays what it was.
It is told by what it is like, or by words that the agents' own prompts have. Simplifies: a prompt of work that has
these words is routed by itself, too, which costs stickiness and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

WORK: Final = "work"
CHECK: Final = "check"
"""An answer of one token: whether there is one at all."""
TITLE: Final = "title"
SUMMARY: Final = "summary"
"""A conversation with tools, now asked something without them."""
COMPACTION: Final = "compaction"
"""A summary that takes the conversation's place."""

LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Fields with the longest answer that is wanted, in tokens."""
_READ_CHARS: Final = 2000
_READ_PARTS: Final = 8
_TOOL_ROLES: Final = ("tool", "function")
_COMPACTIONS: Final = (
    "your task is to create a detailed summary of the conversation so far",  # Claude Code, Roo Code
    "your task is to create a detailed summary of the recent portion of the conversation",  # Claude Code
    "you are performing a context checkpoint compaction",  # Codex
    "you are a helpful ai assistant tasked with summarizing conversations",  # Claude Code, opencode
    "you are the component that summarizes internal chat history",  # Gemini CLI
    "*briefly* summarize this partial conversation about programming",  # aider
)
_TITLES: Final = (
    "you are a title generator",  # opencode
    "generate a concise, sentence-case title",  # Claude Code
    "if this message indicates a new conversation topic",  # Claude Code, older
    "generate a concise, 3-5 word title",  # Open WebUI
    "concise, 5-word-or-less title",  # LibreChat
)


def turn_type(body: Mapping[str, Any], *, in_loop: bool = False) -> str:
    """Return the kind of a chat body: `WORK`, `CHECK`, `TITLE`, `SUMMARY` or `COMPACTION`.

    Parameters
    ----------
    body : with ``messages``
    in_loop : whether a tool has just answered: the model that asked for it reads that, with tools or without

    Examples
    --------
    >>> turn_type({"messages": [{"role": "user", "content": "quota"}], "max_tokens": 1})
    'check'
    >>> turn_type({"messages": [{"role": "user", "content": "Generate a concise, 3-5 word title for this chat."}]})
    'title'
    """
    if any(body.get(name) == 1 for name in LIMITS):
        return CHECK
    messages: Sequence[Mapping[str, Any]] = body["messages"]
    if not messages or messages[-1].get("role") != "user":
        return WORK  # a tool's answer, for one, is read by the model that asked for it
    asked = [_beginning(message) for message in messages[:2] if message.get("role") in ("system", "developer")]
    asked.append(_beginning(messages[-1]))
    if _has_any(asked, _COMPACTIONS):
        return COMPACTION
    return (
        WORK if body.get("tools") or body.get("functions") else _without_tools(body, messages, asked, in_loop=in_loop)
    )


def _without_tools(
    body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], asked: Sequence[str], *, in_loop: bool
) -> str:
    if _has_any(asked, _TITLES):
        return TITLE
    # An answer that is shaped is work, whoever leaves the tools out for it.
    is_work = in_loop or body.get("response_format") is not None
    return SUMMARY if not is_work and any(message.get("role") in _TOOL_ROLES for message in messages) else WORK


def _has_any(texts: Sequence[str], words: Sequence[str]) -> bool:
    return any(word in text for text in texts for word in words)


def _beginning(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    parts = content[:_READ_PARTS] if isinstance(content, list) else [{"text": content}]
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n".join(text[:_READ_CHARS] for text in texts if isinstance(text, str)).lower()
