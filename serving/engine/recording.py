"""Turn decisions into records of the log, and decide what the log keeps of their prompts."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Final

import orjson

from router_model.features import FeatureError, Prompt
from router_model.features.featuriser import PromptFeatures
from router_model.features.logged import LogKeys, pack
from router_model.features.tools import chat_tools
from router_model.saved.artifact import prompt_hash
from router_model.serving.common.base64_data import without_data
from router_model.serving.common.loopback import is_loopback
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import PromptStorage, Settings
from router_model.serving.decision_log.log_records import DecisionRecord, LoggedCandidate
from router_model.serving.decision_log.rows import Row, row_of
from router_model.serving.engine.query import Query, Routed, Trial
from router_model.serving.engine.turn_types import LIMITS

_MINUTE_S: Final = 60.0


def prompt_storage(settings: Settings) -> PromptStorage:
    """Return how much of prompts is kept: as the settings say, or else everything on loopback and hashes elsewhere.

    >>> prompt_storage(Settings(artifact="a")), prompt_storage(Settings(artifact="a", host="0.0.0.0"))
    (<PromptStorage.FULL: 'full'>, <PromptStorage.HASH: 'hash'>)
    """
    if settings.log_prompts is not None:
        return settings.log_prompts
    return PromptStorage.FULL if is_loopback(settings.host) else PromptStorage.HASH


def log_keys(settings: Settings) -> LogKeys | None:
    """Return the keys that seal features of prompts; None if the log keeps none.

    Raises
    ------
    SettingsError
        If features are to be kept without a key, or without a router that computes them.
    """
    if prompt_storage(settings) is not PromptStorage.FEATURES:
        return None
    if settings.log_key is None:
        raise SettingsError(
            "--log-prompts features needs --log-key FILE, whose key seals them; 'router-model log new-key FILE' makes "
            "one"
        )
    if settings.artifact is None and not settings.starts:
        raise SettingsError("--log-prompts features needs an ARTIFACT: features are what its router decides by")
    try:
        return LogKeys.read(settings.log_key)
    except FeatureError as exc:
        raise SettingsError(f"--log-key: {exc}") from exc


@dataclass(slots=True)
class UnsealedFeatures:
    """The features of a prompt on their way to the log, whose thread seals them.

    Attributes
    ----------
    keys : LogKeys
    prompt : Prompt
    features : PromptFeatures
        Of this prompt alone.
    encoder_hash : str
        Content hash of the encoder that made them.
    """

    keys: LogKeys
    prompt: Prompt = field(repr=False)
    features: PromptFeatures = field(repr=False)
    encoder_hash: str

    @property
    def n_bytes(self) -> int:
        """At most so many bytes will be sealed."""
        return self.features.embedding.size + 4 * self.features.surface.size + 12 * len(self.features.pieces[0])

    def sealed(self) -> str:
        """Pack and seal them."""
        text_hash = prompt_hash(self.prompt.text)
        record = pack(self.features, self.prompt, text_hash=text_hash, encoder_hash=self.encoder_hash)
        return self.keys.seal(record)


class PromptVolume:
    """How much of each caller's prompts the log keeps: so many characters a minute, a minute's worth at once.

    Beyond that, the text is left out, and the decision is logged with its prompt's hash. So no caller fills the disk.

    Parameters
    ----------
    chars_a_minute : of one caller
    clock : seconds

    Attributes
    ----------
    n_left_out : int
        Prompts that were not kept.

    Examples
    --------
    >>> volume = PromptVolume(100, clock=lambda: 0.0)
    >>> [volume.takes("key", 60), volume.takes("key", 60), volume.takes("other", 60)], volume.n_left_out
    ([True, False, True], 1)
    """

    def __init__(self, chars_a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = chars_a_minute
        self._clock = clock
        self._taken: dict[str | None, tuple[float, float]] = {}
        self.n_left_out = 0

    def takes(self, key_id: str | None, n_chars: int) -> bool:
        """Return whether a prompt is kept; if so, it counts."""
        now = self._clock()
        taken, at = self._taken.get(key_id, (0.0, now))
        # It drains evenly: a count by the minute would allow two minutes' worth at once, at the minute's end.
        taken = max(0.0, taken - self._most * (now - at) / _MINUTE_S)
        if taken + n_chars > self._most:
            self.n_left_out += 1
            return False
        self._taken[key_id] = (taken + n_chars, now)
        return True


@dataclass(slots=True)  # not frozen: that would take three times as long to make
class PendingDecision:
    """A decision on its way to the log, whose thread makes the record; it keeps no more of the prompt than that.

    Attributes
    ----------
    routed : Routed
    user_id, key_id, surface, router : of the query
    prompt_sha256 : str or None
        As of the record.
    messages, tools, response_format : bytes or None
        JSON.
    max_output_tokens : int or None
    unsealed : UnsealedFeatures or None
    trial : Trial or None
        A challenger in shadow adds it after the answer.
    """

    routed: Routed
    user_id: str | None
    key_id: str | None
    surface: str
    router: str
    prompt_sha256: str | None
    messages: bytes | None
    tools: bytes | None
    response_format: bytes | None
    max_output_tokens: int | None
    unsealed: UnsealedFeatures | None = None
    trial: Trial | None = None

    @classmethod
    def of(
        cls,
        query: Query,
        routed: Routed,
        prompt: Prompt,
        storage: PromptStorage,
        volume: PromptVolume,
        *,
        unsealed: UnsealedFeatures | None = None,
    ) -> "PendingDecision":
        """Note a decision; it takes a few microseconds, however many candidates there are."""
        sha256 = messages = tools = response_format = None
        if storage in (PromptStorage.FULL, PromptStorage.HASH):
            # JSON can contain half of a surrogate pair, and such a prompt has to have a hash, too.
            sha256 = hashlib.sha256(prompt.text.encode("utf-8", "surrogatepass")).hexdigest()
        if storage is PromptStorage.FULL:
            # Pictures are left out first: nothing reads them in the log, and writing them would hold up the event loop.
            messages = as_json(without_data(query.body.get("messages")))
            tools, response_format = _tools_in(query.body), _response_format_in(query.body)
            if not volume.takes(query.key_id, len(messages) + len(tools or b"") + len(response_format or b"")):
                messages = tools = response_format = None
        if unsealed is not None and not volume.takes(query.key_id, unsealed.n_bytes):
            unsealed = None
        return cls(
            routed,
            query.user_id,
            query.key_id,
            query.surface,
            query.router,
            sha256,
            messages,
            tools,
            response_format,
            _longest_answer(query.body),
            unsealed,
            routed.trial,
        )

    @property
    def n_chars(self) -> int:
        """The length of what is kept of the prompt: what it takes of memory, roughly."""
        texts = (self.messages, self.tools, self.response_format)
        return sum(len(text or b"") for text in texts) + (0 if self.unsealed is None else self.unsealed.n_bytes)

    @property
    def decision_id(self) -> str:
        """The decision's id."""
        return self.routed.decision_id

    def record(self) -> DecisionRecord:
        """Make the record."""
        columns = _candidate_columns(self.routed)
        return self._record(tuple(map(LoggedCandidate, *columns.values())))

    def row(self) -> Row:
        """Make the record's row, without a record of each candidate in between: a tenth of the time."""
        _, row = row_of(self._record(()))
        row["candidates"] = _candidate_columns(self.routed)
        return row

    def _record(self, candidates: tuple[LoggedCandidate, ...]) -> DecisionRecord:
        routed, trial = self.routed, self.trial
        return DecisionRecord(
            decision_id=routed.decision_id,
            created_at=routed.created_at,
            model=routed.model,
            reason=routed.reason,
            candidates=candidates,
            excluded=tuple([(exclusion.model, exclusion.reason) for exclusion in routed.excluded]),
            artifact=routed.artifact,
            policy_version=routed.policy_version,
            quality_bar=routed.quality_bar,
            target_success=routed.target_success,
            threshold=routed.threshold,
            success_value_usd=routed.success_value_usd,
            quality_value_usd=routed.quality_value_usd,
            certified=routed.certificate is not None and routed.certificate.certified,
            explored=routed.explored,
            degraded=routed.degraded,
            shadow=False,
            session_id=routed.session_id,
            user_id=self.user_id,
            key_id=self.key_id,
            surface=self.surface,
            prompt_sha256=self.prompt_sha256,
            messages=None if self.messages is None else self.messages.decode(),  # in the log's thread: 10 ms for 8 MB
            n_input_tokens=routed.n_input_tokens,
            decision_s=routed.decision_s,
            prompt_features=None if self.unsealed is None else self.unsealed.sealed(),
            challenger=None if trial is None else trial.challenger,
            challenger_model=None if trial is None else trial.model,
            arm=None if trial is None else trial.arm,
            canary_share=None if trial is None else trial.canary_share,
            turn_type=routed.turn,
            tools=None if self.tools is None else self.tools.decode(),
            response_format=None if self.response_format is None else self.response_format.decode(),
            max_output_tokens=self.max_output_tokens,
            router=self.router,
        )


