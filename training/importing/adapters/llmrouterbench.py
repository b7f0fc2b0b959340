"""Read LLMRouterBench: files with the graded answers of one model on one dataset."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Source,
    first_present,
    is_missing,
    present,
    prompt_fields,
)
from router_model.training.importing.problems import RecordError, shown

_MODEL_KEYS: Final = ("model_name", "model")
_DATASET_KEYS: Final = ("dataset_name", "dataset")
_FILE_NAME: Final = re.compile(r"(?:.*-)?\d{8}_\d{6}\.json|result\.json")
"""Matches the benchmark's file names, in folders ``<dataset>/<split>/<model>``."""


def _recognises(record: Source) -> bool:
    return "origin_query" in record or "records" in record or {"prediction", "score"} <= record.keys()


def llmrouterbench(record: Source, around: Around) -> Conversion:
    """Read LLMRouterBench: a record, or an object with a list of ``records``.

    Fields: ``origin_query`` (else ``prompt``), ``score`` (quality), ``prompt_tokens``,
    ``completion_tokens``, ``cost``; ``prediction`` and ``raw_output`` are dropped. The model (``model_name``
    or ``model``) and the dataset (``dataset_name`` or ``dataset``, the task) stand in the record, in the
    object around it, or in the folders of the benchmark's tree. Demo runs are skipped.
    """
    if around.fields.get("demo") is True or record.get("demo") is True:
        return Conversion([], {"records of demo runs": 1})
    of_path = _names_in(around.path)
    if "records" not in record:
        return Conversion([_row(record, {**of_path, **present(around.fields)})])
    parts = record["records"]
    if not isinstance(parts, list) or not parts or not all(isinstance(part, Mapping) for part in parts):
        raise RecordError("records", shown(parts), "a list of objects that is not empty", ADVICE)
    return Conversion([_row(part, {**of_path, **present(record)}) for part in parts])


def _names_in(path: Path) -> dict[str, str]:
    """Return the model and the dataset that a file of the benchmark's tree belongs to.

    >>> _names_in(Path("bench/aime/test/some-model/20250301_100000.json"))
    {'model_name': 'some-model', 'dataset_name': 'aime'}
    >>> _names_in(Path("logs/monday.json"))
    {}
    """
    folders = path.parts[-4:-1]
    if len(folders) < 3 or not _FILE_NAME.fullmatch(path.name):  # noqa: PLR2004 dataset, split and model
        return {}
    return {"model_name": folders[2], "dataset_name": folders[0]}


def _row(record: Source, around: Source) -> dict[str, object]:
    model = first_present(record, *_MODEL_KEYS) or first_present(around, *_MODEL_KEYS)
    if model is None:
        raise RecordError(
            "model_name",
            "nothing, in the record and in the object around it",
            "the model's name in 'model_name' or 'model', or a file in the folders dataset/split/model",
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
        "task": first_present(record, *_DATASET_KEYS) or first_present(around, *_DATASET_KEYS),
        "extra": present(record, placed),
    }


ADAPTER: Final = Adapter("llmrouterbench", "LLMRouterBench", _recognises, llmrouterbench, lists=("records",))
