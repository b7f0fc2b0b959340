"""Read the results of ``promptfoo eval``, as JSON or JSON lines.

The score is the quality. A provider with a label is known by its label, because several settings of one model may be
compared. The scores of repeated tests are averaged.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_number,
    as_object,
    chat_fields,
    first_present,
    is_missing,
    present,
)
from router_model.training.importing.problems import RecordError, shown

_VENDORS: Final = frozenset(
    {
        "openai", "anthropic", "google", "vertex", "mistral", "azure", "azureopenai", "bedrock", "openrouter",
        "groq", "together", "togetherai", "fireworks", "deepseek", "cohere", "xai", "perplexity", "cerebras",
        "ollama", "replicate", "huggingface", "databricks", "cloudflare-ai", "github", "litellm",
    }
)  # fmt: skip
_KINDS: Final = frozenset(
    {"chat", "messages", "completion", "completions", "responses", "converse", "text-generation", "foundation-model"}
)
_ERROR: Final = 2
"""The ``failureReason`` of a call that failed. The value 1 means an answer that did not pass."""

_STRIPPED: Final = "[prompt stripped]"


def _recognises(record: Source) -> bool:
    return _is_result(record) or _is_csv(record)


def _is_result(record: Source) -> bool:
    return {"provider", "prompt", "success"} <= record.keys() and bool(
        {"vars", "testCase", "gradingResult", "namedScores", "promptIdx"} & record.keys()
    )


def _is_csv(record: Source) -> bool:
    return "Grader Reason" in record and any(key.startswith("[") and "] " in key for key in record)


def promptfoo(record: Source, around: Around) -> Conversion:
    """Read a result: one test of one provider.

    Fields: ``provider`` (the model), ``prompt.raw``, ``score`` (else ``success``; none where the test has no
    assertion), ``cost``, ``latencyMs``, ``response.tokenUsage`` (else ``tokenUsage``). Of an answer that came
    from promptfoo's cache the cost, tokens and time are unknown. ``vars`` and ``namedScores`` go to
    ``extra``; calls that failed are skipped.
    """
    if _is_csv(record):
        raise RecordError(
            "prompt",
            "the CSV of promptfoo, which has the variables and not the prompts that were sent",
            "its results as JSON or JSON lines",
            "export them again: promptfoo export eval latest --output results.json",
        )
    response = as_object(record.get("response"), "response")
    if _has_failed(record, response):
        return Conversion([], {"failed calls": 1})
    provider, model = _provider(record.get("provider"))
    row: Row = {
        **_prompt(record.get("prompt")),
        "model": model,
        "quality": _quality(record),
        **_amounts(record, response),
        "task": as_object(around.fields.get("config"), "config").get("description"),
        "extra": present({key: record.get(key) or None for key in ("vars", "namedScores")} | {"provider": provider}),
    }
    return Conversion([row])


def _has_failed(record: Source, response: Source) -> bool:
    """Whether the call gave no answer to grade; an answer that fails an assertion is an answer."""
    reason = record.get("failureReason")
    return reason == _ERROR or not is_missing(response.get("error")) or (not response and bool(record.get("error")))


def _prompt(value: object) -> Row:
    text = value.get("raw") if isinstance(value, Mapping) else value
    if text == _STRIPPED:
        raise RecordError(
            "prompt",
            "results of promptfoo whose prompts were left out",
            "the prompts that were sent",
            "export them again without PROMPTFOO_STRIP_PROMPT_TEXT",
        )
    return chat_fields(text)


def _quality(record: Source) -> object:
    grading = as_object(record.get("gradingResult"), "gradingResult")
    if grading.get("reason") == "No assertions":
        return None
    return first_present(record, "score", "success")


def _provider(value: object) -> tuple[str, str]:
    """Return a provider's id and the name of its model.

    >>> _provider({"id": "openai:chat:gpt-4o", "label": ""}), _provider("bedrock:anthropic.claude-3-haiku-v1:0")[1]
    (('openai:chat:gpt-4o', 'gpt-4o'), 'anthropic.claude-3-haiku-v1:0')
    >>> _provider({"id": "openai:gpt-4o", "label": "gpt-4o, terse"})[1], _provider("file://model.py")[1]
    ('gpt-4o, terse', 'file://model.py')
    """
    identity = value.get("id") if isinstance(value, Mapping) else value
    label = value.get("label") if isinstance(value, Mapping) else None
    if not isinstance(identity, str) or not identity:
        raise RecordError("provider", shown(value), "the id of promptfoo's provider", "export the results again")
    return identity, label if isinstance(label, str) and label not in ("", identity) else _model_of(identity)


def _model_of(identity: str) -> str:
    vendor, _, rest = identity.partition(":")
    if vendor not in _VENDORS or not rest:
        return identity
    kind, _, model = rest.partition(":")
    return model if model and kind in _KINDS else rest


def _amounts(record: Source, response: Source) -> Row:
    if response.get("cached"):
        return {}
    usage = _usage(response) or _usage(record)
    latency_ms = as_number(record.get("latencyMs"))
    return {
        "input_tokens": usage.get("prompt"),
        "output_tokens": usage.get("completion"),
        "cost_usd": first_present(record, "cost") or response.get("cost"),
        "latency_s": None if latency_ms is None else latency_ms / 1000,
    }


def _usage(of: Source) -> dict[str, Any]:
    """Return counts of tokens; promptfoo writes zeros for unknown counts."""
    usage = as_object(of.get("tokenUsage"), "tokenUsage")
    return dict(usage) if usage.get("prompt") or usage.get("completion") else {}


ADAPTER: Final = Adapter(
    "promptfoo", "promptfoo", _recognises, promptfoo, lists=("results.results", "results"), averages=True
)
