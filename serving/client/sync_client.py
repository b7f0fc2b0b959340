"""The synchronous client."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import httpx2

from router_model.serving.client import calls
from router_model.serving.client.answer_values import Json, ListedModel, Receipt, RouteAnswer
from router_model.serving.client.calls import Call, OutcomeFields, Prompt, RouteOptions
from router_model.serving.client.client_errors import AnsweredError, RouterClientError
from router_model.serving.client.core import FAILS_OPEN, Core, local_answer, logger
from router_model.serving.client.exchange import Got, Limits, Lost, Send, Wait
from router_model.serving.client.retries import Retries

Answer = TypeVar("Answer")


class RouterClient(Core):
    """Ask the decision service, and wait for its answers. Safe to share between threads.

    Parameters
    ----------
    base_url : str
        The service's address, without ``/v1``.
    api_key : str, optional
        None: of a service that runs without keys.
    timeout : float
        Seconds that one attempt may take. They limit each read and are checked after it. So an attempt may take twice
        as long, and longer if the service sends its status line and headers a few bytes at a time. `AsyncRouterClient`
        has no such exceptions.
    deadline : float
        Seconds that a whole call may take, retries and their waits included.
    transport : httpx2.BaseTransport, optional
        Instead of the network: for tests, proxies, Unix sockets.
    retries : int or Retries
        Attempts after the first, if the connection fails, times out, or the status is 429, 502, 503 or 504.
        A retried report is counted once; a retried decision may leave a second one in the log, which nothing uses.

    Examples
    --------
    >>> import httpx2
    >>> def serve(request):
    ...     return httpx2.Response(200, json={"id": "dec_1", "model": "small", "reason": "cheapest_above_bar"})
    >>> client = RouterClient("http://router", "a-key", transport=httpx2.MockTransport(serve))
    >>> client.route("What is 2 + 2?", quality_bar=0.7).model
    'small'
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = 2.0,
        deadline: float = 10.0,
        transport: httpx2.BaseTransport | None = None,
        retries: int | Retries = 2,
    ) -> None:
        super().__init__(base_url, api_key, timeout=timeout, deadline=deadline, retries=retries)
        self._http = httpx2.Client(**self._connection.settings, transport=transport)

    def route(
        self, prompt: Prompt, *, fallback: str | Sequence[str] | None = None, **options: Unpack[RouteOptions]
    ) -> RouteAnswer:
        """Ask which model to call.

        Parameters
        ----------
        prompt : str, sequence of messages, or chat body
            A body is sent as it is, tools, response format and all.
        fallback : str or sequence of str, optional
            Models to answer with, `degraded`, if the service is away, fails, or has no time for this key. Without
            it that is an error. What the service refuses stays an error.
        **options
            See `RouteOptions`.

        Raises
        ------
        UnreachableError, ServerError, RateLimitError
            If no answer came and there is no `fallback`.
        AnsweredError
            If the service refuses the request; its subclasses say why.
        """
        call = calls.route(prompt, options)
        try:
            return self._run(call)
        except FAILS_OPEN as exc:
            return local_answer(fallback, exc)

    def route_batch(
        self, prompts: Sequence[Prompt], **options: Unpack[RouteOptions]
    ) -> tuple[RouteAnswer | AnsweredError, ...]:
        """Ask which model to call for each prompt; an answer or an error each, in their order."""
        return self._run(calls.route_batch(prompts, options))

    def feedback(
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
        """Judge an answer: counted once, however often it is sent.

        Parameters
        ----------
        decision_id, response_id : str
            The decision, or the provider's id of the answer; at least one.
        score, thumb : float from 0 to 1, ``up`` or ``down``
            Exactly one of them.
        source : str
            What kind of judge: ``user``, ``judge``, ``test``.
        metric : str
            Training reads ``quality``.
        comment : str, optional
        idempotency_key : str, optional
            Made by the client if absent. Give your own where your process may die and report again.
        """
        return self._run(
            calls.feedback(
                decision_id=decision_id, response_id=response_id, score=score, thumb=thumb, source=source,
                metric=metric, comment=comment, idempotency_key=idempotency_key,
            )
        )  # fmt: skip

    def outcome(
        self, decision_id: str | None = None, *, idempotency_key: str | None = None, **fields: Unpack[OutcomeFields]
    ) -> Receipt:
        """Report what happened when the provider was called (see `OutcomeFields`); counted once."""
        return self._run(calls.outcome(decision_id, fields, idempotency_key))

    def models(self) -> tuple[ListedModel, ...]:
        """List the models that the service decides between."""
        return self._run(calls.models())

    def decision(self, decision_id: str) -> Json:
        """Return a decision of the service's log, as it is kept there."""
        return self._run(calls.decision(decision_id))

    def healthy(self) -> bool:
        """Whether the service is ready to decide, now: one attempt, and False instead of any error."""
        try:
            self._run(calls.ready(), self._once())
        except RouterClientError as exc:
            logger.info("not healthy: %s", exc)
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[Answer], limits: Limits | None = None) -> Answer:
        steps = self._exchange(call, limits)
        came: Got | Lost | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                answer: Answer = done.value
                return answer
            came = self._do(call, step)

    def _do(self, call: Call[Any], step: Send | Wait) -> Got | Lost | None:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        try:
            return self._ask(call, step.timeout_s)
        except (httpx2.RequestError, TimeoutError) as exc:
            return self._connection.lost(exc, step.timeout_s)

    def _ask(self, call: Call[Any], timeout_s: float) -> Got:
        ends_at, content = time.monotonic() + timeout_s, bytearray()
        with self._http.stream(**self._connection.request(call, timeout_s)) as response:
            for part in response.iter_bytes():
                # The library's timeout is of each read, so a server that trickles its answer would never exceed it.
                if time.monotonic() > ends_at:
                    raise TimeoutError
                content += part
        return self._connection.got(response, bytes(content))
