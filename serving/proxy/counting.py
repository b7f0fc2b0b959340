"""Count the tokens of a conversation: by a provider that counts for nothing, or else by its bytes."""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from router_model.serving.formats.format import KIND_OF_SURFACE, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.forwarding.reading import read_whole
from router_model.serving.forwarding.upstream_errors import Failed, upstream_error
from router_model.serving.http_edge.json_response import header_text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import Kind, Target
from router_model.serving.providers.sent import Sent
from router_model.serving.proxy.proxy import Proxy
from router_model.serving.proxy.proxy_request import ProxyRequest

ESTIMATED: Final = "estimated"
_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 65_536
_BYTES_A_TOKEN: Final = 4
_DATA_TOKENS: Final = 1000
"""Of an image or a file, as where usage is estimated."""
_COUNTED: Final = {
    Surface.MESSAGES: frozenset(
        {
            *("messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"),
            *("context_management", "mcp_servers", "speed"),
        }
    ),
    Surface.RESPONSES: frozenset(
        {
            *("input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
            *("previous_response_id", "conversation", "truncation"),
        }
    ),
}
"""The fields that Anthropic and OpenAI count; they refuse others."""
_OK: Final = 200
_logger = logging.getLogger(__name__)


async def count_tokens(proxy: Proxy, asked: ProxyRequest) -> tuple[int, str]:
    """Return how many tokens a conversation has, and who says so: a provider's name, or `ESTIMATED`.

    Only the provider of a model in the caller's own format is asked. Where the router would decide, that is the first
    of the models that it may choose: their tokens differ by less than an estimate does.

    Raises
    ------
    ModelNotFoundError
        If nobody knows the model.
    UpstreamError
        If the provider calls the request bad.
    """
    for target in _native(proxy, asked):
        try:
            return await _by_provider(proxy, asked, target), header_text(target.provider.name)
        except (UpstreamFailure, TimeoutError) as exc:
            if isinstance(exc, UpstreamFailure) and exc.kind is FailureKind.BAD_REQUEST:
                raise upstream_error(Failed(target, exc)) from exc
            _logger.info("%s does not count tokens now (%s); they are estimated", target.name, type(exc).__name__)
            break
    sent = Sent(orjson.dumps(asked.call.body))
    return max(math.ceil(sent.n_words_bytes / _BYTES_A_TOKEN) + sent.n_data * _DATA_TOKENS, 1), ESTIMATED


def _native(proxy: Proxy, asked: ProxyRequest) -> Sequence[Target]:
    """Return who could count, best first."""
    for model in asked.models:
        proxy.check_known(model, asked)
    models = asked.models or tuple(proxy.candidates.served_models)
    targets = [target for model in models for target in proxy.providers.targets(model)]
    if asked.models:  # the model that was named, or none
        targets = targets[:1]
    return [target for target in targets if target.provider.kind is KIND_OF_SURFACE[asked.surface]]


async def _by_provider(proxy: Proxy, asked: ProxyRequest, target: Target) -> int:
    key = proxy.providers.keys(target.provider).keys[0].value
    adapter = adapter_for(asked.surface, target.provider.kind)
    body = dict(asked.call.body)
    if asked.surface in _COUNTED:
        body = {name: value for name, value in body.items() if name in _COUNTED[asked.surface]}
    request = _counting(adapter.provider.request(body, replace(asked.call, stream=False), target, key), target)
    async with asyncio.timeout(_WITHIN_S):
        response = await proxy.providers.transport(target.provider).send(request)
        try:
            content = await read_whole(response.chunks(), _MOST_BYTES)
        finally:
            await response.close()
    if response.status != _OK:
        raise adapter.failure(response.status, response.headers, content)
    return _number_in(content)


def _counting(request: HttpRequest, target: Target) -> HttpRequest:
    if target.provider.kind is Kind.GEMINI:
        return replace(request, url=request.url.replace(":generateContent", ":countTokens"))
    if target.provider.kind is Kind.RESPONSES:
        body = orjson.loads(request.content)
        del body["stream"]
        return replace(request, url=f"{request.url}/input_tokens", content=orjson.dumps(body))
    return replace(request, url=f"{request.url}/count_tokens")


def _number_in(content: bytes) -> int:
    try:
        answer = orjson.loads(content)
        return int(answer["input_tokens"] if "input_tokens" in answer else answer["totalTokens"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise UpstreamFailure(FailureKind.MALFORMED, "the provider's count of tokens is no number") from exc
