"""Keep the responses that were answered here, and go on from them: ``previous_response_id`` for providers of any kind.

A response is kept as one record of the decision log (`ResponseRecord`), with its own input only. A request that names
it gets the items of the whole conversation in its input, so any candidate can answer it. What is not kept here is left
to the provider that made it, if that one keeps responses itself; all else is refused, and never answered without its
history.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from router_model.serving.common.callers import Caller
from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError, NotReadyError, SettingsError
from router_model.serving.common.settings import PromptStorage, Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.decision_log.log_records import AttemptRecord, ResponseRecord
from router_model.serving.decision_log.session_keys import response_key
from router_model.serving.engine.query import Routed
from router_model.serving.engine.recording import PromptVolume, as_json, prompt_storage
from router_model.serving.formats.format import Exchange, Surface
from router_model.serving.formats.responses.response_object import without_carried
from router_model.serving.formats.shapes import Json, asked_objects
from router_model.serving.http_edge.bodies import LONG_BYTES, BodyReader
from router_model.serving.http_edge.body_limits import BodyLimits
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.provider import Kind
from router_model.serving.proxy.proxy_request import ProxyRequest, with_conversation
from router_model.serving.proxy.recent_calls import RecentCalls

_logger = logging.getLogger(__name__)

PREVIOUS: Final = "previous_response_id"
_KEPT_ELSEWHERE: Final = ("conversation", "prompt")
"""Fields of requests whose input is not in the body: their answers cannot be gone on from here."""
_DELETED_WITHIN_S: Final = 2.0
_OFF: Final = (
    "this service keeps no responses: start it with --store-responses (ROUTER_STORE_RESPONSES=true) and a log that "
    "keeps prompts in full (--log-prompts full)"
)


def check_storing(settings: Settings) -> None:
    """Check that responses may be kept, if they are to be.

    Raises
    ------
    SettingsError
        If the log may not have prompts in full, because a response has its whole input.
    """
    storage = prompt_storage(settings)
    if settings.store_responses and storage is not PromptStorage.FULL:
        raise SettingsError(
            f"--store-responses (ROUTER_STORE_RESPONSES) keeps whole conversations, and the log keeps of prompts "
            f"{storage.value!r}; say --log-prompts full, too, or leave the option out"
        )


@dataclass(slots=True)
class StoredResponses:
    """The responses that are kept, each for the key that asked for it.

    Attributes
    ----------
    settings : Settings
    log : DecisionLog
    providers : Fleet
    bodies : BodyReader
        Reads long conversations in its thread.
    recent : RecentCalls
    count : is told of each answer whether it was kept: ``yes``, or why not
    """

    settings: Settings
    log: DecisionLog
    providers: Fleet
    bodies: BodyReader
    recent: RecentCalls
    count: Callable[[str], None]
    _volume: PromptVolume = field(init=False)
    _limits: BodyLimits = field(init=False)
    _throttle: LogThrottle = field(init=False, default_factory=LogThrottle)

    def __post_init__(self) -> None:
        self._volume = PromptVolume(self.settings.log_prompt_chars_a_minute)
        self._limits = BodyLimits.of(self.settings)

    # --- a call ----------------------------------------------------------------------------------------

    async def prepared(self, caller: Caller, asked: ProxyRequest, *, is_answered: bool = True) -> ProxyRequest:
        """Return a request with the conversation that it goes on from in its input, and a place for its answer.

        Parameters
        ----------
        is_answered : False for a request whose tokens are counted

        Raises
        ------
        InvalidRequestError
            If it goes on from a response that nobody keeps, or the conversation is too long.
        NotReadyError
            If the log cannot be read now.
        """
        body = asked.call.body
        previous_id = body.get(PREVIOUS)
        if asked.surface is not Surface.RESPONSES or not (previous_id or self.settings.store_responses):
            return asked
        if previous_id is not None and not isinstance(previous_id, str):
            raise InvalidRequestError(f"{PREVIOUS}: expected the id of a response, as a text", param=PREVIOUS)
        turns = await self._turns(caller, previous_id) if previous_id else []
        if previous_id and not turns:
            return await self._at_its_provider(caller, asked, previous_id)
        kept = self._to_keep(caller, body) if is_answered else None
        exchange = Exchange(kept, previous_id, f"resp_{secrets.token_hex(24)}")
        if not turns:
            return asked if kept is None else with_conversation(asked, body, exchange)
        own = _items(body.get("input"))
        n_bytes = sum(len(text.encode()) for turn in turns for text in (turn.input, turn.output) if text)
        is_long = asked.call.is_long or n_bytes > LONG_BYTES
        if n_bytes > self.settings.max_call_bytes:
            raise _too_long(f"has {n_bytes} bytes, and a call may have {self.settings.max_call_bytes}")
        earlier = await self.bodies.aside(caller, lambda: _items_of(turns)) if is_long else _items_of(turns)
        given = {name: value for name, value in body.items() if name != PREVIOUS} | {"input": [*earlier, *own]}
        self._limits.check({"input": given["input"]})
        return with_conversation(asked, given, exchange, is_long=is_long)

    def keep(self, caller: Caller, asked: ProxyRequest, routed: Routed | None) -> None:
        """Keep the answer to a request, once all of it was written; nothing is waited for, and nothing is raised."""
        exchange = asked.call.exchange
        if exchange is None or not exchange.is_kept or exchange.response is None:
            return
        kept = "yes"
        try:
            self.log.put(_record(caller, asked, routed, exchange, exchange.response))
        except Exception as exc:  # noqa: BLE001 - the answer is here, and does not depend on what is kept of it
            kept = "error"
            if times := self._throttle.due("keep"):
                _logger.error("a response could not be kept: %s (%d times)", error_location(exc), times)  # noqa: TRY400
        self.count(kept)

    # --- a response that is asked for --------------------------------------------------------------------

    async def read(self, caller: Caller, response_id: str, *, encrypted: bool = False) -> Json:
        """Return a response of the caller's.

        Parameters
        ----------
        encrypted : whether reasoning is wanted in the form that goes back to the model

        Raises
        ------
        NotFoundError
        """
        record = await self._own(caller, response_id)
        items = orjson.loads(record.output or "[]")
        response: Json = orjson.loads(record.response or "{}")
        return response | {"output": items if encrypted else _shown(items)}

    async def input_items(self, caller: Caller, response_id: str) -> list[Json]:
        """Return what a response of the caller's answers: the items of the conversation before it, each with an id.

        Raises
        ------
        NotFoundError
        InvalidRequestError
            If an earlier response of the conversation is kept no more.
        """
        last, *earlier = self._there(await self._turns(caller, response_id))
        items = [*_items_of(earlier), *orjson.loads(last.input or "[]")]
        return [_with_id(item, f"{response_id[-24:]}_{place}") for place, item in enumerate(_shown(items))]

    async def delete(self, caller: Caller, response_id: str) -> None:
        """Delete a response of the caller's; it returns when the log has taken note.

        While the log cannot be read, nobody can say whether it is there, and the note is taken all the same.

        Raises
        ------
        NotFoundError, NotReadyError
        """
        try:
            record = await self._own(caller, response_id)
        except NotReadyError:
            # Its key is made of the caller's, so the note can meet no other caller's response.
            note = _note(caller, response_id)
        else:
            # A clock that runs behind must not make the note older than what it replaces.
            now = max(datetime.now(UTC), record.updated_at + timedelta(microseconds=1))
            note = replace(record, updated_at=now, input=None, output=None, response=None)
        if not self.log.writable:
            raise NotReadyError("neither the log's store nor its spool accepts records now; delete it again later")
        self.log.put(note)
        try:
            await self.log.flush(_DELETED_WITHIN_S)
        except TimeoutError:
            raise NotReadyError("the log does not take records in time; delete it again later") from None

    async def _own(self, caller: Caller, response_id: str) -> ResponseRecord:
        return self._there(await self._found(caller, response_id, 1))[0]

    def _there(self, found: list[ResponseRecord]) -> list[ResponseRecord]:
        if not self.settings.store_responses:
            raise NotFoundError(_OFF)
        if not found:
            raise NotFoundError(
                "this key has no response with that id; responses are kept unless store is false, until they are "
                "deleted, and for as long as the log's retention says"
            )
        return found

    # --- what is kept ------------------------------------------------------------------------------------

    def _to_keep(self, caller: Caller, body: Mapping[str, Any]) -> str | None:
        """Return what is to be kept of a request; None if nothing is. It is answered all the same, and told so."""
        wanted = self.settings.store_responses and body.get("store") is not False
        if not wanted or any(map(body.get, _KEPT_ELSEWHERE)):
            return None
        if not self.log.writable:
            self.count("log")
            return None
        said = as_json(_items(body.get("input"))).decode()
        if not self._volume.takes(caller.key_id, len(said)):
            self.count("volume")
            return None
        return said

    async def _turns(self, caller: Caller, response_id: str) -> list[ResponseRecord]:
        """Return a response of the caller's and those before it, the newest first; nothing if it is not kept.

        Raises
        ------
        InvalidRequestError
            If one of those before it is kept no more.
        """
        most = self.settings.max_messages
        turns = await self._found(caller, response_id, most)
        if len(turns) == most and turns[-1].previous_key is not None:
            raise _too_long(f"has {most} turns or more")
        if turns and (turns[-1].previous_key is not None or any(turn.response is None for turn in turns)):
            raise _missing(f"an earlier response of the conversation of {response_id[:100]!r} is kept no more")
        return turns

    async def _found(self, caller: Caller, response_id: str, most: int) -> list[ResponseRecord]:
        """Return a response of the caller's and those before it, as far as they are kept, at most so many."""
        if not self.settings.store_responses:
            return []
        key = response_key(caller.key_id, response_id)
        found = await self.log.responses(key, most)
        if not found:
            # Another worker may have answered a moment ago, and its record is still on its way to the store.
            await asyncio.sleep(self.settings.log_flush_s)
            found = await self.log.responses(key, most)
        return [] if found and found[0].response is None else found

    async def _at_its_provider(self, caller: Caller, asked: ProxyRequest, response_id: str) -> ProxyRequest:
        """Return a request that goes on from a response of a provider's, for that provider alone if it is known.

        Raises
        ------
        InvalidRequestError
            If the response is another key's, or its provider keeps none.
        NotReadyError
            If the log cannot say now whose it is.
        """
        keeping = {name for name, one in self.providers.all.items() if one.kind is Kind.RESPONSES}
        if not keeping:
            raise _missing(self._not_kept(response_id))
        made = self.recent.get(response_id, caller.key_id) or await self._attempt(response_id, caller.key_id)
        if made is None and await self._attempt(response_id) is None:
            return asked  # it may be older than the log, and its provider says if it is not there
        if made is None or made.provider not in keeping:
            raise _missing(self._not_kept(response_id))
        others = frozenset(name.lower() for name in self.providers.all if name != made.provider)
        return replace(asked, preferences=replace(asked.preferences, ignore=asked.preferences.ignore | others))

    async def _attempt(self, response_id: str, key_id: str | None = None) -> AttemptRecord | None:
        try:
            return await self.log.attempt(response_id, key_id)
        except NotReadyError as exc:
            # Keys may share an account at the provider, and the provider would go on from another key's response.
            raise NotReadyError(
                f"{PREVIOUS}: nobody can say now whether this key made that response: {exc}; "
                "or send the whole conversation in 'input'"
            ) from exc

    def _not_kept(self, response_id: str) -> str:
        if not self.settings.store_responses:
            return f"{_OFF}; or send the whole conversation in 'input'"
        return f"no response with the id {response_id[:100]!r} is kept for this key; send the whole conversation"


