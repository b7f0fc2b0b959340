"""Read HELM: the requests of a run (``scenario_state.json``) and the metrics file in the same folder.

A run does not say which metric is its quality. The first of `_QUALITIES` that it has is used.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

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
from router_model.training.importing.problems import RecordError

_STATS_FILE: Final = "per_instance_stats.json"
_QUALITIES: Final = (
    "math_equiv_chain_of_thought", "math_equiv", "chain_of_thought_correctness", "final_number_exact_match",
    "omni_math_accuracy", "ifeval_strict_accuracy", "wildbench_score_rescaled", "program_accuracy",
    "execution_accuracy", "test_avg", "pass", "model_judged_score", "f1_score", "squad_f1_score", "f1_set_match",
    "quasi_exact_match", "exact_match", "exact_match_indicator", "quasi_prefix_exact_match", "prefix_exact_match",
    "NDCG@10", "RR@10", "rouge_l", "rouge_2", "bleu_4", "chr_f_plus_plus", "safety_score", "accuracy",
)  # fmt: skip
"""The headline metrics of HELM's leaderboards, with the more specific ones first."""


def _recognises(record: Source) -> bool:
    return _is_request(record) or _is_other(record)


def _is_request(record: Source) -> bool:
    return isinstance(record.get("instance"), Mapping) and isinstance(record.get("request"), Mapping)


def _is_other(record: Source) -> bool:
    """Whether a record is from one of the other files of a run."""
    return (
        {"instance_id", "train_trial_index"} <= record.keys()
        or {"scenario_spec", "adapter_spec"} <= record.keys()
        or {"definition_path", "tags"} <= record.keys()
        or ({"count", "sum"} <= record.keys() and isinstance(record.get("name"), Mapping))
        or ({"references", "input", "split"} <= record.keys() and isinstance(record.get("input"), Mapping))
    )


def helm(record: Source, around: Around) -> Conversion:
    """Read a request of ``scenario_state.json``.

    Fields: ``request.prompt`` or ``.messages``, ``request.model``, ``result.request_time`` and
    ``.request_datetime``; from ``per_instance_stats.json`` beside it the quality and the tokens; from
    ``run_spec.json`` the task. An instance that asks once for each of its references counts once. Failed
    requests and the other files of a run are skipped.
    """
    if _is_other(record):
        return Conversion([], {"records of HELM's other files": 1})
    result = as_object(record.get("result"), "result")
    if not result or result.get("success") is False:
        return Conversion([], {"failed requests": 1})
    if record.get("reference_index") or record.get("request_mode") == "calibration":
        return Conversion([], {"further requests of an instance": 1})
    stats = _stats(record, around.path)
    metric, quality = _quality(stats)
    instance, request = record["instance"], record["request"]
    spec = as_object(around.fields.get("adapter_spec"), "adapter_spec")
    row: Row = {
        **_prompt(record, instance, request),
        "model": first_present(request, "model") or spec.get("model"),
        "quality": quality,
        "input_tokens": stats.get("num_prompt_tokens"),
        "output_tokens": first_present(stats, "num_output_tokens", "num_completion_tokens"),
        "latency_s": result.get("request_time"),
        "task": _task(around.path),
        "timestamp": result.get("request_datetime"),
        "extra": present({key: instance.get(key) for key in ("id", "split", "sub_split")}) | {"metric": metric},
    }
    return Conversion([row])


def _prompt(record: Source, instance: Source, request: Source) -> Row:
    if record.get("reference_index") is not None:
        # These requests end in one of the answers, which is not part of the question.
        return prompt_fields(as_object(instance.get("input"), "input").get("text"))
    return prompt_fields(first_present(request, "messages", "prompt"))


def _task(path: Path) -> str | None:
    """Return the run's name without its model.

    HELM uses the same name for the run's folder.
    """
    spec = read_beside(path, "run_spec.json")
    name = spec.get("name") if isinstance(spec, Mapping) else None
    if is_missing(name) and "model=" in path.parent.name:
        name = path.parent.name
    return None if is_missing(name) else re.sub(r"[,:]?model(_deployment)?=[^,]*", "", str(name))


# --- metrics ---------------------------------------------------------------------------------------------


def _stats(record: Source, path: Path) -> Row:
    """Return the values of an instance's metrics by their names."""
    found = _stats_of_run(path).get(_key(record["instance"].get("id"), record["instance"], record))
    if found is None:
        raise RecordError(
            _STATS_FILE,
            f"the instance {record['instance'].get('id')!r} of HELM, which {path.with_name(_STATS_FILE)} does not have",
            "its metrics there",
            "use both files of the same run",
        )
    return found


def _stats_of_run(path: Path) -> dict[str, Row]:
    found: dict[str, Row] | None = read_beside(path, _STATS_FILE, _by_request)
    if found is None:
        raise RecordError(
            _STATS_FILE,
            "the requests of HELM without their metrics",
            f"{_STATS_FILE} beside {path.name}, from which the quality is read",
            "import the folder of the run, or copy that file there",
        )
    return found


def _by_request(given: object) -> dict[str, Row]:
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise RecordError(_STATS_FILE, "something else", "a list of objects", "write the run's metrics again")
    found: dict[str, Row] = {}
    for one in given:
        # An instance has an entry for each group of metrics.
        found.setdefault(_key(one.get("instance_id"), one, one), {}).update(_values(one.get("stats")))
    return found


def _key(instance_id: object, perturbed: Source, trial: Source) -> str:
    """Return the key of a request within a run: the instance, its perturbation, and the trial."""
    perturbation = perturbed.get("perturbation") or None
    return json.dumps([instance_id, perturbation, trial.get("train_trial_index") or 0], sort_keys=True)


def _values(stats: object) -> Row:
    values: Row = {}
    for stat in stats if isinstance(stats, list) else []:
        name = stat.get("name") if isinstance(stat, Mapping) else None
        if not isinstance(name, Mapping):
            continue
        total, count = as_number(stat.get("sum")), as_number(stat.get("count"))
        if total is not None and count:
            values[str(name.get("name"))] = total / count
    return values


def _quality(stats: Mapping[str, Any]) -> tuple[str, float]:
    for name in _QUALITIES:
        if name in stats:
            return name, stats[name]
    raise RecordError(
        _STATS_FILE,
        f"the metrics {', '.join(sorted(stats)) or 'none'} of HELM",
        f"one of {', '.join(_QUALITIES)}",
        "leave this run out, or write its metric under one of these names",
    )


ADAPTER: Final = Adapter("helm", "HELM", _recognises, helm, lists=("request_states",), averages=True)
