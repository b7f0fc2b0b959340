"""Read batches of OpenAI and Anthropic: a file of requests, and a file of answers, joined by `custom_id`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import chat_fields, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    time_s,
)
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import RecordError

_ADVICE: Final = "give the batch's input file, too; it has the prompts"
_OK: Final = 200


def _is_request(record: Source) -> bool:
    return ("body" in record and {"url", "method"} & record.keys() != set()) or "params" in record


def _recognises(record: Source) -> bool:
    return "custom_id" in record and (_is_request(record) or bool({"response", "result", "error"} & record.keys()))


def openai_batch(record: Source, around: Around) -> Conversion:
    """Read a line of a batch's output, or of its input.

    Fields: ``custom_id``, ``response.body`` (OpenAI) or ``result.message`` (Anthropic) with ``model``,
    ``usage`` and ``created``; the prompt is that of the request with this id. No cost is written: a batch costs
    less than the list price.

    Raises
    ------
    RecordError
        If there is no request of this id, or several with different prompts.
    """
    if _is_request(record):
        return Conversion([], {"requests of batches": 1})
    answer = _answer(record)
    if answer is None:
        return Conversion([], {"failed calls": 1})
    if answer.get("object") == "list":
        return Conversion([], {"embedding calls": 1})
    read, written = usage_tokens(answer.get("usage"))
    created = "created" if "created" in answer else "created_at"
    row: Row = {
        **require_prompt(_prompt(record, around), "a batch", _ADVICE),
        "model": answer.get("model"),
        "input_tokens": read,
        "output_tokens": written,
        "timestamp": time_s(answer, created),
        "extra": {"custom_id": record["custom_id"]},
    }
    return Conversion([row])


def _answer(record: Source) -> Source | None:
    """Return what the model answered; None if the request failed."""
    response, result = (as_object(record.get(key), key) for key in ("response", "result"))
    if result:
        message = as_object(result.get("message"), "result")
        return message if result.get("type") == "succeeded" and message else None
    body = as_object(response.get("body"), "response")
    failed = not is_missing(record.get("error")) or response.get("status_code", _OK) != _OK
    return None if failed or not body else body


def _prompt(record: Source, around: Around) -> Row:
    prompts: list[Row] = []
    for prompt in around.notes_of(f"openai-batch:{record['custom_id']}"):
        if prompt not in prompts:
            prompts.append(prompt)
    if len(prompts) > 1:
        raise RecordError(
            "custom_id",
            f"{len(prompts)} requests with the id {record['custom_id']!r} and different prompts",
            "one",
            "import each batch with its own input file alone",
        )
    return prompts[0] if prompts else {}


def _notes(record: Source, around: Around) -> Iterable[Note]:
    del around
    body: Any = first_present(record, "body", "params")
    if _is_request(record) and isinstance(body, Mapping):
        yield Note(f"openai-batch:{record.get('custom_id')}", chat_fields(body))


ADAPTER: Final = Adapter(
    "openai_batch",
    "batches of OpenAI and Anthropic",
    _recognises,
    openai_batch,
    notes=_notes,
    fields=("custom_id", "response", "error"),
)
