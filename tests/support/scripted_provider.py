"""Providers that do as they are told, and a format of few words, for tests of forwarding.

A body is ``{"text": .., "usage": [in, out]}``; a stream has events ``{"text": ..}``, ``{"usage": [in, out]}``,
``{"done": "stop"}``, ``{"error": kind}`` and ``{"ping": 1}``. What the caller is sent is ``data: text``, and at the end
``data: END`` or ``data: FAIL kind``.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.formats.refusals import as_refusal
from router_model.serving.forwarding.forwarder import Forwarder
from router_model.serving.forwarding.reply import ForwardRequest
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.keys import KeyRing
from router_model.serving.providers.provider import Deadlines, Kind, Provider, Target
from router_model.serving.providers.usage import Usage

STATUSES = {
    400: FailureKind.BAD_REQUEST,
    401: FailureKind.KEY,
    402: FailureKind.KEY,
    403: FailureKind.REFUSED,
    404: FailureKind.MODEL_GONE,
    413: FailureKind.TOO_LONG,
    422: FailureKind.BAD_REQUEST,
    429: FailureKind.RATE_LIMITED,
}


def sse(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def text(word):
    return sse({"text": word})


END = sse({"usage": [7, 2]}, {"done": "stop"})
PING = b": ping\n\n" + sse({"ping": 1})


@dataclass
class Says:
    """What one call is answered with: numbers are seconds of silence, failures are raised, bytes are sent."""

    pieces: list = field(default_factory=list)
    status: int = 200
    headers: dict = field(default_factory=lambda: {"content-type": "text/event-stream"})
    before: list = field(default_factory=list)
    close: list = field(default_factory=list)


def stream(*pieces, **fields):
    return Says(list(pieces), **fields)


def whole(word="hi", *, delay=0.0):
    body = json.dumps({"text": word, "usage": [7, 2]}).encode()
    return Says([body], headers={"content-type": "application/json"}, before=[delay])


def status(code, *, retry_after=None, body=b"{}", scope="model"):
    headers = {"scope": scope} if retry_after is None else {"scope": scope, "retry-after": str(retry_after)}
    return Says([body], code, headers)


def refuses(message):
    """Return a 400 in a provider's words."""
    return Says([json.dumps({"message": message}).encode()], 400, {})


def refused():
    return Says(before=[UpstreamFailure(FailureKind.CONNECTION, "connection refused")])


def broken():
    return UpstreamFailure(FailureKind.CONNECTION, "connection reset")


async def _play(pieces):
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
        if isinstance(piece, int | float):
            await asyncio.sleep(piece)
        else:
            yield piece


class Response:
    def __init__(self, says, world):
        self.status = says.status
        self.headers = says.headers
        self._says = says
        self._world = world
        self.closings = 0
        world.responses.append(self)

    def chunks(self):
        return _play(self._says.pieces)

    async def close(self):
        self.closings += 1
        try:
            async for _ in _play(self._says.close):
                pass
        except asyncio.CancelledError:
            self._world.interrupted += 1
            raise
        finally:
            self._world.open -= 1


class Transport:
    def __init__(self, name, world):
        self._name = name
        self._world = world

    async def send(self, request):
        world = self._world
        world.sent.append((asyncio.get_running_loop().time() - 1000.0, request.url, request.headers.get("key")))
        world.contents.append(request.content)
        world.streamed.append(request.headers["stream"] == "True")
        world.in_flight += 1
        try:
            says = world.next_answer(request.url)
            if request.on_sent is not None and not (says.before and isinstance(says.before[0], BaseException)):
                request.on_sent()
            async for _ in _play(says.before):
                pass
        finally:
            world.in_flight -= 1
        world.open += 1
        return Response(says, world)

    async def close(self):
        pass


class Format:
    """Reads as a provider and writes as a surface."""

    def request(self, body, call, target, key):
        if target.upstream_model == "untranslatable":
            raise InvalidRequestError(f"{target.name} cannot be asked this", param="tools")
        headers = {} if key is None else {"key": key}
        return HttpRequest(target.name, headers | {"stream": str(call.stream)}, json.dumps(body).encode())

    def read_answer(self, content_type, content):
        if content_type != "application/json":
            raise UpstreamFailure(FailureKind.MALFORMED, f"got {content_type!r}, expected JSON", status=200)
        answer = json.loads(content)
        finish = answer.get("finish", "stop")
        facts = Facts(response_model="m", finish_reason=finish, has_content=bool(answer["text"]), is_complete=True)
        facts.usage = Usage(*answer["usage"]) if answer["usage"] else None
        return answer, facts

    def as_stream(self, answer):
        return [answer, {"done": "stop"}]

    def reader(self):
        return Reader()

    def assembler(self):
        return Assembler()

    def failure(self, code, headers, content):
        kind = STATUSES.get(code, FailureKind.SERVER)
        retry_after = headers.get("retry-after")
        after_s = None if retry_after is None else float(retry_after)
        message = json.loads(content or b"{}").get("message", f"status {code}")
        of_key = headers.get("scope") == "key"
        failure = UpstreamFailure(kind, message, status=code, code="theirs", retry_after_s=after_s, of_key=of_key)
        return as_refusal(failure)

    def write_answer(self, answer, facts, target, extras, call=None):
        del call
        return {"text": answer["text"], "model": target.model, "cost": facts.cost_usd, **extras}

    def writer(self, call, target):
        del call, target
        return Writer()


