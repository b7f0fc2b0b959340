"""The only table of facts about what models accept, by family, and what hosts accept, for any model.

A row lists the differences from a model that accepts everything. Models without a row get what the caller sent;
what they refuse is learned from their answers (`router_model.serving.forwarding.refusals`). docs/providers.md shows the
table.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from router_model.model_parameters import EFFORTS
from router_model.serving.providers.provider import Kind, Target


class Samples(StrEnum):
    """When a model takes temperature, ``top_p`` and penalties."""

    ALWAYS = "always"
    NEVER = "never"
    UNLESS_IT_REASONS = "unless it reasons"
    """It reasons only if a request asks for an effort."""
    WITHOUT_REASONING = "with reasoning_effort: none"
    """It reasons unless a request switches that off."""


class Thinking(StrEnum):
    """The way to tell a model of Anthropic's to think."""

    BUDGET = "budget"
    BOTH = "budget or adaptive"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class Family:
    """Models that take the same.

    Attributes
    ----------
    name : str
        For the documentation.
    pattern : regular expression that is searched in an id, in lower case, as any host writes it
    vendor : whose reasoning it reads in a conversation's history; ``open``: any text in ``reasoning_content``
    source, as_of : the source of the facts, and the day on which they were looked up
    versions : the first and last version, for families whose ids have the version in several places
    drops : preferences it does not take
    lacks : needs it does not have, so that other candidates go first
    samples : Samples
    one_sampler : whether it refuses a temperature together with ``top_p``
    efforts : those it knows; None: not known, so none is changed; empty: it takes no effort at all
    thinking : Thinking
    thinking_can_be_off : bool
    max_temperature : float or None
    max_stops : int or None
        More stop sequences than these are a need that it lacks.
    limit : the name of the limit of its output, if it knows only one
    takes_developer : whether it knows the role ``developer``, which is ``system`` elsewhere
    """

    name: str
    pattern: str
    vendor: str
    source: str
    as_of: str = "2026-11"
    versions: tuple[tuple[int, int], tuple[int, int]] | None = None
    drops: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    samples: Samples = Samples.ALWAYS
    one_sampler: bool = False
    efforts: tuple[str, ...] | None = None
    thinking: Thinking = Thinking.BUDGET
    thinking_can_be_off: bool = True
    max_temperature: float | None = None
    max_stops: int | None = None
    limit: str | None = None
    takes_developer: bool = False

    def has(self, model: str) -> bool:
        """Tell whether an id, in lower case, is one of its models'."""
        if re.search(self.pattern, model) is None:
            return False
        return self.versions is None or self.versions[0] <= _version(model) <= self.versions[1]


@dataclass(frozen=True, slots=True)
class Host:
    """A server that takes less than OpenAI's format has, whatever the model.

    Attributes
    ----------
    names : host names, or their ends if they begin with a dot
    drops : hints and preferences it refuses
    lacks : needs it does not have
    limit : the name of the limit of the output, if it knows only one
    seed : what it calls ``seed``
    reads_reasoning : whether an answer's reasoning may come back in the history
    max_temperature : float or None
    source, as_of : the source of the facts, and the day on which they were looked up
    """

    names: tuple[str, ...]
    source: str
    as_of: str = "2026-11"
    drops: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    limit: str | None = None
    seed: str = "seed"
    reads_reasoning: bool = True
    max_temperature: float | None = None

    def is_at(self, host: str) -> bool:
        """Tell whether it is this one."""
        return any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.names)


SAMPLERS: Final = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})
_EXTRA_SAMPLERS: Final = frozenset({"top_k", "min_p", "top_a", "repetition_penalty"})
_UP_TO_HIGH: Final = ("low", "medium", "high")
_UP_TO_XHIGH: Final = (*_UP_TO_HIGH, "xhigh")
_UP_TO_MAX: Final = (*_UP_TO_XHIGH, "max")
_FIRST: Final = (0, 0)
_LAST: Final = (99, 99)
_GPT: Final = r"(?<![a-z0-9])gpt-?"

