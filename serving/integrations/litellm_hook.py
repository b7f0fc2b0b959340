# ruff: noqa: ARG002 - the methods have the parameters that LiteLLM calls them with
"""A hook for LiteLLM's proxy: ask the decision service for the model, and report the outcome.

One file, to be put next to the proxy's ``config.yaml`` (``callbacks: litellm_hook.router_hook``). It imports nothing of
this project: only what `litellm[proxy]` has. Written against litellm 1.105.0; docs/integrations.md has the set-up.

Settings come from the environment:

=========================  =====================================================================================
``ROUTER_URL``             the service's address, such as ``http://127.0.0.1:8484``
``ROUTER_API_KEY``         a key with the roles ``decide`` and ``feedback``; nothing: a service without keys
``ROUTER_DEFAULT_MODEL``   the proxy's model that answers where the service does not
``ROUTER_AUTO_MODELS``     names that mean "decide for me", comma-separated; ``auto``. With ``:NAME`` behind it the
                           service's router of that name decides
``ROUTER_MODELS``          the proxy's models that may be decided for, comma-separated; nothing: all it has
``ROUTER_MODEL_NAMES``     JSON object, the proxy's name to the router's, where they differ
``ROUTER_TIMEOUT_S``       how long a request may wait for its decision; 0.3
``ROUTER_MAX_FALLBACKS``   how many models of the plan's rest become ``fallbacks``; 2
=========================  =====================================================================================

It fails open: whatever goes wrong here, the request is answered by the default model. Reports never hold up an
answer: they wait in a bounded queue, and are dropped, with a warning, if that is full.
"""

import asyncio
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import httpx
from litellm.integrations.custom_logger import CustomLogger

logger = logging.getLogger("litellm_hook")

# The fields of a chat body that a decision reads. The rest is LiteLLM's, or a credential that must not leave it.
_BODY = (
    "messages", "tools", "tool_choice", "functions", "function_call", "response_format", "max_tokens",
    "max_completion_tokens", "n", "reasoning_effort", "modalities", "stream", "user",
)  # fmt: skip
_ID, _DEGRADED = "router_decision_id", "router_degraded"
_QUEUE = 1000
_SENDERS = 4
_ATTEMPTS = 3
_REPORT_TIMEOUT_S = 5.0
_BACKOFF_S = 0.5


@dataclass(frozen=True)
class HookSettings:
    """The settings, read and checked."""

    url: str
    default_model: str
    api_key: str | None = field(default=None, repr=False)
    auto_models: frozenset[str] = frozenset({"auto"})
    models: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 0.3
    max_fallbacks: int = 2

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "HookSettings":
        """Read the environment; a missing or malformed value stops the proxy's start rather than its first request."""
        for name in ("ROUTER_URL", "ROUTER_DEFAULT_MODEL"):
            if not environment.get(name):
                raise ValueError(f"{name} is not set; litellm_hook needs it (see docs/integrations.md)")
        names = json.loads(environment.get("ROUTER_MODEL_NAMES") or "{}")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise ValueError(f"ROUTER_MODEL_NAMES is {names!r}; expected a JSON object of names to names")
        return cls(
            # The base URL for an SDK ends in /v1; the paths that are asked here begin with it.
            url=environment["ROUTER_URL"].rstrip("/").removesuffix("/v1"),
            default_model=environment["ROUTER_DEFAULT_MODEL"],
            api_key=environment.get("ROUTER_API_KEY") or None,
            auto_models=frozenset(_listed(environment.get("ROUTER_AUTO_MODELS") or "auto")),
            models=_listed(environment.get("ROUTER_MODELS", "")),
            names=names,
            timeout_s=float(environment.get("ROUTER_TIMEOUT_S") or 0.3),
            max_fallbacks=int(environment.get("ROUTER_MAX_FALLBACKS") or 2),
        )


