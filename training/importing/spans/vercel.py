"""Read the span attributes of the Vercel AI SDK's telemetry.

The SDK wraps each call of a model in a second span: ``ai.generateText`` around ``ai.generateText.doGenerate``. The
inner span is the call, so only it counts.
"""

from collections.abc import Sequence
from typing import Any, Final

from router_model.training.importing.chat import chat_fields, require_prompt
from router_model.training.importing.conversion import Row, first_present
from router_model.training.importing.spans.convention import EMBEDDINGS, OTHER, Convention
from router_model.training.importing.spans.transport import Event, Span

OPERATION: Final = "ai.operationId"
_INNER: Final = (".doGenerate", ".doStream")
_METADATA: Final = "ai.telemetry.metadata."
_RECORD: Final = "leave experimental_telemetry.recordInputs on where the calls are made"


def _claims(span: Span) -> bool:
    return OPERATION in span.attributes or "ai.model.id" in span.attributes or "ai.prompt.messages" in span.attributes


def _skipped_as(span: Span) -> str | None:
    operation = str(span.attributes.get(OPERATION) or span.name)
    if operation.endswith(_INNER):
        return None
    if operation.startswith("ai.embed"):
        return EMBEDDINGS
    return "outer spans of the AI SDK" if operation.startswith(("ai.generate", "ai.stream")) else OTHER


def _row(span: Span, events: Sequence[Event]) -> Row:
    del events
    attributes = span.attributes
    prompt = chat_fields(first_present(attributes, "ai.prompt.messages", "ai.prompt", "gen_ai.input.messages"))
    return {
        **require_prompt(prompt, "the Vercel AI SDK", _RECORD),
        "model": first_present(
            attributes, "ai.response.model", "gen_ai.response.model", "ai.model.id", "gen_ai.request.model"
        ),
        "input_tokens": first_present(
            attributes, "ai.usage.inputTokens", "ai.usage.promptTokens", "gen_ai.usage.input_tokens"
        ),
        "output_tokens": first_present(
            attributes, "ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"
        ),
        "cost_usd": attributes.get("gen_ai.usage.cost"),
        "latency_s": span.latency_s(),
        "timestamp": span.start_s(),
        "session_id": first_present(
            attributes, f"{_METADATA}sessionId", f"{_METADATA}session_id", "session.id", "gen_ai.conversation.id"
        ),
    }


def _scores(span: Span) -> list[tuple[str, Any]]:
    return [(name, span.attributes.get(f"{_METADATA}{name}")) for name in ("quality", "score")]


VERCEL: Final = Convention("the Vercel AI SDK", _claims, _skipped_as, _row, _scores)