_OPENAI: Final = Family(
    "GPT-4 and 3.5",
    # Not gpt4all, whose models are others'.
    _GPT + r"[34](?!all)|chatgpt",
    vendor="openai",
    source="https://developers.openai.com/api/reference/resources/chat",
    drops=_EXTRA_SAMPLERS,
    efforts=(),
    max_stops=4,
    takes_developer=True,
)
_REASONING: Final = replace(
    _OPENAI,
    name="GPT-5",
    pattern=_GPT + r"5(?![.\d])",
    source="https://platform.openai.com/docs/guides/reasoning",
    lacks=frozenset({"logprobs", "logit_bias", "stop"}),
    samples=Samples.NEVER,
    efforts=("minimal", *_UP_TO_HIGH),
    limit="max_completion_tokens",
)
_REASONS_IF_ASKED: Final = replace(
    _REASONING,
    name="GPT-5.1",
    pattern=_GPT + r"5\.1(?!\d)",
    source="https://developers.openai.com/api/docs/guides/latest-model",
    lacks=frozenset({"logit_bias", "stop"}),
    samples=Samples.UNLESS_IT_REASONS,
    efforts=("none", *_UP_TO_HIGH),
)
_CLAUDE: Final = Family(
    "Claude up to 4.0",
    "claude",
    vendor="anthropic",
    source="https://platform.claude.com/docs/en/about-claude/models/migration-guide",
    versions=(_FIRST, (4, 0)),
    efforts=(),
    max_temperature=1.0,
)
_ADAPTIVE_CLAUDE: Final = replace(
    _CLAUDE,
    name="Claude 4.7 to 5.4",
    versions=((4, 7), (5, 4)),
    drops=frozenset({"top_k"}),
    lacks=frozenset({"prefill"}),
    samples=Samples.NEVER,
    efforts=_UP_TO_MAX,
    thinking=Thinking.ADAPTIVE,
)
_ALWAYS_THINKING_CLAUDE: Final = replace(
    _ADAPTIVE_CLAUDE,
    name="Claude 5.5 and later, and those without a version",
    source="https://platform.claude.com/docs/en/models/sonnet-5-5/migration-guide",
    versions=((5, 5), _LAST),
    lacks=frozenset({"prefill", "tool_choice"}),
    thinking_can_be_off=False,
)
_GEMINI: Final = Family(
    "Gemini 3 and later",
    "gemini",
    vendor="google",
    source="https://ai.google.dev/gemini-api/docs/thinking",
    efforts=("minimal", *_UP_TO_HIGH),
    max_stops=5,
)
_GROK: Final = Family(
    "Grok 4",
    r"grok-(4|code)",
    vendor="xai",
    source="https://docs.x.ai/docs/guides/reasoning",
    drops=frozenset({"presence_penalty", "frequency_penalty"}),
    lacks=frozenset({"stop"}),
    efforts=(),
)
FAMILIES: Final = (
    replace(_OPENAI, name="GPT-5 chat", pattern=_GPT + r"5-chat", limit="max_completion_tokens"),
    replace(_REASONING, name="GPT-5.1 chat and later", pattern=_GPT + r"5\.\d+-chat", efforts=("medium",)),
    replace(_REASONING, name="GPT-5 pro", pattern=_GPT + r"5-pro", efforts=("high",)),
    replace(
        _REASONING, name="GPT-5.2 pro and later", pattern=_GPT + r"5\.\d+-pro", efforts=("medium", "high", "xhigh")
    ),
    replace(_REASONING, name="GPT-5.1 codex max", pattern=_GPT + r"5\.1-codex-max", efforts=_UP_TO_XHIGH),
    replace(_REASONING, name="GPT-5 and 5.1 codex", pattern=_GPT + r"5(\.1)?-codex", efforts=_UP_TO_HIGH),
    _REASONING,
    _REASONS_IF_ASKED,
    replace(
        _REASONS_IF_ASKED,
        name="GPT-5.2 to 5.4",
        pattern=_GPT + r"5\.[2-4](?!\d)",
        efforts=("none", *_UP_TO_XHIGH),
    ),
    replace(
        _REASONING,
        name="GPT-5.5 and later",
        pattern=_GPT + r"5\.\d+",
        samples=Samples.WITHOUT_REASONING,
        efforts=("none", *_UP_TO_XHIGH),
    ),
    replace(_REASONING, name="GPT-6 sol and luna", pattern=_GPT + r"6-(sol|luna)", efforts=("none", *_UP_TO_MAX)),
    replace(_REASONING, name="GPT-6 and later", pattern=_GPT + r"([6-9]|[12]\d)(?!\d)", efforts=_UP_TO_MAX),
    replace(
        _REASONING,
        name="o1, o3, o4",
        pattern=r"(?:^|[/:.@_])o[134](?:-(?:mini|pro|preview|deep-research))*(?![a-z0-9.])",
        efforts=_UP_TO_HIGH,
    ),
    _OPENAI,
    Family("gpt-oss", "gpt-oss", "open", "https://console.groq.com/docs/reasoning", efforts=_UP_TO_HIGH),
    replace(_ALWAYS_THINKING_CLAUDE, name="Claude Fable and Mythos", pattern="claude-(fable|mythos)", versions=None),
    _CLAUDE,
    replace(_CLAUDE, name="Claude 4.1 to 4.5", versions=((4, 1), (4, 5)), one_sampler=True),
    replace(
        _CLAUDE,
        name="Claude 4.6",
        versions=((4, 6), (4, 6)),
        lacks=frozenset({"prefill"}),
        one_sampler=True,
        efforts=(*_UP_TO_HIGH, "max"),
        thinking=Thinking.BOTH,
    ),
    _ADAPTIVE_CLAUDE,
    _ALWAYS_THINKING_CLAUDE,
    replace(_GEMINI, name="Gemini up to 2.0", pattern=r"gemini-(1|2\.0)", efforts=()),
    replace(_GEMINI, name="Gemini 2.5 Pro", pattern=r"gemini-2\.5-pro"),
    replace(_GEMINI, name="Gemini 2.5", pattern=r"gemini-2", efforts=("none", "minimal", *_UP_TO_HIGH)),
    replace(_GEMINI, name="Gemini 3 Pro", pattern=r"gemini-3-pro", efforts=("low", "high")),
    replace(_GEMINI, name="Gemini 3.1 Pro and later", pattern=r"gemini-(\d+(\.\d+)?-)?pro", efforts=_UP_TO_HIGH),
    _GEMINI,
    replace(_GROK, name="Grok 3 mini", pattern=r"grok-3-mini", efforts=("low", "high")),
    replace(_GROK, name="Grok 4.3", pattern=r"grok-4\.3", efforts=("none", *_UP_TO_HIGH)),
    replace(_GROK, name="Grok 4.5 and later", pattern=r"grok-(4\.[4-9](?!\d)|[5-9])", efforts=_UP_TO_HIGH),
    _GROK,
    Family(
        "Mistral",
        r"(?<![a-z])(mi[sx]tral|codestral|devstral|magistral|ministral|pixtral)",
        "mistral",
        "https://docs.mistral.ai/api",
    ),
    Family(
        "DeepSeek, GLM, Kimi, MiniMax, Qwen",
        r"deepseek|(?<![a-z])glm|kimi|minimax|qwen|qwq",
        "open",
        "https://api-docs.deepseek.com/guides/thinking_mode",
    ),
)
"""The first that has a model's id counts."""

