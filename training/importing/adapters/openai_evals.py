"""Read OpenAI's evals: the events that ``oaieval`` records, and the output items of the Evals API.

The first call of a sample is the one that is graded. A later call asks a model for the grade.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
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
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import RecordError

_GRADES: Final = ("score", "accuracy", "correct", "is_correct", "exact_match", "includes", "f1_score")
"""Names of the grade of a sample in metrics events, in the order in which they are looked for."""

_OUTPUT_ITEM: Final = "eval.run.output_item"


def _recognises(record: Source) -> bool:
    return (
        {"run_id", "event_id", "type"} <= record.keys()
        or _is_spec(record)
        or record.keys() == {"final_report"}
        or record.get("object") == _OUTPUT_ITEM
    )


def _is_spec(record: Source) -> bool:
    spec = record.get("spec")
    return isinstance(spec, Mapping) and bool({"completion_fns", "eval_name", "model_name"} & spec.keys())


def openai_evals(record: Source, around: Around) -> Conversion:
    """Read a ``sampling`` event together with the sample's other events, or an output item.

    Fields of ``oaieval``: ``data.prompt``, ``data.usage``, ``created_at``; the model and the task from the
    line ``spec``; the quality from ``match`` events (their mean) or else from ``metrics`` events. Fields of
    the Evals API: ``sample.input``, ``sample.model``, ``sample.usage``, and ``results``, whose graders must
    all have passed for a quality of 1. Failed samples are skipped.
    """
    if record.get("object") == _OUTPUT_ITEM:
        return _output_item(record)
    if record.get("type") != "sampling":
        return Conversion([], {"events beside the calls": 1})
    events = around.notes_of(_sample_key(record, around.path))
    if any(event.get("call", record["event_id"]) < record["event_id"] for event in events):
        return Conversion([], {"calls of graders": 1})
    if any("error" in event for event in events):
        return Conversion([], {"failed samples": 1})
    spec = _spec(around)
    data = as_object(record.get("data"), "data")
    row: Row = {
        **prompt_fields(data.get("prompt")),
        "model": _model(spec, data),
        "quality": _grade(events),
        **_tokens(data.get("usage")),
        "task": first_present(spec, "eval_name", "base_eval"),
        "timestamp": record.get("created_at"),
        "extra": {"sample_id": record.get("sample_id")},
    }
    return Conversion([row])


# --- oaieval ---------------------------------------------------------------------------------------------


def _notes(record: Source, around: Around) -> list[Note]:
    if _is_spec(record):
        return [Note(_spec_key(around.path), record["spec"])]
    kind, data = record.get("type"), record.get("data")
    data = data if isinstance(data, Mapping) else {}
    noted: dict[str, Any] = {}
    if kind == "sampling":
        noted = {"call": record.get("event_id")}
    elif kind == "match":
        noted = {"match": as_number(data.get("correct"))}
    elif kind == "metrics":
        noted = {"metrics": as_number(first_present(data, *_GRADES))}
    elif kind == "error":
        noted = {"error": True}
    return [Note(_sample_key(record, around.path), noted)] if noted else []


def _spec_key(path: Path) -> str:
    return f"openai_evals:{path}"


def _sample_key(record: Source, path: Path) -> str:
    return f"openai_evals:{path}:{record.get('sample_id')}"


def _spec(around: Around) -> Source:
    specs = around.notes_of(_spec_key(around.path))
    if not specs:
        raise RecordError(
            "spec",
            "events of oaieval without the line 'spec'",
            "the first line of the file, which names the model and the evaluation",
            "import the file as oaieval wrote it",
        )
    spec: Source = specs[0]
    return spec


def _model(spec: Source, data: Source) -> object:
    completion_fns = spec.get("completion_fns")
    if isinstance(completion_fns, list) and completion_fns:
        return completion_fns[0]  # later calls are those of graders
    return first_present(spec, "model_name") or data.get("model")


def _grade(events: list[Source]) -> float | None:
    for kind in ("match", "metrics"):
        grades = [event[kind] for event in events if not is_missing(event.get(kind))]
        if grades:
            return float(sum(grades) / len(grades))
    return None


def _tokens(usage: object) -> Row:
    if not isinstance(usage, Mapping):
        return {}
    return {
        "input_tokens": first_present(usage, "prompt_tokens", "input_tokens"),
        "output_tokens": first_present(usage, "completion_tokens", "output_tokens"),
    }


# --- the Evals API ---------------------------------------------------------------------------------------


def _output_item(record: Source) -> Conversion:
    sample = as_object(record.get("sample"), "sample")
    error = sample.get("error")
    if record.get("status") == "error" or (isinstance(error, Mapping) and not is_missing(error.get("code"))):
        return Conversion([], {"failed samples": 1})
    if is_missing(sample.get("model")):
        raise RecordError(
            "sample.model", "an output item of OpenAI's Evals API without a call", "a run that calls a model",
            "import runs of the data source 'completions' or 'responses'",
        )  # fmt: skip
    graders = record.get("results")
    results = [one for one in graders if isinstance(one, Mapping)] if isinstance(graders, list) else []
    row: Row = {
        **prompt_fields(sample.get("input")),
        "model": sample["model"],
        "quality": _passed(record, results),
        **_tokens(sample.get("usage")),
        "timestamp": record.get("created_at"),
        "extra": present({key: record.get(key) for key in ("id", "run_id", "eval_id", "datasource_item_id")})
        | {"scores": {str(one.get("name")): one.get("score") for one in results}},
    }
    return Conversion([row])


def _passed(record: Source, results: list[Source]) -> float | None:
    """Return 1 if all graders passed the answer; their scores are not used, because their scales are unknown."""
    passed = [one["passed"] for one in results if isinstance(one.get("passed"), bool)]
    if passed:
        return float(all(passed))
    return {"pass": 1.0, "fail": 0.0}.get(str(record.get("status")))


ADAPTER: Final = Adapter("openai_evals", "OpenAI evals", _recognises, openai_evals, notes=_notes, averages=True)
