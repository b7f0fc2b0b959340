"""How long a model may think before its first output: from the request, or else from the model's family.

Most thinking is silent: OpenAI's chat completions send nothing before it is over. So a model that thinks is waited for
in minutes, and others in seconds.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.shapes import mapping, text
from router_model.serving.providers.provider import Target


class Thinking(StrEnum):
    """The amount of thinking that a call asks for."""

    NONE = "none"
    SOME = "some"
    DEEP = "deep"
    """A high effort, or a model that is made for it."""


_FAMILIES: Final = re.compile(
    r"(?:^|[/:._-])(?:o[1-9]|gpt-(?:[5-9]|\d\d)|gpt-oss|gemini-(?:2\.5|[3-9])|grok-(?:3-mini|[4-9])|deepseek-(?:r\d|reasoner)"
    r"|r1|qwq|qwen3|magistral|minimax-m\d|glm-(?:4\.[5-9]|[5-9])|kimi-k2-thinking|phi-4-reasoning)(?=$|[/:@._-])"
    r"|thinking|reason(?:er|ing)"
)
_DEEP_FAMILIES: Final = re.compile(r"deep-?research|deep-?think|(?:^|[/:._-])(?:o[1-9]|gpt-(?:[5-9]|\d\d)[\d.]*)-pro")
_NOT_THINKING: Final = re.compile(r"gpt-\d[\d.]*-chat|non-?(?:reasoning|thinking)|instruct")
_LITTLE: Final = frozenset({"none", "minimal", "disabled", "off"})
_MUCH: Final = frozenset({"high", "xhigh", "max"})
_DEEP_BUDGET: Final = 16_000
"""Tokens of thinking that take minutes: at 100 tokens a second, 160 s."""


def thinking_of(call: Call, target: Target) -> Thinking:
    """Return how much a call makes a candidate think.

    Examples
    --------
    >>> from router_model.serving.providers.provider import Kind, Provider
    >>> provider = Provider("p", Kind.OPENAI, "https://p.example/v1")
    >>> ask = Call(Surface.CHAT, {"reasoning_effort": "high"})
    >>> [str(thinking_of(ask, Target("m", provider, model))) for model in ("small", "gpt-5-mini")]
    ['deep', 'deep']
    >>> ask = Call(Surface.CHAT, {})
    >>> [str(thinking_of(ask, Target("m", provider, model))) for model in ("gpt-4o", "gpt-5-mini", "gpt-5.2-pro")]
    ['none', 'some', 'deep']
    """
    asked = _asked(call) if target.effort is None else _by_words(target.effort)
    if asked is not None:
        return asked
    has_price = target.card is not None and target.card.usd_per_mtok_reasoning is not None
    usual = _usual(f"{target.model} {target.upstream_model}")
    return Thinking.SOME if usual is Thinking.NONE and has_price else usual


@lru_cache(maxsize=1024)
def _usual(models: str) -> Thinking:
    """Return how much a model thinks that goes by these ids."""
    names = models.lower().split()
    if any(map(_DEEP_FAMILIES.search, names)):
        return Thinking.DEEP
    known = any(_FAMILIES.search(name) and not _NOT_THINKING.search(name) for name in names)
    return Thinking.SOME if known else Thinking.NONE


def _asked(call: Call) -> Thinking | None:
    """Return what a request asks for; None if it says nothing."""
    body = call.body
    if call.surface is Surface.GENERATE:
        config = mapping(mapping(body.get("generationConfig")).get("thinkingConfig"))
        return _by_words(config.get("thinkingLevel")) or _by_budget(config.get("thinkingBudget"))
    thinking, reasoning = mapping(body.get("thinking")), mapping(body.get("reasoning"))
    effort = body.get("reasoning_effort") or reasoning.get("effort") or mapping(body.get("output_config")).get("effort")
    budget = reasoning.get("max_tokens") or thinking.get("budget_tokens")
    if thinking.get("type") == "disabled" or reasoning.get("enabled") is False:
        return Thinking.NONE
    return _by_words(effort) or _by_budget(budget) or _by_words(thinking.get("type"))


def _by_words(effort: object) -> Thinking | None:
    word = text(effort).lower()
    if not word:
        return None
    return Thinking.NONE if word in _LITTLE else Thinking.DEEP if word in _MUCH else Thinking.SOME


def _by_budget(tokens: object) -> Thinking | None:
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        return None
    if tokens < 0:  # Google's word for "as much as it takes"
        return Thinking.SOME
    return Thinking.DEEP if tokens >= _DEEP_BUDGET else Thinking.SOME if tokens else Thinking.NONE
