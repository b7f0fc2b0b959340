"""Read logs of inspect-ai evaluations, as JSON or as ``.eval`` archives.

If there are several scores, the headline of the results counts, or else the first score. The prompt is what the model
was shown before its first answer. In further epochs the same prompt is asked again; their scores are averaged.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Row,
    Source,
    as_number,
    as_object,
    first_present,
    is_missing,
    present,
    prompt_fields,
)
from router_model.training.importing.layout import Archive
from router_model.training.importing.problems import RecordError, shown

_LETTERS: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS: Final = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_ATTACHMENT: Final = "attachment://"
_ARCHIVE: Final = Archive(
    ".eval", r"samples/.+_epoch_\d+(/sample)?\.json", ("header.json", "_journal/start.json", "start.json")
)


def _recognises(record: Source) -> bool:
    return {"epoch", "input", "target"} <= record.keys() or _is_log(record)


def _is_log(record: Source) -> bool:
    return isinstance(record.get("eval"), Mapping) and {"status", "plan"} <= record.keys()


def inspect_ai(record: Source, around: Around) -> Conversion:
    """Read a sample of a log.

    Fields: ``messages`` up to the first answer (else ``input``), ``scores`` (C, P, I and N are 1, 0.5, 0 and
    0), ``model_usage`` of the evaluated model (tokens with those of the cache, ``total_cost``),
    ``working_time`` (else ``total_time``), ``started_at``; around the samples ``eval.model`` and
    ``eval.task``. Samples with an ``error`` and those that were invalidated are skipped.
    """
    if _is_log(record):
        raise RecordError(
            "samples",
            "a log of inspect-ai without samples",
            "its samples with their messages and scores",
            "run the evaluation with --log-samples, or export it with 'inspect log dump' and without --header-only",
        )
    if not is_missing(record.get("error")):
        return Conversion([], {"failed samples": 1})
    if not is_missing(record.get("invalidation")):
        return Conversion([], {"invalidated samples": 1})
    spec = as_object(around.fields.get("eval"), "eval")
    model = _model(record, spec)
    scorer, quality = _quality(record, around.fields)
    row: Row = {
        **_prompt(record),
        "model": model,
        "quality": quality,
        **_usage(record, model),
        "latency_s": first_present(record, "working_time", "total_time"),
        "task": spec.get("task"),
        "timestamp": first_present(record, "started_at") or spec.get("created"),
        "extra": present({key: record.get(key) or None for key in ("id", "epoch", "metadata")}) | {"scorer": scorer},
    }
    return Conversion([row])


def _model(record: Source, spec: Source) -> str:
    model = spec.get("model") or as_object(record.get("output"), "output").get("model")
    if is_missing(model):
        raise RecordError(
            "eval.model",
            "a sample of inspect-ai without the log around it",
            "the whole log, whose header names the model",
            "import the .eval or .json file that the evaluation wrote",
        )
    return str(model)


# --- scores ----------------------------------------------------------------------------------------------


def _quality(record: Source, log: Source) -> tuple[str | None, object]:
    """Return the scorer that counts and its value as a number; without scores there is no quality."""
    scores = as_object(record.get("scores"), "scores")
    if not scores:
        return None, None
    headline = _headline(log)
    scorer = headline.get("scorer")
    name = str(scorer) if str(scorer) in scores else next(iter(scores))
    score = scores[name]
    value = score.get("value") if isinstance(score, Mapping) else score
    return name, _number(value, name, headline.get("score"))


def _headline(log: Source) -> Source:
    """Return the scorer that the log's headline names, with the name of its score."""
    results = as_object(log.get("results"), "results")
    if isinstance(results.get("headline"), Mapping):
        headline: Source = results["headline"]
        return headline
    listed = results.get("scores")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], Mapping) else {}
    return {"scorer": first.get("scorer"), "score": first.get("name")}


