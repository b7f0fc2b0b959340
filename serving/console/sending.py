"""Send the playground's prompt to a model through the proxy, and read its answer and its bill.

The call is the proxy's own, as if a client had sent it with the caller's key: limits, budgets, failover and the
decision log apply.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.common.callers import Caller
from router_model.serving.common.router_names import router_in
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.formats.format import Surface
from router_model.serving.http_edge.error_answers import as_service_error
from router_model.serving.proxy.proxy import Proxy

MOST_CHARS: Final = 50_000
"""Of an answer that is shown."""
MOST_MODELS: Final = 4
"""Models that one prompt is sent to at once."""


@dataclass(frozen=True, slots=True)
class SentAnswer:
    """What came of one call.

    Attributes
    ----------
    asked : the model that was asked for; ``auto``: the router chose
    error : what went wrong, in words; '' of an answer. A failed call may have a bill, too.
    model, provider : who answered
    text : the answer, or its tool calls as JSON
    n_left_out : characters of it that are not shown
    finish_reason : str
    cost_usd : float or None
        None where nobody knows the price.
    is_estimated : whether the provider did not report its usage properly
    input_tokens, output_tokens : int or None
    n_attempts : int
    latency_s : float
        To the end of the answer, failed attempts included.
    decision_id : of the router's decision, '' where a model was named
    """

    asked: str
    error: str = ""
    model: str = ""
    provider: str = ""
    text: str = ""
    n_left_out: int = 0
    finish_reason: str = ""
    cost_usd: float | None = None
    is_estimated: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    n_attempts: int = 0
    latency_s: float = 0.0
    decision_id: str = ""


async def send(request: Request, proxy: Proxy, caller: Caller, body: Mapping[str, Any], model: str) -> SentAnswer:
    """Send a chat body to a model, and return what came of it.

    Parameters
    ----------
    request : of the console; its body has been read
    caller : with the role ``proxy``, and counted by the caller of this function
    body : chat body
    model : id, ``auto`` or ``auto:NAME``
    """
    began = time.perf_counter()
    asked = {**body, "model": model, "stream": False}
    if router_in(model) is None:
        asked.pop("router", None)  # what the router is asked for says nothing to a model
    try:
        response = await proxy.answer(request, caller, proxy.read(request, caller, Surface.CHAT, asked))
    except Exception as exc:
        error = as_service_error(exc)
        if error is None:
            raise
        return _refused(model, error, time.perf_counter() - began)
    return _answered(model, response, time.perf_counter() - began)


def _refused(model: str, error: ServiceError, latency_s: float) -> SentAnswer:
    headers = error.headers
    return SentAnswer(
        model,
        error=f"{error.message} ({error.code})",
        n_attempts=int(headers.get("x-router-attempts", "0")),
        decision_id=headers.get("x-router-decision-id", ""),
        latency_s=latency_s,
    )


def _answered(model: str, response: Response, latency_s: float) -> SentAnswer:
    body, headers = orjson.loads(response.body), response.headers
    choice: Mapping[str, Any] = next(iter(body.get("choices") or ()), {})
    text = _text_of(choice.get("message") or {})
    usage, cost = body.get("usage") or {}, headers.get("x-router-cost-usd")
    return SentAnswer(
        model,
        model=unquote(headers["x-router-model"]),
        provider=unquote(headers["x-router-provider"]),
        text=text[:MOST_CHARS],
        n_left_out=max(len(text) - MOST_CHARS, 0),
        finish_reason=str(choice.get("finish_reason") or ""),
        cost_usd=None if cost is None else float(cost),
        is_estimated=headers.get("x-router-usage") == "estimated",
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        n_attempts=int(headers["x-router-attempts"]),
        latency_s=latency_s,
        decision_id=headers.get("x-router-decision-id", ""),
    )


def _text_of(message: Mapping[str, Any]) -> str:
    """Return an answer as text: what was said, then refusals and tool calls."""
    content = message.get("content")
    said = [content] if isinstance(content, str) else []
    said += [str(message["refusal"])] if message.get("refusal") else []
    if message.get("tool_calls"):
        said.append(orjson.dumps(message["tool_calls"], option=orjson.OPT_INDENT_2).decode())
    return "\n".join(said)
