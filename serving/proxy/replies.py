"""Turn the forwarder's reply into a response: whole or as a stream, with the router's headers."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.query import Routed
from router_model.serving.forwarding.reply import EventStream, Reply
from router_model.serving.http_edge.json_response import JSON, header_text
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.account import Account
from router_model.serving.proxy.cancel_on_disconnect import CancelOnDisconnect
from router_model.serving.proxy.draining import UnderWay

_STREAM_HEADERS: Final = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def reply_headers(reply: Reply, routed: Routed | None) -> dict[str, str]:
    """Return the headers of an answer; a call that names its model has no decision."""
    headers = {
        "x-router-model": header_text(reply.target.model),
        "x-router-provider": header_text(reply.target.provider.name),
        "x-router-attempts": str(reply.n_attempts),
        "x-router-degraded": "true" if routed is not None and routed.degraded else "false",
    }
    if routed is not None:
        headers["x-router-decision-id"] = routed.decision_id
    headers |= changes_headers(reply.changes)
    if reply.body is not None and reply.facts.cost_usd is not None:
        headers["x-router-cost-usd"] = usd_text(reply.facts.cost_usd)
    if reply.body is not None and reply.facts.estimated:
        headers["x-router-usage"] = "estimated"
    return headers


def changes_headers(changes: Sequence[str]) -> dict[str, str]:
    """Return the headers that say what of a request the model was not asked, or was asked otherwise.

    >>> changes_headers(["top_k", "reasoning_effort=high"])
    {'x-router-dropped': 'top_k', 'x-router-changed': 'reasoning_effort=high'}
    """
    dropped = [change for change in changes if "=" not in change]
    changed = [change for change in changes if "=" in change]
    named = {"x-router-dropped": dropped, "x-router-changed": changed}
    return {name: ", ".join(values) for name, values in named.items() if values}


def error_headers(routed: Routed | None, n_attempts: int) -> dict[str, str]:
    """Return the headers of an error after a decision: which it was, and how many calls were made in vain."""
    attempts = {"x-router-attempts": str(n_attempts)}
    return attempts if routed is None else attempts | {"x-router-decision-id": routed.decision_id}


def usd_text(usd: float) -> str:
    """Write an amount without an exponent.

    >>> usd_text(2.3e-06), usd_text(0.0), usd_text(1.5)
    ('0.0000023', '0', '1.5')
    """
    return f"{usd:.12f}".rstrip("0").rstrip(".")


def whole_answer(reply: Reply, headers: dict[str, str]) -> Response:
    """Return a whole answer."""
    return Response(orjson.dumps(reply.body), headers=headers, media_type=JSON)


class StreamAnswer(Response):
    """A stream: pieces are sent as they come; the client's leaving ends the provider's call at once.

    Parameters
    ----------
    stream : of the reply; closed whatever happens
    headers : of the answer
    under_way : UnderWay
        Cuts the stream when a drain is over.
    account : Account
        Is told as the stream goes on, and closed once it is closed.
    """

    def __init__(self, stream: EventStream, headers: Mapping[str, str], under_way: UnderWay, account: Account) -> None:
        super().__init__(headers={**headers, **_STREAM_HEADERS}, media_type="text/event-stream")
        del self.headers["content-length"]
        self._stream = stream
        self._under_way = under_way
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            async with aclosing(self._stream) as stream:
                with CancelOnDisconnect(scope, receive), self._under_way.stream(stream):
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    async for piece in stream:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                        self._account.go_on()
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            pass  # the stream is closed, and its attempt says why it ended
        finally:
            self._account.close()


def openrouter_metadata(
    requested: str, targets: Sequence[Target], attempts: Sequence[AttemptRecord], routed: Routed | None
) -> dict[str, Any]:
    """Return ``openrouter_metadata``, which says how a call was routed (``X-OpenRouter-Metadata: enabled``).

    Parameters
    ----------
    requested : the model that was asked for
    targets : the candidates
    attempts : the attempts so far, including the one that answered
    routed : the decision; None of a model that was forwarded as asked
    """
    last = attempts[-1] if attempts else None
    return {
        "requested": requested,
        "strategy": "direct" if routed is None else "auto",
        "attempt": len(attempts),
        "endpoints": {
            "total": len(targets),
            "available": [
                {
                    "provider": target.provider.name,
                    "model": target.model,
                    "selected": last is not None
                    and (last.provider, last.model) == (target.provider.name, target.model),
                }
                for target in targets
            ],
        },
        "attempts": [{"provider": one.provider, "model": one.model, "status": one.status} for one in attempts],
        "pipeline": [] if routed is None else [{"name": "decision", "id": routed.decision_id, "reason": routed.reason}],
    }
