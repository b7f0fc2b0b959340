"""Read a request's body: JSON, an object, within the limits, and of the declared shape.

A short body is read where it arrives. A long one, or one of many parts, is read in a separate thread, one at a time
and in turn for each caller: so neither one nor many of them hold up the loop that answers everybody.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any, Final, TypeVar

import zstandard
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from router_model.serving.common.callers import Caller
from router_model.serving.common.service_errors import InvalidRequestError, NotReadyError, TooLargeError
from router_model.serving.engine.lane import DeadlineMissedError, Lane
from router_model.serving.http_edge.body_limits import BodyLimits
from router_model.serving.http_edge.json_loading import load_json
from router_model.serving.http_edge.json_shape import Raw, check_shape
from router_model.serving.http_edge.requests import RouterOptions

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")

LONG_BYTES: Final = 65_536
"""A longer body is read in the thread: what may be read on the loop takes a few milliseconds at most."""
IS_LONG: Final = "router_long_body"
"""In the scope of a request whose body is long: true."""
MAX_BODY: Final = "router_max_body"
"""In the scope of a request: how many bytes its body may have, after it was expanded, too."""
_MOST_BYTES: Final = 33_554_432
_ZSTD_WINDOW: Final = 8_388_608
"""The largest window that RFC 8878 asks decoders to support."""
_MANY_COMMAS: Final = 500
_READING_DEADLINE_S: Final = 10.0
_QUOTED: Final = (bool, int, float, type(None))
_OBJECT: Final = frozenset({"dict_type", "model_type"})
"""Kinds of pydantic's errors whose messages name Python's types."""


class BodyReader:
    """Reads the bodies of a service.

    Parameters
    ----------
    limits : BodyLimits
    """

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._lane: Lane | None = None

    async def read(self, request: Request, caller: Caller, then: Callable[[dict[str, Any]], T]) -> T:
        """Return what `then` makes of the body, a JSON object.

        Parameters
        ----------
        caller : whose turn it takes
        then : checks the body; it may be called in another thread

        Raises
        ------
        InvalidRequestError
            If the content type is not JSON's (what a form on a foreign web page can send is not read), or the body is
            no JSON object, nests too deeply, or lists too much; or it is compressed in an unknown way.
        TooLargeError
            If it has too many parts, or too many bytes once it is expanded.
        NotReadyError
            If too many long bodies wait.
        """
        _check_content_type(request.headers.get("content-type", ""))
        raw = bytearray()  # grows in its place: joining 32 MiB would take as long as parsing it
        async for chunk in request.stream():
            raw += chunk
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding == "identity" and is_short(raw):
            return then(self.parsed(raw))
        # A short body that is compressed may be a long one.
        request.scope[IS_LONG] = True
        work = partial(_read, self.parsed, then, raw, coding, request.scope.get(MAX_BODY, _MOST_BYTES))
        del raw
        return await self.aside(caller, work)

    async def aside(self, caller: Caller, work: Callable[[], T]) -> T:
        """Do what takes long for a long body in the thread, when it is the caller's turn."""
        if self._lane is None:
            self._lane = Lane("bodies", deadline_s=_READING_DEADLINE_S)
        try:
            return await self._lane.run(work, caller=caller.key_id)
        except DeadlineMissedError:
            raise NotReadyError(
                "too many long bodies wait to be read; send the request again later", headers={"retry-after": "1"}
            ) from None

    def close(self) -> None:
        """End the thread."""
        if self._lane is not None:
            self._lane.close()

    def parsed(self, raw: Raw) -> dict[str, Any]:
        """Return the JSON object of a body that is here as a whole.

        Raises
        ------
        InvalidRequestError
            If it is none, nests too deeply, or lists too much.
        TooLargeError
            If it has too many parts.
        """
        limits = self._limits
        shape = check_shape(raw, max_depth=limits.depth, max_parts=limits.parts)
        body = load_json(raw, shape)
        if not isinstance(body, dict):
            raise InvalidRequestError(f"the body is a JSON {_kind(body)}; expected an object")
        limits.check(body)
        return body


