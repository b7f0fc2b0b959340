"""Conversations keep their model: which one a request belongs to, and what the next turn has to know of this one.

A conversation has the caller's name for it, or its beginning stands for it. Where the beginning is new in every turn,
because it has a clock or was cut off, the answers in it tell which conversation it is.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.decision_log.log_records import SessionRecord
from router_model.serving.decision_log.session_keys import session_key, turn_key
from router_model.serving.engine.query import Routed
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.sessions.sessions import Sessions, open_sessions
from router_model.serving.engine.turn_types import WORK


class Conversations:
    """Finds the session of a request, and keeps what came of it. The engines of a service share one.

    Parameters
    ----------
    sessions : where they are kept
    cache_ttl_s : float
        How long a provider keeps a conversation in its prompt cache.
    clock : returns seconds since 1970
    """

    def __init__(self, sessions: Sessions, *, cache_ttl_s: float, clock: Callable[[], float]) -> None:
        self.sessions = sessions
        self._cache_ttl_s = cache_ttl_s
        self._clock = clock

    async def find(self, asked: ReadQuery) -> ReadQuery:
        """Return a request with the session that it belongs to; as it is if there is none."""
        # A conversation that has not begun has no model to keep, so the store is not asked.
        if not asked.has_begun:
            return asked
        session = None if asked.session_key is None else await self.sessions.find(asked.session_key)
        if session is None and asked.turn_keys:
            asked = await self._recognised(asked)
            session = None if asked.session_key is None else await self.sessions.find(asked.session_key)
        elif asked.turn_keys and asked.session_key is not None:
            self.sessions.recognise_new(asked.turn_keys[0], asked.session_key)
        if session is None:
            return asked
        return asked.within(session, now=self._clock(), cache_ttl_s=self._cache_ttl_s)

    async def _recognised(self, asked: ReadQuery) -> ReadQuery:
        """Return the request as one of the conversation that its last answers belong to, as nobody knows its beginning.

        A beginning that is known goes before: other conversations may have been answered in the same words.
        """
        known = await self.sessions.session_of(asked.turn_keys)
        if known is not None:
            return replace(asked, session_key=known)
        if asked.session_key is not None:
            # Who only asks for decisions shows answers here alone: from now on they stand for the conversation.
            self.sessions.recognise(asked.turn_keys[0], asked.session_key)
        return asked

    def decided(self, asked: ReadQuery, routed: Routed) -> None:
        """Keep the model that was decided on."""
        if asked.session_key is not None and asked.turn == WORK:
            self._keep(asked.session_key, routed, routed.model, routed.created_at)

    def answered(self, routed: Routed, model: str, *, key_id: str | None, session_id: str | None) -> None:
        """Let the conversation go on with the model that answered, if that is not the model that was decided on.

        Parameters
        ----------
        key_id, session_id : as of the query
        """
        # A fallback may have answered: then its provider has the conversation in its prompt cache.
        key = routed.session_id if session_id is None else session_key(key_id, session_id)
        if key is not None and routed.turn == WORK:
            self._keep(key, routed, model, datetime.fromtimestamp(self._clock(), UTC))

    def heard(self, routed: Routed, mark: str | None, *, key_id: str | None, user_id: str | None) -> None:
        """Let later turns of a conversation that nobody named be recognised by an answer.

        Parameters
        ----------
        mark : of the answer (`router_model.serving.common.turn_marks`); None if it has none
        key_id, user_id : as of the query
        """
        if mark is not None and routed.session_id is not None and routed.turn == WORK:
            self.sessions.recognise(turn_key(key_id, user_id, mark), routed.session_id)

    def _keep(self, key: str, routed: Routed, model: str, at: datetime) -> None:
        self.sessions.remember(SessionRecord(key, model, at, routed.n_input_tokens))


def open_conversations(
    settings: Settings, log: DecisionLog, *, clock: Callable[[], float] = time.time
) -> Conversations:
    """Return conversations whose sessions are kept as the settings say.

    Raises
    ------
    SettingsError, ImportError
        As `open_sessions`.
    """
    sessions = open_sessions(settings, log, clock=clock)
    return Conversations(sessions, cache_ttl_s=settings.session_cache_ttl_s, clock=clock)