class Reader:
    def __init__(self):
        self.facts = Facts(response_model="m")

    def end(self):
        return []

    def read(self, event):
        said = json.loads(event.data)
        if "error" in said:
            raise UpstreamFailure(FailureKind(said["error"]), f"they said {said['error']}")
        if "ping" in said:
            return None
        self.facts.has_content |= "text" in said
        if "usage" in said:
            self.facts.usage = Usage(*said["usage"])
        if "done" in said:
            self.facts.finish_reason, self.facts.is_complete = said["done"], True
        return said


class Assembler:
    def __init__(self):
        self._said = []

    def add(self, event):
        self._said.append(event)

    def answer(self, facts):
        usage = [facts.usage.input_tokens, facts.usage.output_tokens] if facts.usage else None
        return {"text": "".join(event.get("text", "") for event in self._said), "usage": usage}


class Writer:
    def write(self, event):
        return [f"data: {event['text']}\n\n".encode()] if "text" in event else []

    def end(self, facts, extras):
        del facts
        return [f"data: END {json.dumps(extras) if extras else ''}".strip().encode() + b"\n\n"]

    def fail(self, failure):
        return [f"data: FAIL {failure.kind}\n\n".encode()]


ADAPTER = Adapter(Format(), Format())


class World:
    """Providers by script; a `router_model.serving.providers.fleet.Fleet`.

    Parameters
    ----------
    scripts : name of a target (``provider:model``) to its answers; the last one is given on and on
    provider : fields of every `Provider`
    """

    def __init__(self, scripts, *, keys=None, rules=None, rng=None, cards=None, upstream=None, **provider):
        self._scripts = {name: list(script) for name, script in scripts.items()}
        named = {name.partition(":")[0] for name in scripts}
        self._keys = {name: KeyRing({key.upper(): key for key in (keys or {}).get(name, ())}) for name in named}
        self.sent, self.contents, self.streamed, self.responses, self.records = [], [], [], [], []
        self.open = self.in_flight = self.interrupted = 0
        self.asked = Counter()
        given = {"deadlines": Deadlines(), "max_connections": 10_000, **provider}
        self.targets = [
            Target(
                name.partition(":")[2],
                Provider(name.partition(":")[0], Kind.OPENAI, f"http://{name.partition(':')[0]}.there", **given),
                (upstream or {}).get(name, "m"),
                (cards or {}).get(name),
            )
            for name in scripts
        ]
        self.forwarder = Forwarder(self, lambda *_: ADAPTER, rules=rules, rng=rng or Steady())

    def next_answer(self, name):
        script = self._scripts[name]
        self.asked[name] += 1
        return script.pop(0) if len(script) > 1 else script[0]

    def transport(self, provider):
        return Transport(provider.name, self)

    def keys(self, provider):
        return self._keys[provider.name]

    def order(self, *, streams=False, body=None, **fields):
        given = {"targets": self.targets, "decision_id": "dec_1", "key_id": "key_1", "observe": self.records.append}
        return ForwardRequest(Call(Surface.CHAT, body or {"messages": []}, stream=streams), **{**given, **fields})

    async def forward(self, **fields):
        return await self.forwarder.forward(self.order(**fields))

    async def read(self, **fields):
        """Forward a stream and return all of it."""
        reply = await self.forward(streams=True, **fields)
        return b"".join([piece async for piece in reply.stream])

    @property
    def outcomes(self):
        return [record.error_type for record in self.records]

    @property
    def times(self):
        return [round(at, 3) for at, _, _ in self.sent]

    def assert_clean(self):
        """Every response was closed once, and every attempt has one record."""
        assert [response.closings for response in self.responses] == [1] * len(self.responses)
        assert (self.open, self.in_flight) == (0, 0)
        assert len(self.records) == len(self.sent)


class Steady(Random):
    """Draws the least, always: a backoff is half of its longest."""

    def random(self):
        return 0.0
