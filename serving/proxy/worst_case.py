"""What a request can cost at most; asked only where the caller, or the service, has a budget."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeGuard

import orjson

from serving.formats.format import Surface
from serving.formats.shapes import mapping
from serving.providers.provider import Target
from serving.providers.worst_case import priced, worst_case_usd
from serving.proxy.asked import Asked

_LIMITS: Final = ("max_completion_tokens", "max_tokens")
_DATA: Final = re.compile(
    rb'"(?:url|image_url|file_data)":"data:[^",]{0,256};base64,[A-Za-z0-9+/=_-]*"|"data":"[A-Za-z0-9+/=_-]{256,}"'
)
_IMAGE: Final = re.compile(rb'"image_url":|"type":"image"|"inline_?[dD]ata":|"file_?[dD]ata":|"type":"input_audio"')
_ONE_HOUR: Final = b'"ttl":"1h"'
"""Of Anthropic's ``cache_control``."""


def worst_cases_usd(asked: Asked, targets: Sequence[Target]) -> list[Decimal]:
    """Return the worst case of each candidate, in USD.

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
    most, n_answers = _generated(body) if asked.surface is Surface.GENERATE else _written(body)
    n_read = len(_DATA.sub(b"", content))
    caches_1h = _ONE_HOUR in content
    return [
        worst_case_usd(priced(one), n_read, most, n_images, n_answers=n_answers, caches_1h=caches_1h) for one in targets
    ]


def _written(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the most tokens of an answer, None where the body does not say, and how many answers are asked for.

    Fields of other formats are not read: a provider would not keep to them.

    >>> _written({"max_tokens": 100, "n": 2}), _written({"generationConfig": {"maxOutputTokens": 7}})
    ((100, 2), (None, 1))
    """
    return _largest(body, _LIMITS), _largest(body, ("n",)) or 1


def _generated(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the same of Google's body.

    >>> _generated({"generationConfig": {"maxOutputTokens": 7}}), _generated({"max_tokens": 100})
    ((7, 1), (None, 1))
    """
    config = mapping(body.get("generationConfig") or body.get("generation_config"))
    return (
        _largest(config, ("maxOutputTokens", "max_output_tokens")),
        _largest(config, ("candidateCount", "candidate_count")) or 1,
    )


def _largest(fields: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """Return the largest of the counts that some fields hold; None where none holds one."""
    return max((math.ceil(value) for name in names if _is_count(value := fields.get(name))), default=None)


def _is_count(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
