"""A query as the engine has read it, before anything is decided."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router_model.features import Prompt
from router_model.serving.common.turn_marks import marks_of
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import beginning_key, session_key, turn_key
from router_model.serving.engine.faults import raise_callers_error
from router_model.serving.engine.query import Query
from router_model.serving.engine.turn_types import WORK, turn_type

_MOST_ON_LOOP = 2000  # parts of one body, in 2 to 5 ms
_LISTS = ("content", "tool_calls")
_TOOL_ROLES = ("tool", "function")
_TOOL_PARTS = ("tool_result", "tool_use")


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A query whose body was read as a prompt, and what the engine takes from the conversation in it.

    Attributes
    ----------
    query : Query
    prompt : Prompt
    session_key : str or None
        None if the conversation has no user message and no name.
    has_begun : bool
        Whether there may be a session: it was named, or this is not its first turn.
    uses_tools : bool
        Whether the conversation is inside a tool loop.
    turn_keys : tuple of str
        Of the last answers in a conversation that nobody named.
    turn : str
        As of `router_model.serving.engine.turn_types`; what is no work has no session.
    session : SessionRecord or None
        The model that the conversation has had so far, once that was looked up.
    is_warm : bool
        Whether that model's provider still has the conversation in its prompt cache.
    """

    query: Query
    prompt: Prompt
    session_key: str | None
    has_begun: bool
    uses_tools: bool
    turn_keys: tuple[str, ...] = ()
    turn: str = WORK
    session: SessionRecord | None = None
    is_warm: bool = False

    @classmethod
    def read(cls, query: Query) -> "ReadQuery":
        """Read a request.

        Raises
        ------
        PromptError
            If its body is not a chat body, or asks nothing.
        """
        prompt = Prompt.parse(query.body).require_content()
        messages: Sequence[Mapping[str, Any]] = query.body["messages"]
        in_loop = uses_tools_now(messages)
        turn = turn_type(query.body, in_loop=in_loop)
        prompt = replace(prompt, turn=turn)
        named = query.session_id
        key = (
            beginning_key(query.key_id, query.user_id, messages) if named is None else session_key(query.key_id, named)
        )
        if turn != WORK or named is not None:
            return cls(query, prompt, key, has_begun=turn == WORK, uses_tools=in_loop, turn=turn)
        turn_keys = tuple(turn_key(query.key_id, query.user_id, mark) for mark in marks_of(messages))
        return cls(query, prompt, key, prompt.n_turns > 1 or bool(turn_keys), in_loop, turn_keys)

    @property
    def group(self) -> Hashable:
        """Equal for requests that can be decided together."""
        query = self.query
        return query.goal, query.constraints, query.explain, frozenset(query.cards.items())

    def within(self, session: SessionRecord, *, now: float, cache_ttl_s: float) -> "ReadQuery":
        """Return the query with what is known of its conversation at a time, in seconds since 1970."""
        return replace(self, session=session, is_warm=now - session.updated_at.timestamp() <= cache_ttl_s)

    @property
    def unexplained(self) -> "ReadQuery":
        """The same without the wish for an explanation."""
        return replace(self, query=replace(self.query, explain=False)) if self.query.explain else self

    @property
    def warm_cache(self) -> dict[str, float] | None:
        """The model with a warm cache and the word pieces in it, as `router_model.Router.decide` takes them."""
        if self.session is None or not self.is_warm or not self.session.n_input_tokens:
            return None
        return {self.session.model: float(self.session.n_input_tokens)}


def uses_tools_now(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the conversation is inside a tool loop: a tool has answered since the model spoke, or is yet to.

    In OpenAI's shape (``role: tool``, ``tool_calls``) or Anthropic's (parts ``tool_result``, ``tool_use``). Agents add
    remarks of their own behind a tool's answer, so it need not be the last message.

    >>> call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    >>> uses_tools_now([call]), uses_tools_now([call, {"role": "tool", "content": "4"}])
    (True, True)
    >>> uses_tools_now([call, {"role": "tool", "content": "4"}, {"role": "user", "content": "Two minutes are left."}])
    True
    >>> uses_tools_now([call, {"role": "tool", "content": "4"}, {"role": "assistant", "content": "It is 4."}])
    False
    """
    for position, message in enumerate(reversed(messages)):
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        kinds = {part.get("type") for part in parts if isinstance(part, Mapping)}
        if message.get("role") == "assistant":
            return position == 0 and bool(message.get("tool_calls") or not kinds.isdisjoint(_TOOL_PARTS))
        if message.get("role") in _TOOL_ROLES or not kinds.isdisjoint(_TOOL_PARTS):
            return True
    return False


async def read_query(query: Query) -> ReadQuery:
    """Read a request; one of very many parts in another thread, as each of them takes a microsecond or two.

    Raises
    ------
    InvalidRequestError
        If its body is not a chat body, or asks nothing.
    """
    try:
        return await asyncio.to_thread(ReadQuery.read, query) if _has_many_parts(query.body) else ReadQuery.read(query)
    except Exception as exc:
        raise_callers_error(exc)
        raise


def _has_many_parts(body: Mapping[str, Any]) -> bool:
    """Tell whether messages, their parts and tool calls are more than the event loop may read."""
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) > _MOST_ON_LOOP:
        return isinstance(messages, list)
    lists = (message.get(name) for message in messages if isinstance(message, dict) for name in _LISTS)
    return sum(len(one) for one in lists if isinstance(one, list)) > _MOST_ON_LOOP
