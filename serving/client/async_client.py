"""The asynchronous client, for asyncio or trio."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import anyio
import httpx2

from router_model.serving.client import calls
from router_model.serving.client.answer_values import Json, ListedModel, Receipt, RouteAnswer
from router_model.serving.client.calls import Call, OutcomeFields, Prompt, RouteOptions
from router_model.serving.client.client_errors import AnsweredError, RouterClientError
from router_model.serving.client.core import FAILS_OPEN, Core, local_answer, logger
from router_model.serving.client.exchange import Got, Limits, Lost, Send, Wait
from router_model.serving.client.retries import Retries

Answer = TypeVar("Answer")


class AsyncRouterClient(Core):
    """Ask the decision service without blocking; parameters and methods as of `RouterClient`, awaited.

    Examples
    --------
    >>> import asyncio, httpx2
    >>> def serve(request):
    ...     return httpx2.Response(200, json={"id": "dec_1", "model": "small", "reason": "cheapest_above_bar"})
    >>> async def ask():
    ...     async with AsyncRouterClient("http://router", "a-key", transport=httpx2.MockTransport(serve)) as client:
    ...         return (await client.route("What is 2 + 2?")).model
    >>> asyncio.run(ask())
    'small'
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = 2.0,
        deadline: float = 10.0,
        transport: httpx2.AsyncBaseTransport | None = None,
        retries: int | Retries = 2,
    ) -> None:
        super().__init__(base_url, api_key, timeout=timeout, deadline=deadline, retries=retries)
        self._http = httpx2.AsyncClient(**self._connection.settings, transport=transport)

    async def route(
        self, prompt: Prompt, *, fallback: str | Sequence[str] | None = None, **options: Unpack[RouteOptions]
    ) -> RouteAnswer:
        """Ask which model to call; see `RouterClient.route`."""
        call = calls.route(prompt, options)
        try:
            return await self._run(call)
        except FAILS_OPEN as exc:
            return local_answer(fallback, exc)

    async def route_batch(
        self, prompts: Sequence[Prompt], **options: Unpack[RouteOptions]
    ) -> tuple[RouteAnswer | AnsweredError, ...]:
        """Ask which model to call for each prompt; an answer or an error each, in their order."""
        return await self._run(calls.route_batch(prompts, options))

    async def feedback(
        self,
        *,
        decision_id: str | None = None,
        response_id: str | None = None,
        score: float | None = None,
        thumb: Literal["up", "down"] | None = None,
        source: str = "user",
        metric: str = "quality",
        comment: str | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Judge an answer: counted once, however often it is sent; see `RouterClient.feedback`."""
        return await self._run(
            calls.feedback(
                decision_id=decision_id, response_id=response_id, score=score, thumb=thumb, source=source,
                metric=metric, comment=comment, idempotency_key=idempotency_key,
            )
        )  # fmt: skip

    async def outcome(
        self, decision_id: str | None = None, *, idempotency_key: str | None = None, **fields: Unpack[OutcomeFields]
    ) -> Receipt:
        """Report what happened when the provider was called (see `OutcomeFields`); counted once."""
        return await self._run(calls.outcome(decision_id, fields, idempotency_key))

    async def models(self) -> tuple[ListedModel, ...]:
        """List the models that the service decides between."""
        return await self._run(calls.models())

    async def decision(self, decision_id: str) -> Json:
        """Return a decision of the service's log, as it is kept there."""
        return await self._run(calls.decision(decision_id))

    async def healthy(self) -> bool:
        """Whether the service is ready to decide, now: one attempt, and False instead of any error."""
        try:
            await self._run(calls.ready(), self._once())
        except RouterClientError as exc:
            logger.info("not healthy: %s", exc)
            return False
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(self, call: Call[Answer], limits: Limits | None = None) -> Answer:
        steps = self._exchange(call, limits)
        came: Got | Lost | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                answer: Answer = done.value
                return answer
            came = await self._do(call, step)

    async def _do(self, call: Call[Any], step: Send | Wait) -> Got | Lost | None:
        if isinstance(step, Wait):
            await anyio.sleep(step.seconds)
            return None
        try:
            # The library's timeout is of each read, so a server that trickles its answer would never exceed it.
            with anyio.fail_after(step.timeout_s):
                response = await self._http.request(**self._connection.request(call, step.timeout_s))
                return self._connection.got(response, response.content)
        except (httpx2.RequestError, TimeoutError) as exc:
            return self._connection.lost(exc, step.timeout_s)
