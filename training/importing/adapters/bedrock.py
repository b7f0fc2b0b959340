"""Read the model invocation logs of Amazon Bedrock, from S3 or CloudWatch.

Bodies are those of the models' vendors (InvokeModel) or of Bedrock's own format (Converse). Only named fields are kept,
so that identities and accounts never reach the table.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import chat_fields, decoded, require_prompt, usage_tokens
from router_model.training.importing.conversion import Conversion, Row, Source, as_object, first_present, time_s
from router_model.training.importing.problems import RecordError

_TYPE: Final = "ModelInvocationLog"
_KEPT: Final = ("requestId", "operation", "region")
_STORE: Final = "deliver text data with the logs (textDataDeliveryEnabled); calls logged from then on can be imported"
_OTHERS: Final = {"embed": "embedding calls", "rerank": "rerank calls", "image": "image calls", "canvas": "image calls"}


def _recognises(record: Source) -> bool:
    return record.get("schemaType") == _TYPE or {"modelId", "operation", "input"} <= record.keys()


def bedrock(record: Source, around: Around) -> Conversion:
    """Read one invocation.

    Fields: ``input.inputBodyJson``, ``modelId`` (of a profile's address the last part), ``input.inputTokenCount`` with
    what a cache read and wrote, ``output.outputTokenCount``, ``timestamp``, and the latency that Converse measures.

    Raises
    ------
    RecordError
        If the body was not delivered, or was written to an object of its own.
    """
    del around
    model = str(record.get("modelId") or "").rpartition("/")[2]
    if record.get("errorCode"):
        return Conversion([], {"failed calls": 1})
    other = next((what for word, what in _OTHERS.items() if word in model), None)
    return Conversion([], {other: 1}) if other else Conversion([_row(record, model)])


def _row(record: Source, model: str) -> Row:
    given, answered = as_object(record.get("input"), "input"), as_object(record.get("output"), "output")
    if "inputBodyJson" not in given and "inputBodyS3Path" in given:
        got = "a call of Bedrock whose body is in an object of its own (inputBodyS3Path)"
        raise RecordError("input", got, "the body in the record", "put it into inputBodyJson, or use --on-error skip")
    body, answer = decoded(given.get("inputBodyJson")), decoded(answered.get("outputBodyJson"))
    return {
        **require_prompt(chat_fields(body), "Bedrock", _STORE, body),
        "model": model or None,
        "input_tokens": _tokens_read(given),
        "output_tokens": answered.get("outputTokenCount"),
        "latency_s": _latency_s(answer),
        "timestamp": time_s(record, "timestamp"),
        "extra": {key: record[key] for key in _KEPT if key in record},
    }


def _tokens_read(given: Source) -> Any:
    cached = (given.get("cacheReadInputTokenCount"), given.get("cacheWriteInputTokenCount"))
    names = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return usage_tokens({"input_tokens": given.get("inputTokenCount"), **dict(zip(names, cached, strict=True))})[0]


def _latency_s(answer: Any) -> Any:
    metrics = answer.get("metrics") if isinstance(answer, Mapping) else None
    taken = first_present(metrics, "latencyMs") if isinstance(metrics, Mapping) else None
    return taken / 1000 if isinstance(taken, int | float) else taken


ADAPTER: Final = Adapter(
    "bedrock",
    "Amazon Bedrock",
    _recognises,
    bedrock,
    fields=("modelId", "operation", "requestId", "input", "output", "schemaType"),
    are_calls=True,
)
