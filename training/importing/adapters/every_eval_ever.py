"""Read Every Eval Ever (EvalEval's schema): instances of an evaluation as JSON lines.

A sample counts once: if there are several metrics, the first that the file has for an evaluation is used. The summary
file (``<id>.json`` beside ``<id>_samples.jsonl``) says what a score means. Without it, only scores that agree with
``is_correct`` are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.beside import read_beside
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
from router_model.training.importing.problems import RecordError, shown

_PLACED: Final = frozenset(
    {
        "schema_version", "evaluation_id", "model_id", "evaluation_name", "evaluation_result_id", "sample_id",
        "interaction_type", "input", "output", "messages", "answer_attribution", "evaluation", "token_usage",
        "performance", "error", "sample_hash",
    }
)  # fmt: skip
_UNKNOWN: Final = -1
"""The score of an answer with an unknown level, if the metric says that there are such answers."""


def _recognises(record: Source) -> bool:
    return _is_instance(record) or _is_summary(record)


def _is_instance(record: Source) -> bool:
    return {"evaluation_id", "model_id", "sample_id", "input"} <= record.keys()


def _is_summary(record: Source) -> bool:
    return {"evaluation_id", "model_info", "evaluation_results"} <= record.keys()


def every_eval_ever(record: Source, around: Around) -> Conversion:
    """Read an instance.

    Fields: ``model_id``, ``input.raw`` (the prompt), ``evaluation.score``, ``token_usage``,
    ``performance.latency_ms`` (else ``generation_time_ms``), ``evaluation_name`` (the task). Instances with
    an ``error`` are skipped.
    """
    if _is_summary(record):
        return Conversion([], {"summaries of Every Eval Ever": 1})
    if not is_missing(record.get("error")):
        return Conversion([], {"failed samples": 1})
    counted = around.notes_of(_metric_key(record, around.path))
    if counted and counted[0] != record.get("evaluation_result_id"):
        return Conversion([], {"results of further metrics": 1})
    usage = as_object(record.get("token_usage"), "token_usage")
    latency_ms = as_number(
        first_present(as_object(record.get("performance"), "performance"), "latency_ms", "generation_time_ms")
    )
    row: Row = {
        **prompt_fields(as_object(record.get("input"), "input").get("raw")),
        "model": record.get("model_id"),
        "quality": _quality(record, around.path),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "latency_s": None if latency_ms is None else latency_ms / 1000,
        "task": record.get("evaluation_name"),
        "extra": {"sample_id": record.get("sample_id")} | present(record, _PLACED),
    }
    return Conversion([row])


def _notes(record: Source, around: Around) -> list[Note]:
    """Note the first metric of an evaluation, because it is the one that counts."""
    if not _is_instance(record) or is_missing(record.get("evaluation_result_id")):
        return []
    key = _metric_key(record, around.path)
    return [] if around.notes_of(key) else [Note(key, record["evaluation_result_id"])]


def _metric_key(record: Source, path: Path) -> str:
    return f"every_eval_ever:{path}:{record.get('evaluation_id')}:{record.get('evaluation_name')}"


# --- the quality -----------------------------------------------------------------------------------------


def _quality(record: Source, path: Path) -> float | None:
    evaluation = as_object(record.get("evaluation"), "evaluation")
    score = as_number(evaluation.get("score"))
    metric = _metric(record, path)
    if score is None:
        return None
    if metric is not None:
        return _scaled(score, metric)
    is_correct = evaluation.get("is_correct")
    if not 0 <= score <= 1 or (isinstance(is_correct, bool) and is_correct != (score > 0)):
        raise RecordError(
            "evaluation.score",
            f"the score {shown(score)} with is_correct {shown(is_correct)} of Every Eval Ever, and no summary that "
            "tells its scale",
            f"{_summary_name(path)} beside {path.name}, whose metric_config has min_score and max_score",
            "copy the summary there",
        )
    return score


def _metric(record: Source, path: Path) -> Source | None:
    """Return the summary's entry for the metric of an instance."""
    summary = read_beside(path, _summary_name(path))
    results = summary.get("evaluation_results") if isinstance(summary, Mapping) else None
    named = [one for one in results if isinstance(one, Mapping)] if isinstance(results, list) else []
    wanted = record.get("evaluation_result_id")
    own = [one for one in named if not is_missing(wanted) and one.get("evaluation_result_id") == wanted]
    own = own or [one for one in named if one.get("evaluation_name") == record.get("evaluation_name")]
    return as_object(own[0].get("metric_config"), "metric_config") if own else None


def _summary_name(path: Path) -> str:
    """Return the summary's name.

    >>> _summary_name(Path("data/7c57_samples.jsonl"))
    '7c57.json'
    """
    return path.name.partition(".")[0].removesuffix("_samples") + ".json"


def _scaled(score: float, metric: Source) -> float | None:
    """Scale a score to [0, 1] by the bounds of its metric, with the best at 1.

    >>> _scaled(2, {"score_type": "levels", "level_names": ["bad", "fair", "good"]})
    1.0
    >>> _scaled(25, {"min_score": 0, "max_score": 100, "lower_is_better": True})
    0.75
    """
    if metric.get("has_unknown_level") and score == _UNKNOWN:
        return None
    low, high = as_number(metric.get("min_score")), as_number(metric.get("max_score"))
    levels = metric.get("level_names")
    if (low is None or high is None) and metric.get("score_type") == "levels" and isinstance(levels, list):
        low, high = 0.0, float(len(levels) - 1)
    low, high = (0.0, 1.0) if low is None or high is None or low >= high else (low, high)
    share = (score - low) / (high - low)
    return 1 - share if metric.get("lower_is_better") else share


ADAPTER: Final = Adapter(
    "every_eval_ever", "Every Eval Ever", _recognises, every_eval_ever, notes=_notes, averages=True
)
