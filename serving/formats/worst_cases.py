"""The greatest cost of a call at each of its candidates, from what its body asks for.

It is reserved from a budget before the call is sent (`router_model.serving.providers.worst_case` has the arithmetic).
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.shapes import mapping
from router_model.serving.providers.provider import Target
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.worst_case import priced, worst_case_usd

_IMAGE: Final = re.compile(rb'"image_url":|"type":"image"|"inline_?[dD]ata":|"file_?[dD]ata":|"type":"input_audio"')
_KEPT_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
"""Fields of Responses whose input is not in the body."""
_REFERENCE: Final = re.compile(rb'"file_(?:id|url)":"|"type":"item_reference"')
_ONE_HOUR: Final = b'"ttl":"1h"'
"""Of Anthropic's ``cache_control``."""


def worst_cases_usd(call: Call, targets: Sequence[Target]) -> list[Decimal]:
    """Return the worst case of each candidate, in USD.

    No token is shorter than a byte, so the bytes of the body are an upper bound of its tokens; images and files in
    base64 count as images instead.

    Raises
    ------
    InvalidRequestError
        If the price of a candidate is not known.
    """
    body = call.body
    content = orjson.dumps(body)
    n_images = len(_IMAGE.findall(content))
    most, n_answers = asked_for(call)
    sent = Sent(content)
    sent.count(body)
    caches_1h = _ONE_HOUR in content
    unseen = call.surface is Surface.RESPONSES and (
        any(map(body.get, _KEPT_ELSEWHERE)) or _REFERENCE.search(content) is not None
    )
    return [
        worst_case_usd(
            priced(one), _n_input(one, sent, unseen=unseen), most, n_images, n_answers=n_answers, caches_1h=caches_1h
        )
        for one in targets
    ]


def _n_input(target: Target, sent: Sent, *, unseen: bool) -> int:
    """Return the most tokens that are read: of a conversation kept elsewhere, as many as the model can."""
    window = None if target.card is None else target.card.context_window
    return max(sent.n_words_bytes, window or 0) if unseen else sent.n_words_bytes


def asked_for(call: Call) -> tuple[int | None, int]:
    """Return the most tokens that an answer may have, None if the body does not say, and how many answers it wants.

    Examples
    --------
    >>> asked_for(Call(Surface.CHAT, {"max_tokens": 100, "n": 2})), asked_for(Call(Surface.MESSAGES, {}))
    ((100, 2), (None, 1))
    """
    surface, body = call.surface, call.body
    if surface is Surface.RESPONSES:
        return _with_thoughts(_largest(body, "max_output_tokens"), mapping(body.get("reasoning")).get("max_tokens")), 1
    return _generated(body) if surface is Surface.GENERATE else _written(body)


def _written(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the most tokens of an answer, None if the body does not say, and how many answers are asked for.

    If a body asks for more thoughts than words, some hosts write both, so the larger number counts. Fields of other
    formats are not read: a provider would not keep to them.

    >>> _written({"max_tokens": 100, "n": 2}), _written({"generationConfig": {"maxOutputTokens": 7}})
    ((100, 2), (None, 1))
    >>> _written({"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 2000}})
    (2000, 1)
    """
    limit = _largest(body, "max_tokens", "max_completion_tokens")
    thoughts = (mapping(body.get("thinking")).get("budget_tokens"), mapping(body.get("reasoning")).get("max_tokens"))
    return _with_thoughts(limit, *thoughts), _largest(body, "n", "best_of") or 1


def _generated(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the same of Google's body, where every field has two spellings; what is in either counts.

    >>> _generated({"generationConfig": {"maxOutputTokens": 7}}), _generated({"max_tokens": 100})
    ((7, 1), (None, 1))
    >>> _generated({"generationConfig": {"maxOutputTokens": 7}, "generation_config": {"candidate_count": 3}})
    (7, 3)
    """
    limit, n_answers, thoughts = None, 1, 0
    for config in (mapping(body.get("generationConfig")), mapping(body.get("generation_config"))):
        limit = max(limit or 0, _largest(config, "maxOutputTokens", "max_output_tokens") or 0) or None
        n_answers = max(n_answers, _largest(config, "candidateCount", "candidate_count") or 1)
        for thinking in (mapping(config.get("thinkingConfig")), mapping(config.get("thinking_config"))):
            thoughts = max(thoughts, _largest(thinking, "thinkingBudget", "thinking_budget") or 0)
    return _with_thoughts(limit, thoughts), n_answers


def _with_thoughts(limit: int | None, *thoughts: int | None) -> int | None:
    """Return the larger of a limit and the budgets for thoughts; without a limit, nothing bounds the words."""
    return None if limit is None else max(limit, *(budget or 0 for budget in thoughts))


def _largest(fields: Mapping[str, Any], *names: str) -> int | None:
    """Return the largest of some counts that are whole numbers already; None if there is none."""
    return max((value for name in names if (value := fields.get(name)) is not None), default=None)