def _number(value: object, scorer: str, score: object) -> object:
    """Turn a score into a number; the checks report a number that is out of range."""
    if isinstance(value, Mapping):
        return _number(_part(value, scorer, score), scorer, None)
    if isinstance(value, str):
        return _LETTERS.get(value, _WORDS.get(value.lower(), value))
    if isinstance(value, list):
        raise RecordError("scores", shown(value), f"one value of the scorer {scorer!r}", ADVICE)
    return as_number(value)


def _part(values: Source, scorer: str, score: object) -> object:
    if str(score) in values:
        return values[str(score)]
    if len(values) == 1:
        return next(iter(values.values()))
    raise RecordError(
        "scores",
        f"the values {shown(list(values))} of inspect-ai's scorer {scorer!r}",
        "one of them named as the log's headline, or first in its results",
        "import the finished log, which has 'results'",
    )


# --- tokens ----------------------------------------------------------------------------------------------


def _usage(record: Source, model: str) -> Row:
    of_models = as_object(record.get("model_usage"), "model_usage")
    usage = of_models.get(model)
    if usage is None and len(of_models) == 1:
        usage = next(iter(of_models.values()))
    if usage is None:
        usage = as_object(record.get("output"), "output").get("usage")
    if not isinstance(usage, Mapping):
        return {}
    # inspect-ai counts input tokens without those of the cache.
    read = usage.get("input_tokens")
    cached = [as_number(usage.get(key)) or 0.0 for key in ("input_tokens_cache_read", "input_tokens_cache_write")]
    return {
        "input_tokens": read + sum(cached) if isinstance(read, int) else read,
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": usage.get("total_cost"),
    }


# --- prompts ---------------------------------------------------------------------------------------------


def _prompt(record: Source) -> Row:
    messages = record.get("messages")
    asked = _before_the_answer(messages) if isinstance(messages, list) else []
    given = asked or record.get("input")
    if not isinstance(given, list):
        return prompt_fields(given)
    attachments = as_object(record.get("attachments"), "attachments")
    return {"messages": [_message(one, attachments) for one in given]}


def _before_the_answer(messages: Sequence[Any]) -> list[Any]:
    """Return the messages before the model's first answer; answers in the prompt's examples are not the model's."""
    asked = []
    for message in messages:
        if isinstance(message, Mapping) and message.get("role") == "assistant" and message.get("source") != "input":
            break
        asked.append(message)
    return asked


def _message(message: object, attachments: Source) -> object:
    """Return a chat message without the ids of the run, which would make equal prompts differ."""
    if not isinstance(message, Mapping):
        return message
    content = message.get("content")
    parts = [_part_of_content(part, attachments) for part in content] if isinstance(content, list) else None
    kept: Row = {
        "role": message.get("role"),
        "content": _attached(content, attachments) if parts is None else [part for part in parts if part is not None],
        "tool_call_id": message.get("tool_call_id"),
    }
    if isinstance(message.get("tool_calls"), list):
        kept["tool_calls"] = [_tool_call(call) for call in message["tool_calls"] if isinstance(call, Mapping)]
    return present(kept)


def _part_of_content(part: object, attachments: Source) -> object:
    if not isinstance(part, Mapping):
        return part
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": _attached(part.get("text"), attachments)}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": part.get("image")}}
    return None if kind == "reasoning" else dict(part)


def _attached(text: object, attachments: Source) -> object:
    """Return a text or the attachment that it refers to, because logs store long texts only once."""
    if isinstance(text, str) and text.startswith(_ATTACHMENT):
        return attachments.get(text.removeprefix(_ATTACHMENT), text)
    return text


def _tool_call(call: Source) -> Row:
    function = {"name": call.get("function"), "arguments": json.dumps(call.get("arguments"), ensure_ascii=False)}
    return {"id": call.get("id"), "type": "function", "function": function}


ADAPTER: Final = Adapter(
    "inspect_ai", "inspect-ai", _recognises, inspect_ai, lists=("samples",), archives=(_ARCHIVE,), averages=True
)