def _record(
    caller: Caller, asked: ProxyRequest, routed: Routed | None, exchange: Exchange, response: Json
) -> ResponseRecord:
    response_id, previous = str(response["id"]), exchange.previous_id
    rest = {name: value for name, value in response.items() if name != "output"}
    return ResponseRecord(
        response_key=response_key(caller.key_id, response_id),
        updated_at=datetime.now(UTC),
        response_id=response_id,
        previous_key=None if previous is None else response_key(caller.key_id, previous),
        key_id=caller.key_id,
        user_id=asked.user_id,
        session_id=asked.session_id if routed is None else routed.session_id,
        decision_id=None if routed is None else routed.decision_id,
        input=exchange.input,
        output=as_json(exchange.output).decode(),
        response=as_json(rest).decode(),
    )


def _note(caller: Caller, response_id: str) -> ResponseRecord:
    """Return a note that a response was deleted, without a look at it."""
    return ResponseRecord(
        response_key=response_key(caller.key_id, response_id),
        updated_at=datetime.now(UTC),
        response_id=response_id,
        previous_key=None,
        key_id=caller.key_id,
        user_id=None,
        session_id=None,
        decision_id=None,
        input=None,
        output=None,
        response=None,
    )


def _missing(why: str) -> InvalidRequestError:
    error = InvalidRequestError(f"{PREVIOUS}: {why}", param=PREVIOUS)
    error.code = "previous_response_not_found"  # OpenAI's
    return error


def _too_long(why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{PREVIOUS}: the conversation {why}; begin a new one, with a summary of it in 'input'", param=PREVIOUS
    )


def _items(given: object) -> list[Json]:
    """Return the input of a request as items.

    Raises
    ------
    InvalidRequestError
        If it is none.
    """
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if given is None:
        raise InvalidRequestError(
            "'input' is missing; expected a text or a list of the conversation's items", param="input"
        )
    return [dict(item) for item in asked_objects(given, "input", "input")]


def _items_of(turns: Sequence[ResponseRecord]) -> list[Json]:
    """Return the items of turns that are given newest first, in the order in which they were said."""
    said = (text for turn in reversed(turns) for text in (turn.input, turn.output))
    return [item for text in said for item in orjson.loads(text or "[]")]


def _shown(items: Sequence[Json]) -> list[Json]:
    return [without_carried(item) for item in items]


def _with_id(item: Json, otherwise: str) -> Json:
    return item if item.get("id") else {**item, "id": f"item_{otherwise}"}
