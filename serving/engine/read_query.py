"""A query as the engine has read it, before anything is decided."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router_model.features import Prompt
from router_model.serving.common.turn_marks import marks_of
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import beginning_key, session_key, turn_key
from router_model.serving.engine.query import Query

_TOOL_ROLES = ("tool", "function")


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
        if query.session_id is not None:
            return cls(query, prompt, session_key(query.key_id, query.session_id), has_begun=True, uses_tools=in_loop)
        key = beginning_key(query.key_id, query.user_id, messages)
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
    """Tell whether the conversation is inside a tool loop: a tool has just answered, or is yet to.

    In OpenAI's shape (``role: tool``, ``tool_calls``) or Anthropic's (parts ``tool_result``, ``tool_use``).

    >>> call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    >>> uses_tools_now([call]), uses_tools_now([call, {"role": "tool", "content": "4"}])
    (True, True)
    >>> uses_tools_now([call, {"role": "tool", "content": "4"}, {"role": "assistant", "content": "It is 4."}])
    False
    """
    if not messages:
        return False
    last = messages[-1]
    if last.get("role") in _TOOL_ROLES or (last.get("role") == "assistant" and last.get("tool_calls")):
        return True
    content = last.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, Mapping) and part.get("type") in ("tool_result", "tool_use") for part in parts)