def _candidate_columns(routed: Routed) -> dict[str, Sequence[Any]]:
    """Return the candidates for the log: one list for each field of `LoggedCandidate`, in their order."""
    plan = routed.plan
    nothing = [None] * len(plan)
    # Columns that nothing predicted are NaN.
    known = plan.column if routed.predicted else lambda _: nothing
    intervals = [interval or (None, None) for interval in known("p_interval")]
    return {
        "model": plan.models,
        "provider": routed.providers,
        "p_success": known("p_success"),
        "p_low": [low for low, _ in intervals],
        "p_high": [high for _, high in intervals],
        "expected_cost_usd": known("expected_cost_usd"),
        "expected_output_tokens": known("expected_output_tokens"),
        "expected_latency_s": [None if s is None or isnan(s) else s for s in known("expected_latency_s")],
        "expected_quality": known("expected_quality"),
        "propensity": routed.propensities,
        "level_shift": nothing if routed.levels is None else [*map(routed.levels.log_odds, plan.models)],
    }


def _tools_in(body: Mapping[str, Any]) -> bytes | None:
    """Return the tools of a chat body in OpenAI's form; its older ``functions`` are given it.

    >>> _tools_in({"functions": [{"name": "add"}]}), _tools_in({"tools": [7]})
    (b'[{"type":"function","function":{"name":"add"}}]', None)
    """
    functions = body.get("functions")
    older = functions if isinstance(functions, list) else ()
    tools = chat_tools(body.get("tools")) or chat_tools([{"type": "function", "function": one} for one in older])
    return as_json(tools) if tools else None


def _response_format_in(body: Mapping[str, Any]) -> bytes | None:
    form = body.get("response_format")
    return as_json(form) if isinstance(form, Mapping) and form else None


def _longest_answer(body: Mapping[str, Any]) -> int | None:
    """Return the longest answer that a body asks for, in tokens.

    >>> _longest_answer({"max_tokens": 100, "max_completion_tokens": 200}), _longest_answer({"max_tokens": "many"})
    (200, None)
    """
    counts = (body.get(name) for name in LIMITS)
    return max((count for count in counts if type(count) is int and count > 0), default=None)


def as_json(messages: Any) -> bytes:
    """Write what JSON can nearly hold."""
    try:
        return orjson.dumps(messages)
    except TypeError:  # half of a surrogate pair, or a value that JSON cannot hold
        return json.dumps(messages, default=str).encode()