class RouterHook(CustomLogger):  # type: ignore[misc]
    """The callback. One for a proxy process.

    Parameters
    ----------
    settings : HookSettings
    transport : httpx.AsyncBaseTransport, optional
        Instead of the network.
    """

    def __init__(self, settings: HookSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__()
        self._settings = settings
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._reports: asyncio.Queue[tuple[str, dict[str, Any]]] | None = None
        self._senders: list[asyncio.Task[None]] = []
        self.n_dropped = 0

    async def async_pre_call_hook(
        self,
        user_api_key_dict: Any,
        cache: Any,
        data: dict[str, Any],
        call_type: str,
    ) -> dict[str, Any]:
        """Set the model and the fallbacks, if the request leaves the choice open."""
        metadata = _metadata(data)
        # A client may have sent this field itself, and that would not be a decision of the service.
        metadata.pop(_ID, None)
        metadata.pop(_DEGRADED, None)
        model = str(data.get("model"))
        auto, _, asked = (model, "", "") if model in self._settings.auto_models else model.partition(":")
        if auto not in self._settings.auto_models:
            return data
        options = data.pop("router", None)  # ours, not the provider's
        try:
            # httpx's timeout is for each step of a request; this one is for the decision, a second attempt included.
            models, decision_id = await asyncio.wait_for(self._decide(data, options, asked), self._settings.timeout_s)
        except Exception as exc:  # noqa: BLE001 - whatever failed, the request has to be answered
            logger.warning("no decision was made, so the default model answers: %s", _in_short(exc))
            data["model"], metadata[_DEGRADED] = self._settings.default_model, True
            return data
        data["model"] = models[0]
        if rest := models[1 : 1 + self._settings.max_fallbacks]:
            data.setdefault("fallbacks", list(rest))  # a client's own fallbacks win
        metadata[_ID] = decision_id
        return data

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        **_: Any,
    ) -> dict[str, str] | None:
        """Tell the client its decision, for feedback."""
        metadata = _metadata(data)
        if metadata.get(_DEGRADED):
            return {"x-router-degraded": "true"}
        return {"x-router-decision-id": str(metadata[_ID])} if metadata.get(_ID) else None

    async def async_log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        """Report an answer."""
        self._report(kwargs)

    async def async_log_failure_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        """Report an attempt that failed."""
        self._report(kwargs)

    async def _decide(self, data: Mapping[str, Any], options: Any, asked: str) -> tuple[list[str], str]:
        """Return the plan in the proxy's names, best first, and the decision's id.

        `asked` is the name of the service's router; '' for the one of the key.
        """
        known = self._settings.models or _proxy_models()
        offered = [name for name in known if name not in self._settings.auto_models and _wanted(name, options)]
        body: dict[str, Any] = {name: data[name] for name in _BODY if data.get(name) is not None}
        router = dict(options) if isinstance(options, Mapping) else {}
        # The client's own `allow` is in the proxy's names, which the service need not know; `offered` keeps to it.
        router["allow"] = [_literal(self._settings.names.get(name, name)) for name in offered]
        if session_id := data.get("litellm_session_id"):
            # The service refuses longer ids.
            router.setdefault("session_id", str(session_id)[:256])
        if asked:
            body["model"] = f"auto:{asked}"
        response = await self._ask({**body, "router": router})
        if response.status_code != httpx.codes.OK:
            raise RuntimeError(f"{response.status_code}: {response.text[:300]}")
        answer = response.json()
        decided = [self._proxy_name(step, offered) for step in answer["plan"]]
        models = [name for name in decided if name is not None]
        if not models:
            raise RuntimeError(f"the plan names none of the proxy's models ({', '.join(offered)})")
        return models, str(answer["id"])

    async def _ask(self, body: Mapping[str, Any]) -> httpx.Response:
        """Ask once more if the connection broke: it may have been an old one that was just closed for idleness."""
        try:
            return await self._client().post("/v1/route", json=body)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            return await self._client().post("/v1/route", json=body)

    def _proxy_name(self, step: Mapping[str, Any], offered: Sequence[str]) -> str | None:
        """Return what the proxy calls a model, or None if it does not have it; wildcards take the router's name.

        A model with an effort is called by an entry of its own in the proxy's list, which says the effort: a wildcard
        would pass the router's name for it on to the provider.
        """
        model = str(step["model"])
        for name in offered:
            called = self._settings.names.get(name, name)
            if called == model:
                return name
            if "*" in called and fnmatchcase(model, called) and not step.get("parameters"):
                return model
        return None

    def _report(self, kwargs: Mapping[str, Any]) -> None:
        """Queue an outcome; never waits, never raises."""
        try:
            payload = kwargs.get("standard_logging_object") or {}
            decision_id = _metadata(kwargs.get("litellm_params") or {}).get(_ID)
            if not decision_id or not _called_somebody(payload):
                return
            self._queue().put_nowait((_attempt_key(payload), self._outcome(decision_id, payload)))
        except asyncio.QueueFull:
            self.n_dropped += 1
            if self.n_dropped.bit_count() == 1:  # the first, second, fourth, eighth ...
                logger.warning("%d outcomes were dropped: the decision service does not keep up", self.n_dropped)
        except Exception as exc:  # noqa: BLE001 - an answer must not fail because of its report
            logger.warning("an outcome cannot be reported: %s", _in_short(exc))

    def _outcome(self, decision_id: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        model = str(payload.get("model_group") or payload.get("model"))
        said = {
            "decision_id": decision_id,
            "model": self._settings.names.get(model, model),
            "provider": payload.get("custom_llm_provider"),
            "latency_s": _seconds(payload.get("startTime"), payload.get("endTime")),
            **(_answered(payload) if payload.get("status") == "success" else _failed(payload)),
        }
        return {name: value for name, value in said.items() if value is not None}

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            key = self._settings.api_key
            headers = {"authorization": f"Bearer {key}"} if key else {}
            self._http = httpx.AsyncClient(
                base_url=self._settings.url,
                headers=headers,
                timeout=_REPORT_TIMEOUT_S,
                # Uvicorn by itself closes connections that were idle for 5 s, so none is used after 2 s.
                limits=httpx.Limits(max_connections=100, keepalive_expiry=2.0),
                transport=self._transport,
            )
        return self._http

    def _queue(self) -> "asyncio.Queue[tuple[str, dict[str, Any]]]":
        """Return the queue; the first report starts what empties it."""
        # Not in __init__: the hook is made at the import of this file, where no event loop need be running.
        if self._reports is None:
            self._reports = asyncio.Queue(_QUEUE)
            self._senders = [asyncio.create_task(self._send_forever(self._reports)) for _ in range(_SENDERS)]
        return self._reports

    async def _send_forever(self, reports: "asyncio.Queue[tuple[str, dict[str, Any]]]") -> None:
        while True:
            key, outcome = await reports.get()
            try:
                await self._send(key, outcome)
            except Exception as exc:  # noqa: BLE001 - the next one may fare better
                logger.warning("an outcome is lost: %s", _in_short(exc))
            finally:
                reports.task_done()

    async def _send(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Send one report; the same key with every attempt, so it is counted once."""
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            try:
                response = await self._client().post("/v1/outcomes", json=outcome, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                if last:
                    raise
            else:
                if response.is_success:
                    return
                # Any other refusal would be the same the next time.
                if last or response.status_code not in {429, 502, 503, 504}:
                    raise RuntimeError(f"{response.status_code}: {response.text[:300]}")
            await asyncio.sleep(_BACKOFF_S * 2**attempt)


def _proxy_models() -> list[str]:
    """Return the names of the models in the proxy's ``model_list``."""
    from litellm.proxy import proxy_server  # noqa: PLC0415 - at the import of this file, the proxy is still being imported itself

    return list(proxy_server.llm_router.get_model_names()) if proxy_server.llm_router else []


def _wanted(name: str, options: Any) -> bool:
    """Whether the request's own ``allow`` lets a model through; the service reads the rest of its options."""
    allow = options.get("allow") if isinstance(options, Mapping) else None
    return not allow or any(fnmatchcase(name, str(pattern)) for pattern in allow)


def _literal(name: str) -> str:
    """Return a glob that means this name; a star is one in LiteLLM's names, too."""
    return re.sub(r"([?\[])", r"[\1]", name)


def _metadata(holder: Any) -> dict[str, Any]:
    """Return what LiteLLM carries along with a request; where ``metadata`` is the provider's, it has another name."""
    for name in ("litellm_metadata", "metadata"):
        if isinstance(holder.get(name), dict):
            found: dict[str, Any] = holder[name]
            return found
    holder["metadata"] = {}
    return _metadata(holder)


def _attempt_key(payload: Mapping[str, Any]) -> str:
    """Return the attempt's own key: retries and fallbacks of a request share its call id, not their beginning."""
    parts = (payload.get("litellm_call_id"), payload.get("model_id"), payload.get("startTime"))
    # The service takes visible ASCII without spaces in this header, at most 256 characters.
    return re.sub(r"[^!-~]", "", "litellm-" + "-".join(map(str, parts)))[:200]


def _called_somebody(payload: Mapping[str, Any]) -> bool:
    """Whether a provider was called: not where the proxy's cache answered, nor where all deployments were cooling."""
    return bool(payload.get("model_id")) and not payload.get("cache_hit")


def _answered(payload: Mapping[str, Any]) -> dict[str, Any]:
    usage = (payload.get("metadata") or {}).get("usage_object") or {}
    read, written = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    response = payload.get("response")
    choices = (response.get("choices") if isinstance(response, Mapping) else None) or [{}]
    said = {
        "status": 200,
        "response_id": payload.get("id"),
        "finish_reason": choices[0].get("finish_reason"),
        "first_token_s": _seconds(payload.get("startTime"), payload.get("completionStartTime"))
        if payload.get("stream")
        else None,
    }
    if not payload.get("prompt_tokens"):  # LiteLLM's 0 of a stream without usage: not known, and so is the cost
        return said
    return {
        **said,
        "input_tokens": payload["prompt_tokens"],
        "output_tokens": payload.get("completion_tokens"),
        "cached_input_tokens": read.get("cached_tokens"),
        "cache_write_tokens": read.get("cache_creation_tokens") or usage.get("cache_creation_input_tokens"),
        "reasoning_tokens": written.get("reasoning_tokens"),
        "cost_usd": payload.get("response_cost"),
    }


def _failed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known about a failure: its kind and status, not its text, which may quote the prompt."""
    said = payload.get("error_information") or {}
    code = str(said.get("error_code") or "")
    return {
        "status": int(code) if re.fullmatch(r"[45]\d\d", code) else None,
        "error_type": str(said.get("error_class") or "error"),
    }


def _seconds(start: Any, end: Any) -> float | None:
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return None
    return max(float(end) - float(start), 0.0)


def _in_short(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


router_hook = RouterHook(HookSettings.read(os.environ))
