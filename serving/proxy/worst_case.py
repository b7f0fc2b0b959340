"""What a request can cost at most; asked only where the caller, or the service, has a budget."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeGuard

import orjson

from serving.providers.provider import Target
from serving.providers.worst_case import dearest_usd
from serving.proxy.asked import Asked

_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_DATA: Final = re.compile(rb'"[^"]*?base64,[^"]*"|"data":"[A-Za-z0-9+/=_-]{256,}"')
_IMAGE: Final = re.compile(rb'"image_url":|"type":"image"|"inline_?[dD]ata":|"file_?[dD]ata":|"type":"input_audio"')


def worst_usd(asked: Asked, targets: Sequence[Target]) -> Decimal:
    """Return the worst case over the candidates, in USD.

    No token is shorter than a byte, so the bytes of the body are an upper bound of its tokens; what is in it as base64
    counts as images instead.

    Raises
    ------
    InvalidRequestError
        If the price of a candidate is not known.
    """
    body = asked.call.body
    content = orjson.dumps(body)
    n_images = len(_IMAGE.findall(content))
    most, n_answers = _output(body)
    return dearest_usd(targets, len(_DATA.sub(b"", content)), most, n_images, n_answers=n_answers)


def _output(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the most tokens of an answer, None where the body does not say, and how many answers are asked for.

    >>> _output({"max_tokens": 100, "n": 2}), _output({"generationConfig": {"maxOutputTokens": 7}})
    ((100, 2), (7, 1))
    """
    config = body.get("generationConfig") or body.get("generation_config")
    config = config if isinstance(config, dict) else {}
    limits: list[Any] = [
        *(body.get(name) for name in _LIMITS),
        config.get("maxOutputTokens"),
        config.get("max_output_tokens"),
    ]
    counts: list[Any] = [body.get("n"), config.get("candidateCount"), config.get("candidate_count")]
    return next(filter(_is_count, limits), None), next(filter(_is_count, counts), 1)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
