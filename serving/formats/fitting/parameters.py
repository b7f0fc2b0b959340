"""The parameters that a request can ask for and a model can refuse, under one name for all formats.

Everything that decides whether a parameter may be left out is here. There are three classes:

- A *hint* changes nothing in the answer (``metadata``, ``store``). It may always be left out.
- A *preference* steers how a model writes (``temperature``). It is left out where the table says that the model does
  not take it, and the caller is told.
- Everything else changes what comes (``tools``, ``n``, ``stop``). It is never left out: another candidate is asked.

A parameter whose value asks for what happens anyway (``temperature: 1``, ``n: 1``) counts as a hint.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from router_model.serving.formats.shapes import Json, mapping, mappings
from router_model.serving.formats.spellings import snake
from router_model.serving.providers.provider import Kind


class Weight(StrEnum):
    """What changes in an answer if a parameter is left out."""

    HINT = "hint"
    """Nothing in the answer."""
    PREFERENCE = "preference"
    """The style of the answer changes."""
    NEED = "need"
    """The content of the answer changes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a request can ask for.

    Attributes
    ----------
    name : str
        OpenAI's name, if it has one.
    weight : Weight
    chat, messages, generate : paths of the fields in OpenAI's, Anthropic's and Google's bodies
        A dot stands between a field and one inside it.
    neutral : values that ask for what happens anyway
    called : other names in providers' errors
    """

    name: str
    weight: Weight
    chat: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    generate: tuple[str, ...] = ()
    neutral: tuple[object, ...] = ()
    called: tuple[str, ...] = ()

    def paths(self, kind: Kind) -> tuple[str, ...]:
        """Return the paths in the bodies that a kind of provider reads."""
        if kind is Kind.RESPONSES:
            return _OF_RESPONSES.get(self.name, self.chat)
        if kind is Kind.ANTHROPIC:
            return self.messages
        return self.generate if kind is Kind.GEMINI else self.chat


_OF_RESPONSES: Final[Mapping[str, tuple[str, ...]]] = {
    "reasoning_effort": ("reasoning.effort",),
    "verbosity": ("text.verbosity",),
    "response_format": ("text.format",),
    "logprobs": ("top_logprobs",),
    "max_tokens": ("max_output_tokens",),
    "max_completion_tokens": (),
    **dict.fromkeys(("limit:max_completion_tokens", "limit:max_tokens"), ()),
}
"""Paths in the bodies of Responses that are not those of chat."""


def _hint(name: str, *called: str, messages: tuple[str, ...] = ()) -> Parameter:
    return Parameter(name, Weight.HINT, (name,), messages or (name,), called=called)


REASONING_HISTORY: Final = "reasoning_history"
"""The thinking of models in earlier turns of a conversation; another vendor's cannot be read."""
LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "limit:max_completion_tokens": ("max_tokens", "max_completion_tokens"),
    "limit:max_tokens": ("max_completion_tokens", "max_tokens"),
}
"""Refusals of a limit's name by those who know the other: the name that is refused, and the one to use.

A hint, as the limit itself stays."""
_PREFER: Final = Weight.PREFERENCE
_NEED: Final = Weight.NEED
PARAMETERS: Final = (
    *map(_hint, ("stream_options", "store", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")),
    *map(_hint, ("prompt_cache_options", "prediction", "usage", "cache_control")),
    Parameter("metadata", Weight.HINT, ("metadata",), ("metadata",), ("labels",)),
    Parameter(
        "service_tier",
        _PREFER,
        ("service_tier",),
        ("service_tier",),
        ("serviceTier",),
        ("auto", "default", "standard", "standard_only"),
    ),
    Parameter("temperature", _PREFER, ("temperature",), ("temperature",), ("generationConfig.temperature",), (1,)),
    Parameter("top_p", _PREFER, ("top_p",), ("top_p",), ("generationConfig.topP",), (1,)),
    Parameter("top_k", _PREFER, ("top_k",), ("top_k",), ("generationConfig.topK",), (-1, 0)),
    Parameter("min_p", _PREFER, ("min_p",), ("min_p",), neutral=(0,)),
    Parameter("top_a", _PREFER, ("top_a",), ("top_a",), neutral=(0,)),
    Parameter("repetition_penalty", _PREFER, ("repetition_penalty",), ("repetition_penalty",), neutral=(1,)),
    Parameter(
        "presence_penalty",
        _PREFER,
        ("presence_penalty",),
        ("presence_penalty",),
        ("generationConfig.presencePenalty",),
        (0,),
    ),
    Parameter(
        "frequency_penalty",
        _PREFER,
        ("frequency_penalty",),
        ("frequency_penalty",),
        ("generationConfig.frequencyPenalty",),
        (0,),
    ),
    Parameter("seed", _PREFER, ("seed", "random_seed"), ("seed",), ("generationConfig.seed",)),
    Parameter(
        "reasoning_effort",
        _PREFER,
        ("reasoning_effort", "reasoning"),
        ("thinking", "output_config.effort"),
        ("generationConfig.thinkingConfig",),
        called=("effort", "thinking", "adaptive thinking", "thinking level", "thinking budget", "reasoning effort"),
    ),
    Parameter("verbosity", _PREFER, ("verbosity",), ("verbosity",), neutral=("medium",)),
    Parameter(
        "n",
        _NEED,
        ("n",),
        (),
        ("generationConfig.candidateCount",),
        (1,),
        ("multiple candidates", "multiple choices", "multiple completions"),
    ),
    Parameter(
        "logprobs",
        _NEED,
        ("logprobs", "top_logprobs"),
        (),
        ("generationConfig.responseLogprobs", "generationConfig.logprobs"),
        (False, 0),
        ("log probabilities",),
    ),
    Parameter("logit_bias", _NEED, ("logit_bias",), (), neutral=({},)),
    Parameter(
        "stop",
        _NEED,
        ("stop",),
        ("stop_sequences",),
        ("generationConfig.stopSequences",),
        ([], ""),
        ("stop sequences", "stop words"),
    ),
    Parameter(
        "response_format",
        _NEED,
        ("response_format",),
        ("output_config.format", "output_format"),
        (
            "generationConfig.responseSchema",
            "generationConfig.responseJsonSchema",
            "generationConfig.responseMimeType",
        ),
        ({"type": "text"}, "text/plain"),
        (
            *("json mode", "json_schema", "json schema", "json_object", "json object", "structured output"),
            *("structured outputs", "structured_outputs", "response format", "response mime type"),
        ),
    ),
    Parameter(
        "tools",
        _NEED,
        ("tools", "functions"),
        ("tools",),
        ("tools",),
        ([],),
        (
            "tool",
            "tool use",
            "tool calling",
            "tool calls",
            "tool_use",
            "function calling",
            "function calls",
            "function",
        ),
    ),
    Parameter(
        "tool_choice",
        _NEED,
        ("tool_choice", "function_call"),
        ("tool_choice",),
        ("toolConfig",),
        ("auto", {"type": "auto"}, {}, {"functionCallingConfig": {"mode": "AUTO"}}),
        ("forced tool choice", "forced tool_choice", "forced tool use"),
    ),
    Parameter(
        "parallel_tool_calls", _NEED, ("parallel_tool_calls",), (), neutral=(True,), called=("parallel tool calls",)
    ),
    Parameter(
        "modalities", _NEED, ("modalities",), (), ("generationConfig.responseModalities",), (["text"], ["TEXT"], [])
    ),
    Parameter("max_tokens", _NEED, ("max_tokens",), ("max_tokens",), ("generationConfig.maxOutputTokens",)),
    Parameter("max_completion_tokens", _NEED, ("max_completion_tokens",)),
    Parameter(
        REASONING_HISTORY,
        Weight.HINT,
        called=("reasoning_content", "reasoning_details", "thinking_blocks", "signature"),
    ),
    *(Parameter(name, Weight.HINT, (old,)) for name, (old, _) in LIMITS.items()),
    Parameter("stream", _NEED, called=("streaming", "streaming responses", "stream mode")),
    Parameter(
        "images",
        _NEED,
        called=("image", "image input", "image inputs", "image_url", "vision", "multimodal", "image input modality"),
    ),
    Parameter("audio", _NEED, called=("audio input", "audio inputs", "input_audio", "audio input modality")),
    Parameter(
        "files", _NEED, called=("file input", "file inputs", "pdf", "pdfs", "pdf input", "document", "documents")
    ),
    Parameter(
        "system",
        _NEED,
        called=(
            *(
                "system message",
                "system messages",
                "system prompt",
                "system prompts",
                "system role",
                "system instruction",
            ),
            *("system instructions", "developer instruction", "developer message", "developer messages"),
        ),
    ),
    Parameter("prefill", _NEED, called=("assistant message prefill", "assistant prefill", "prefilling")),
)
"""All of them; what a provider refuses is remembered under these names alone."""

BY_NAME: Final[Mapping[str, Parameter]] = {one.name: one for one in PARAMETERS}
_VALUES: Final = frozenset(
    {
        "none",
        "minimal",
        "low",
        "medium",
        "high",
        "xhigh",
        "max",
        "json_object",
        "json_schema",
        "required",
        "any",
        "tool",
    }
    | {"function", "flex", "priority", "enabled", "adaptive", "disabled"}
)
"""Values that are remembered with a parameter's name; others could be a caller's own words."""
_OF_TOOLS: Final = ("tool_choice", "parallel_tool_calls")
_CONTENT_TYPES: Final[Mapping[str, str]] = {
    "image_url": "images",
    "image": "images",
    "input_image": "images",
    "input_audio": "audio",
    "audio": "audio",
    "file": "files",
    "document": "files",
    "input_file": "files",
}
_PARTS: Final = ("content", "parts", "output")
_MEDIA: Final = {"image": "images", "audio": "audio", "application": "files"}


def read(body: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path, in Google's other spelling, too; None if there is none.

    >>> read({"generation_config": {"topP": 0.9}}, "generationConfig.topP"), read({}, "n")
    (0.9, None)
    """
    outer, inner, other = _steps(path)
    value = body.get(outer)
    if value is None and other is not None:
        value = body.get(other)
    return value if not inner else read(mapping(value), inner)


@cache
def _steps(path: str) -> tuple[str, str, str | None]:
    """Return the first field of a path, the rest, and the field's other spelling, if it has one."""
    outer, _, inner = path.partition(".")
    other = snake(outer)
    return outer, inner, None if other == outer else other


def without(body: Json, path: str) -> Json:
    """Return a body without the field at a path; nothing else of it changes, and nothing in place.

    >>> without({"output_config": {"effort": "low"}, "n": 2}, "output_config.effort")
    {'n': 2}
    """
    outer, _, inner = path.partition(".")
    left = dict(body)
    for name in {outer, snake(outer)} & left.keys():
        rest = without(mapping(left[name]), inner) if inner else {}
        if rest:
            left[name] = rest
        else:
            del left[name]
    return left


def parameter(name: str) -> Parameter:
    """Return the parameter of a name, which may have a value with it: ``reasoning_effort=minimal``."""
    return BY_NAME[name.partition("=")[0]]


def has(name: str, body: Mapping[str, Any], kind: Kind) -> bool:
    """Tell whether a body has a parameter, whatever its value."""
    return any(read(body, path) is not None for path in parameter(name).paths(kind))


def asks(name: str, body: Mapping[str, Any], kind: Kind) -> bool:
    """Tell whether a body asks for something by a parameter: not a hint, and not what happens anyway.

    Examples
    --------
    >>> body = {"temperature": 1, "n": 2, "store": True, "parallel_tool_calls": False}
    >>> [name for name in BY_NAME if asks(name, body, Kind.OPENAI)]
    ['n']
    >>> body = {"reasoning_effort": "minimal"}
    >>> asks("reasoning_effort=minimal", body, Kind.OPENAI), asks("reasoning_effort=max", body, Kind.OPENAI)
    (True, False)
    """
    one = parameter(name)
    if one.weight is Weight.HINT or (one.name in _OF_TOOLS and not asks("tools", body, kind)):
        return False
    _, has_value, wanted = name.partition("=")
    values = [value for path in one.paths(kind) if (value := read(body, path)) is not None]
    if has_value:
        return wanted in map(value_name, values)
    return any(not _is_neutral(value, one.neutral) for value in values)


def is_harmless(name: str, body: Mapping[str, Any], kind: Kind) -> bool:
    """Tell whether leaving a parameter out of a body changes nothing that the caller would notice."""
    return name == REASONING_HISTORY or (has(name, body, kind) and not asks(name, body, kind))


def value_name(value: object) -> str | None:
    """Return a value as it is remembered: one of few words; None of any other.

    >>> value_name("minimal"), value_name({"type": "json_schema", "json_schema": {}}), value_name("of the caller's")
    ('minimal', 'json_schema', None)
    """
    if isinstance(value, Mapping):
        value = value.get("type") or value.get("effort")
    return value if isinstance(value, str) and value in _VALUES else None


def asked(body: Mapping[str, Any], kind: Kind, *, stream: bool) -> frozenset[str]:
    """Return the names of everything that a body asks for, including the parts of its messages.

    Examples
    --------
    >>> image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/1.png"}}]}
    >>> sorted(asked({"messages": [image], "tools": [{}], "top_p": 0.5}, Kind.OPENAI, stream=True))
    ['images', 'stream', 'tools', 'top_p']
    """
    names = {name for name in BY_NAME if asks(name, body, kind)}
    return frozenset(names.union(_in_messages(body), ("stream",) if stream else ()))


def _in_messages(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("system") or body.get("instructions") or read(body, "systemInstruction"):
        yield "system"
    messages = mappings(body.get("messages")) or mappings(body.get("contents")) or mappings(body.get("input"))
    if messages and messages[-1].get("role") in ("assistant", "model"):
        yield "prefill"
    for message in messages:
        if message.get("role") in ("system", "developer"):
            yield "system"
        for part in (one for name in _PARTS for one in mappings(message.get(name))):
            yield from _of_part(part)


def _of_part(part: Json) -> Iterator[str]:
    named = _CONTENT_TYPES.get(str(part.get("type")))
    if named:
        yield named
    data = mapping(read(part, "inlineData") or read(part, "fileData"))
    media = _MEDIA.get(str(read(data, "mimeType")).partition("/")[0])
    if media:
        yield media
    for inner in mappings(part.get("content")):  # of a tool's result
        yield from _of_part(inner)


def _is_neutral(value: object, neutral: tuple[object, ...]) -> bool:
    """Tell whether a value is among others; true is not 1 here, as it is in Python."""
    return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in neutral)