_HINTS_OF_OPENAI: Final = frozenset(
    {
        *("store", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
        *("service_tier", "usage", "cache_control", "verbosity"),
    }
)
HOSTS: Final = (
    Host(
        ("api.openai.com", ".openai.azure.com"),
        "https://developers.openai.com/api/reference/resources/chat",
        limit="max_completion_tokens",
        reads_reasoning=False,
        drops=frozenset({"usage", "cache_control"}),
    ),
    Host(
        ("api.mistral.ai", "codestral.mistral.ai"),
        "https://docs.mistral.ai/api",
        limit="max_tokens",
        drops=_HINTS_OF_OPENAI | _EXTRA_SAMPLERS | {"stream_options"},
        lacks=frozenset({"logprobs", "logit_bias"}),
        seed="random_seed",
        reads_reasoning=False,
        max_temperature=1.5,
    ),
    Host(
        ("api.groq.com",),
        "https://console.groq.com/docs/openai",
        drops=_EXTRA_SAMPLERS | {"store", "metadata", "prompt_cache_key", "prediction", "usage", "cache_control"},
        lacks=frozenset({"logprobs", "logit_bias", "n"}),
        reads_reasoning=False,
    ),
    Host(
        ("api.deepseek.com",),
        "https://api-docs.deepseek.com/api/create-chat-completion",
        limit="max_tokens",
    ),
)

BY_KIND: Final = {
    Kind.ANTHROPIC: frozenset(
        {"seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "min_p", "top_a", "verbosity"}
    ),
    Kind.GEMINI: frozenset({"repetition_penalty", "min_p", "top_a", "verbosity"}),
    Kind.RESPONSES: frozenset(
        {"seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "min_p", "top_a", "top_k"}
    ),
}
"""Preferences that a format cannot express, whatever the model."""

_OTHERS: Final = Family("all others", "", "", "")
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(?:v)?(\d)(?:[-.](\d{1,2})(?!\d))?(?!\d)")


def family_of(target: Target) -> Family:
    """Return the family of a target's model: by the provider's id, or else by ours, which it may not resemble."""
    return _family_of(target.upstream_model) or _family_of(target.model) or _OTHERS


def host_of(target: Target) -> Host | None:
    """Return the facts about a target's host."""
    return _host_at(target.provider.base_url)


def nearest_effort(effort: str, known: Sequence[str]) -> str:
    """Return the effort of those known that is nearest; of two the lesser, but no reasoning only for no reasoning.

    Examples
    --------
    >>> known = ("none", "low", "medium", "high")
    >>> [nearest_effort(effort, known) for effort in ("none", "minimal", "xhigh", "max")]
    ['none', 'low', 'high', 'high']
    >>> nearest_effort("none", ("minimal", "low")), nearest_effort("medium", ("low", "high"))
    ('minimal', 'low')
    """
    if effort not in EFFORTS or effort in known:
        return effort
    rank = EFFORTS.index(effort)
    reasoning = [one for one in known if one != "none"] or list(known)
    return min(reasoning, key=lambda one: (abs(EFFORTS.index(one) - rank), EFFORTS.index(one)))


@lru_cache(maxsize=1024)
def _host_at(base_url: str) -> Host | None:
    host = urlsplit(base_url).hostname or ""
    return next((one for one in HOSTS if one.is_at(host)), None)


@lru_cache(maxsize=4096)
def _family_of(model: str) -> Family | None:
    name = model.lower()
    return next((family for family in FAMILIES if family.has(name)), None)


def _version(model: str) -> tuple[int, int]:
    """Return the version in an id of Claude's; the last if it has none, as the newest ids do not.

    >>> [_version(name) for name in ("claude-3-5-sonnet-20241022", "claude-opus-4-20250514", "claude-4.5-sonnet")]
    [(3, 5), (4, 0), (4, 5)]
    >>> _version("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), _version("claude-mythos-preview")
    ((4, 5), (99, 99))
    """
    match = _VERSION.search(model)
    return _LAST if match is None else (int(match[1]), int(match[2] or 0))
