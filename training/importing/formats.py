"""One record of a known format becomes rows of the outcome schema.

Converters are pure: ``(record, context) -> Conversion``. They move values and never judge them;
`training.importing.checks` does. What has no place in the schema goes to ``extra``, except the models'
answers, which are dropped: nothing is learned from them and they are most of the bytes.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from router_model.records import OUTCOME_COLUMN_NAMES
from training.importing.conversion import (
    ADVICE,
    Conversion,
    Converter,
    Source,
    as_object,
    first_present,
    is_missing,
    present,
    prompt_fields,
)
from training.importing.litellm import is_litellm, litellm
from training.importing.otel import is_otel, otel
from training.importing.problems import RecordError, shown

_KNOWN: Final = frozenset(OUTCOME_COLUMN_NAMES)
_COST_SUFFIX: Final = "|total_cost"
_ANSWER_SUFFIX: Final = "|model_response"
_MODEL_KEYS: Final = ("model_name", "model")
_DATASET_KEYS: Final = ("dataset_name", "dataset")


def outcomes(record: Source, context: Source) -> Conversion:
    """Read our own columns as they are; ``extra`` may be JSON text or an object.

    >>> outcomes({"prompt": "Hi", "model": "a", "quality": 1, "grader": "exact"}, {}).rows
    [{'prompt': 'Hi', 'model': 'a', 'quality': 1, 'extra': {'grader': 'exact'}}]
    """
    del context
    row = dict(record)
    unknown = {column: row.pop(column) for column in _unknown_of(tuple(record))}
    if unknown:
        row["extra"] = {**as_object(row.get("extra"), "extra"), **present(unknown)}
    return Conversion([row])


@lru_cache(maxsize=1024)
def _unknown_of(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column for column in columns if column not in _KNOWN)


def routerbench(record: Source, context: Source) -> Conversion:
    """Unfold a wide row of RouterBench, one outcome a model.

    Fields: ``sample_id``, ``prompt``, ``eval_name`` (the task), and for each model ``<model>`` (quality),
    ``<model>|total_cost`` and ``<model>|model_response`` (dropped). Where a model has neither quality nor
    cost, the pair is missing and gives no row.
    """
    del context
    models = _wide_models(tuple(record))
    cells = {key for model in models for key in (model, model + _COST_SUFFIX, model + _ANSWER_SUFFIX)}
    extra = present(record, cells | {"sample_id", "prompt", "eval_name"})
    rows = [
        {
            "prompt_id": record.get("sample_id"),
            "prompt": record.get("prompt"),
            "model": model,
            "quality": record.get(model),
            "cost_usd": record.get(model + _COST_SUFFIX),
            "task": record.get("eval_name"),
            "extra": extra,
        }
        for model in models
        if not (is_missing(record.get(model)) and is_missing(record.get(model + _COST_SUFFIX)))
    ]
    if not rows:
        raise RecordError("", "a row without a quality or cost", "a value for at least one model", ADVICE)
    return Conversion(rows)


@lru_cache(maxsize=64)
def _wide_models(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column.removesuffix(_COST_SUFFIX) for column in columns if column.endswith(_COST_SUFFIX))


def llmrouterbench(record: Source, context: Source) -> Conversion:
    """Read LLMRouterBench: a record, or an object with a list of ``records``.

    Fields: ``origin_query`` (else ``prompt``), ``score`` (quality), ``prompt_tokens``,
    ``completion_tokens``, ``cost``; ``prediction`` and ``raw_output`` are dropped. The model (``model_name``
    or ``model``) and the dataset (``dataset_name`` or ``dataset``, the task) stand in the record or in the
    object around it.
    """
    if "records" not in record:
        return Conversion([_llmrouterbench_row(record, context)])
    parts = record["records"]
    if not isinstance(parts, list) or not parts or not all(isinstance(part, Mapping) for part in parts):
        raise RecordError("records", shown(parts), "a list of objects that is not empty", ADVICE)
    return Conversion([_llmrouterbench_row(part, record) for part in parts])


def _llmrouterbench_row(record: Source, context: Source) -> dict[str, object]:
    model = first_present(record, *_MODEL_KEYS) or first_present(context, *_MODEL_KEYS)
    if model is None:
        raise RecordError(
            "model_name",
            "nothing, in the record and in the object around it",
            "the model's name in 'model_name' or 'model'",
            "add it to the object that holds the records",
        )
    query = "origin_query" if not is_missing(record.get("origin_query")) else "prompt"
    placed = {
        query, "score", "prompt_tokens", "completion_tokens", "cost",
        "prediction", "raw_output", *_MODEL_KEYS, *_DATASET_KEYS,
    }  # fmt: skip
    return {
        **prompt_fields(record.get(query)),
        "model": model,
        "quality": record.get("score"),
        "input_tokens": record.get("prompt_tokens"),
        "output_tokens": record.get("completion_tokens"),
        "cost_usd": record.get("cost"),
        "task": first_present(record, *_DATASET_KEYS) or first_present(context, *_DATASET_KEYS),
        "extra": present(record, placed),
    }


def paretobandit(record: Source, context: Source) -> Conversion:
    """Unfold a record of ParetoBandit, one outcome an arm.

    Fields: ``prompt``, ``arms`` (``{model: {"reward": quality, "cost": USD}}``) and ``source`` (the task).

    >>> rows = paretobandit({"prompt": "Hi", "arms": {"a": {"reward": 0.4, "cost": 1e-5}}}, {}).rows
    >>> rows[0]["model"], rows[0]["quality"]
    ('a', 0.4)
    """
    del context
    arms = as_object(record.get("arms"), "arms")
    if not arms:
        raise RecordError("arms", shown(record.get("arms")), "at least one model", ADVICE)
    shared = present(record, {"prompt", "arms", "source"})
    rows = []
    for model, arm in arms.items():
        if not isinstance(arm, Mapping):
            raise RecordError("arms", shown(arm), "an object with 'reward' and 'cost' for each model", ADVICE)
        rows.append(
            {
                **prompt_fields(record.get("prompt")),
                "model": model,
                "quality": arm.get("reward"),
                "cost_usd": arm.get("cost"),
                "task": record.get("source"),
                "extra": {**shared, **present(arm, {"reward", "cost"})},
            }
        )
    return Conversion(rows)


CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "outcomes": outcomes,
        "routerbench": routerbench,
        "llmrouterbench": llmrouterbench,
        "paretobandit": paretobandit,
        "litellm": litellm,
        "otel": otel,
    }
)
"""Converters by the name of their format."""

FORMATS: Final = ("auto", *CONVERTERS)
"""What ``format`` may be."""


def detect(record: Source) -> str:
    """Tell a file's format by its first record.

    >>> detect({"prompt": "Hi", "model": "a", "quality": 1}), detect({"x": 1, "x|total_cost": 0.1})
    ('outcomes', 'routerbench')

    Raises
    ------
    RecordError
        If it is none of the known ones.
    """
    if any(key.endswith(_COST_SUFFIX) for key in record):
        return "routerbench"
    if "arms" in record:
        return "paretobandit"
    if is_otel(record):
        return "otel"
    if "origin_query" in record or "records" in record or {"prediction", "score"} <= record.keys():
        return "llmrouterbench"
    if is_litellm(record):
        return "litellm"
    if "model" in record and ("prompt" in record or "messages" in record):
        return "outcomes"
    raise RecordError(
        "",
        f"a record with the fields {shown_names(record)}",
        "'prompt' (or 'messages'), 'model' and 'quality', or another format's fields",
        f"rename them, or name the --format ({', '.join(CONVERTERS)})",
    )


def shown_names(record: Source, limit: int = 12) -> str:
    """List a record's field names, the first few of them.

    >>> shown_names({"a": 1, "b": 2, "c": 3}, limit=2)
    "'a', 'b' and 1 more"
    """
    names = [repr(str(name)) for name in record]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