def is_short(raw: Raw) -> bool:
    """Tell whether a body is read in a few milliseconds: it is short, and has few parts for sure."""
    return len(raw) <= LONG_BYTES and raw.count(b",") <= _MANY_COMMAS


def _read(
    parsed: Callable[[Raw], dict[str, Any]], then: Callable[[dict[str, Any]], T], raw: Raw, coding: str, most: int
) -> T:
    return then(parsed(raw if coding == "identity" else expanded(bytes(raw), coding, most)))


def expanded(raw: bytes, coding: str, most: int) -> bytearray:
    """Return a compressed body as it was, of at most `most` bytes: what is larger is not expanded to its end.

    Raises
    ------
    InvalidRequestError
        If it is not compressed as it says, or in another way than gzip and zstd.
    TooLargeError
        If it is larger.

    Examples
    --------
    >>> import gzip
    >>> expanded(gzip.compress(b"{}"), "gzip", 2)
    bytearray(b'{}')
    """
    if coding not in _CODINGS:
        raise InvalidRequestError(
            f"content-encoding is {coding[:32]!r}; expected gzip or zstd, or a body as it is", param="content-encoding"
        )
    try:
        body = _CODINGS[coding](raw, most + 1)
    except (zlib.error, EOFError, OSError, zstandard.ZstdError) as exc:
        raise InvalidRequestError(f"the body is not valid {coding}", param="content-encoding") from exc
    if len(body) > most:
        raise TooLargeError(f"the expanded body has more than {most} bytes; expected at most {most}; send less")
    return bytearray(body)


def _gunzipped(raw: bytes, most: int) -> bytes:
    with gzip.GzipFile(fileobj=BytesIO(raw)) as reader:
        return reader.read(most)


def _unzstd(raw: bytes, most: int) -> bytes:
    # The window is bounded, too: a few bytes may ask for one of gigabytes.
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(raw, read_across_frames=True)
    body = reader.read(most)
    if not body:
        raise EOFError
    return body


_CODINGS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "zstd": _unzstd,
}


def _check_content_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        got = f"content-type is {kind[:64]!r}" if kind else "content-type is missing"
        raise InvalidRequestError(f"{got}; expected application/json (curl --json sends it)", param="content-type")


def validated(model: type[Model], value: object) -> Model:
    """Check a parsed body against its model.

    Raises
    ------
    InvalidRequestError
        With the first thing that is wrong: where, what was got, what was expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise _invalid(exc, model) from None


def _invalid(exc: ValidationError, model: type[BaseModel]) -> InvalidRequestError:
    """Describe the first fault; the value is quoted unless it is a text, because texts may be prompts."""
    first = exc.errors(include_url=False, include_context=False)[0]
    where = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join((RouterOptions if first["loc"][0] == "router" else model).model_fields)
        return InvalidRequestError(f"{where}: unknown field; expected one of {known}", param=where)
    if first["type"] == "missing":
        return InvalidRequestError(f"{where} is missing", param=where)
    got = first["input"]
    shown = repr(got) if isinstance(got, _QUOTED) else f"a JSON {_kind(got)}"
    expected = "expected an object" if first["type"] in _OBJECT else _expected(first["msg"])
    return InvalidRequestError(f"{where}: got {shown}; {expected}", param=where)


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as in code: ``llm_providers[0].model``; at most 200 characters, as keys are the caller's."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")[:200] or "body"


def _expected(message: str) -> str:
    """Turn pydantic's 'Input should be ...' into 'expected ...'."""
    for start in ("Input should be ", "String should ", "List should "):
        if message.startswith(start):
            return f"expected {'it to ' * (not start.startswith('Input'))}{message.removeprefix(start)}"
    return message[0].lower() + message[1:]


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
