"""Read the span attributes of OpenInference, as Arize Phoenix records and exports them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.training.importing.chat import chat_fields, chat_message, require_prompt
from router_model.training.importing.conversion import Row, Source, first_present, is_missing, objects_of
from router_model.training.importing.scores import named_scores
from router_model.training.importing.spans.convention import EMBEDDINGS, Convention
from router_model.training.importing.spans.transport import Event, Span, indexed

_KIND: Final = "openinference.span.kind"
_OWN: Final = ("llm.input_messages", "llm.model_name", "llm.token_count", "openinference.")
_EVALUATION_COLUMN: Final = re.compile(r"eval\.(?P<name>.+)\.score")
_HIDDEN: Final = (
    "set OPENINFERENCE_HIDE_INPUTS and OPENINFERENCE_HIDE_INPUT_MESSAGES to false where the calls are traced"
)


def _claims(span: Span) -> bool:
    return any(key.startswith(_OWN) for key in span.attributes)


def _skipped_as(span: Span) -> str | None:
    kind = str(span.attributes.get(_KIND) or "LLM").upper()
    if kind == "EMBEDDING":
        return EMBEDDINGS
    return None if kind == "LLM" else f"spans of the kind {kind}"


def _row(span: Span, events: Sequence[Event]) -> Row:
    del events
    attributes = span.attributes
    return {
        **require_prompt(_prompt(attributes), "OpenInference", _HIDDEN),
        "model": first_present(attributes, "llm.model_name", "gen_ai.response.model", "gen_ai.request.model"),
        "input_tokens": first_present(attributes, "llm.token_count.prompt", "gen_ai.usage.input_tokens"),
        "output_tokens": first_present(attributes, "llm.token_count.completion", "gen_ai.usage.output_tokens"),
        "cost_usd": first_present(attributes, "llm.cost.total", "gen_ai.usage.cost"),
        "latency_s": span.latency_s(),
        "timestamp": span.start_s(),
        "session_id": first_present(attributes, "session.id", "gen_ai.conversation.id"),
    }


def _prompt(attributes: Source) -> Row:
    given = [one.get("message", one) for one in indexed(attributes, "llm.input_messages")]
    messages = [_message(one) for one in objects_of(given)]
    if messages:
        return {"messages": messages}
    prompts = [one.get("prompt", one) for one in indexed(attributes, "llm.prompts")]
    texts = [one.get("text", one.get("content")) for one in objects_of(prompts)]
    return chat_fields(texts or first_present(attributes, "llm.prompts", "input.value"))


def _message(message: Source) -> Row:
    contents = objects_of([one.get("message_content", one) for one in objects_of(message.get("contents"))])
    calls = [one.get("tool_call", one) for one in objects_of(message.get("tool_calls"))]
    return chat_message({**message, "content": [_part(one) for one in contents] or message.get("content"),
                         "tool_calls": calls})  # fmt: skip


def _part(part: Source) -> Any:
    image = part.get("image")
    if not isinstance(image, Mapping):
        return part
    inner = image.get("image", image)
    return {"type": "image_url", "image_url": {"url": inner.get("url") if isinstance(inner, Mapping) else inner}}


def _scores(span: Span) -> list[tuple[str, Any]]:
    """Return the annotations that an export keeps with the span, and its columns of evaluations."""
    listed = first_present(span.record, "annotations", "span_annotations", "evaluations")
    columns = {**span.record, **span.attributes}
    matches = [(match, columns[key]) for key in columns if (match := _EVALUATION_COLUMN.fullmatch(key))]
    return named_scores(listed) + [(match["name"], value) for match, value in matches if not is_missing(value)]


def is_annotation(record: Source) -> bool:
    """Whether a record is an annotation of a span; Phoenix exports these separately from spans."""
    about = {"span_id", "context.span_id"} & record.keys()
    judged = {"annotator_kind", "annotation_name", "score", "result"} & record.keys()
    return bool(about and judged) and not {"attributes", "start_time", "model", "prompt", "messages"} & record.keys()


def annotation(record: Source) -> tuple[str, tuple[str, Any]]:
    """Return the id of the annotated span, and the annotation's name and score."""
    span_id = str(first_present(record, "span_id", "context.span_id")).lower().removeprefix("0x")
    name = str(first_present(record, "annotation_name", "eval_name", "name") or "score")
    result = record.get("result")
    given = result if isinstance(result, Mapping) else record
    return span_id, (name, first_present(given, "score", "result.score"))


OPENINFERENCE: Final = Convention("OpenInference", _claims, _skipped_as, _row, _scores)
