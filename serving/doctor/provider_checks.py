"""Are the providers reachable, and do they take our keys? Asked is the list of models alone, which costs nothing."""

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from router_model.serving.common.masking import masked_keys
from router_model.serving.doctor.finding import Finding, Level, some
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.provider import STAR, Kind, Provider
from router_model.serving.providers.secret_values import read_keys, read_proxy
from router_model.serving.providers.transport import AiohttpTransport, Connecting

_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 4_000_000
_OK: Final = 200
_KEY_REFUSED: Final = frozenset({401, 403})
_NO_SUCH_LIST: Final = frozenset({404, 405, 501})
_LIMITED: Final = 429
_ANTHROPIC_VERSION: Final = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Asked:
    """What providers said.

    Attributes
    ----------
    findings : one or more a provider
    ahead_s : by how much our clock is ahead of each provider's that said its time, in seconds
    """

    findings: Sequence[Finding]
    ahead_s: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: bytes
    ahead_s: float | None


def ask_providers(providers: Sequence[Provider]) -> Asked:
    """Ask every provider for its models, with each of its keys, all at the same time."""
    return asyncio.run(_ask_all(providers))


async def _ask_all(providers: Sequence[Provider]) -> Asked:
    asked = await asyncio.gather(*(_ask(provider) for provider in providers))
    return Asked([one for each, _ in asked for one in each], [ahead for _, aheads in asked for ahead in aheads])


async def _ask(provider: Provider) -> tuple[list[Finding], list[float]]:
    check = f"provider {provider.name}"
    if provider.kind is Kind.ECHO:
        return [Finding(check, Level.GOOD, "answers in this process, without a network")], []
    keys: Mapping[str, str | None] = read_keys(provider.key_variables, os.environ, where=provider.name) or {"": None}
    proxy = None
    if provider.proxy_variable is not None:
        proxy = read_proxy(provider.proxy_variable, os.environ, where=provider.name)
    transport = AiohttpTransport(Connecting(connect_s=provider.deadlines.connect_s, proxy_url=proxy))
    found, aheads = [], []
    try:
        for variable, key in keys.items():
            named = f"{check}, key {variable}" if variable else check
            try:
                async with asyncio.timeout(_WITHIN_S):
                    answer = await _models(transport, provider, key)
            except (UpstreamFailure, TimeoutError) as exc:
                said = masked_keys(str(exc)) or f"no answer within {_WITHIN_S:.0f} s"
                do = f"check base_url ({provider.base_url}), the network and its firewall"
                found.append(Finding(named, Level.ERROR, f"cannot be reached: {said}", do))
                break
            found.append(_judged(named, provider, variable, answer))
            aheads += [] if answer.ahead_s is None else [answer.ahead_s]
    finally:
        await transport.close()
    return found, aheads


async def _models(transport: AiohttpTransport, provider: Provider, key: str | None) -> _Answer:
    url = f"{provider.base_url}/models"
    headers = dict(provider.headers) | _key_headers(provider.kind, key)
    response = await transport.send(HttpRequest(url, headers, b"", method="GET"))
    try:
        content = b""
        async for piece in response.chunks():
            content += piece
            if len(content) > _MOST_BYTES:
                break
        said = response.headers.get("date")
        return _Answer(response.status, content, None if said is None else _ahead_s(said))
    finally:
        await response.close()


def _key_headers(kind: Kind, key: str | None) -> dict[str, str]:
    """Return the headers that carry a key, as a provider of a kind wants them."""
    version = {"anthropic-version": _ANTHROPIC_VERSION} if kind is Kind.ANTHROPIC else {}
    if key is None:
        return version
    if kind is Kind.ANTHROPIC:
        return version | {"x-api-key": key}
    return {"x-goog-api-key": key} if kind is Kind.GEMINI else {"authorization": f"Bearer {key}"}


def _ahead_s(date: str) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _judged(check: str, provider: Provider, variable: str, answer: _Answer) -> Finding:
    if answer.status in _KEY_REFUSED:
        what = f"refuses the key in {variable}" if variable else "wants a key, and none is named"
        do = f"put a valid key into {variable}" if variable else "name the variable of a key in 'keys'"
        return Finding(check, Level.ERROR, f"{what} (status {answer.status})", do)
    if answer.status in _NO_SUCH_LIST:
        return Finding(check, Level.UNKNOWN, "is reachable; it has no list of models, so the key is not checked")
    if answer.status == _LIMITED:
        do = "raise the limit at the provider, or name a second key"
        return Finding(check, Level.WARNING, "is reachable and says that the key's limit is reached (429)", do)
    if answer.status != _OK:
        return Finding(
            check, Level.WARNING, f"is reachable and answers with status {answer.status}", "look at its status page"
        )
    listed = _listed(answer.content)
    missing = sorted({theirs for theirs in provider.models.values() if STAR not in theirs} - listed)
    if listed and missing:
        do = "correct the provider's id in 'models', or take the model out"
        return Finding(check, Level.WARNING, f"takes the key, and does not list {some(missing)}", do)
    key = " and takes the key" if variable else ""
    return Finding(check, Level.GOOD, f"is reachable{key}; it lists {len(listed)} models")


def _listed(content: bytes) -> set[str]:
    """Return the ids of a list of models: ``data[].id`` of OpenAI and Anthropic, ``models[].name`` of Gemini."""
    try:
        body = json.loads(content)
    except ValueError:
        return set()
    entries = body.get("data") or body.get("models") or () if isinstance(body, dict) else ()
    found = (entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, dict))
    return {name.removeprefix("models/") for name in found if isinstance(name, str)}
