"""Read the samples of lm-evaluation-harness, which ``--log_samples`` writes to one file for each task.

The file leaves three questions open. The model's name comes from the ``results_*.json`` beside the file, or from the
name of the folder. If there are several filters, the first in the file counts, which is the first in the task's list.
If there are several metrics, the quality is the first that has a number for each sample and is better when higher.

The prompt is the text that was sent, including the examples that the harness put in. The model's chat template is
removed (`router_model.training.importing.chat_templates`), and a chat of one message becomes its text, so that all
models share the same prompts.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.beside import names_beside, read_beside
from router_model.training.importing.chat_templates import messages_of
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Row,
    Source,
    as_number,
    chat_fields,
    first_present,
    is_missing,
    prompt_fields,
)
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import RecordError, shown

_FILE_NAME: Final = re.compile(
    r"samples_(?P<task>.+?)(?:_(?P<date>\d{4}-\d{2}-\d{2}T[\d.-]+?))?\.jsonl?(?:\.gz|\.zst)?"
)
_SAMPLE_KEYS: Final = frozenset(
    {
        "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
        "doc_hash", "prompt_hash", "target_hash",
    }
)  # fmt: skip
_QUESTION_KEYS: Final = ("question", "query", "prompt", "problem", "instruction", "input", "text", "sentence")
_LOWER_IS_BETTER: Final = frozenset(
    {"brier_score", "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ter", "wer", "loglikelihood"}
)
_UNGRADED: Final = "bypass"
"""The value of a metric that ``--predict_only`` writes."""

_GENERIC_FOLDER: Final = re.compile(r"(?:run|exp|eval|test|result|output|log|sample|tmp|lm[-_]?eval)", re.IGNORECASE)


def _recognises(record: Source) -> bool:
    return _is_sample(record) or _is_summary(record)


def _is_sample(record: Source) -> bool:
    return "doc_id" in record and bool({"arguments", "resps", "filtered_resps"} & record.keys())


def _is_summary(record: Source) -> bool:
    return isinstance(record.get("results"), Mapping) and {"configs", "n-shot"} <= record.keys()


def lm_eval(record: Source, around: Around) -> Conversion:
    """Read a sample of ``samples_<task>_<date>.jsonl``.

    Fields: ``arguments`` (the prompt; a multiple choice has one request for each choice, and counts once),
    ``metrics`` and the fields it names (the quality; the others go to ``extra``), ``filter``, ``doc_id``. The
    task is in the file's name. ``resps`` and ``filtered_resps`` are dropped.
    """
    if _is_summary(record):
        return Conversion([], {"summaries of lm-evaluation-harness": 1})
    counted = around.notes_of(_filter_key(around.path))
    if counted and record.get("filter") != counted[0]:
        return Conversion([], {"results of further filters": 1})
    name = _FILE_NAME.fullmatch(around.path.name)
    task = name["task"] if name else None
    summary = _summary_beside(around.path, name["date"] if name else None)
    metric, quality = _quality(record, summary, task)
    extra = {key: record[key] for key in ("doc_id", "filter") if not is_missing(record.get(key))}
    row: Row = {
        **_prompt(record, has_system=not is_missing(summary.get("system_instruction"))),
        "model": _model(around.path, summary),
        "quality": quality,
        "task": task,
        "extra": extra | {"metric": metric} | _other_metrics(record, metric),
    }
    return Conversion([row])


def _notes(record: Source, around: Around) -> list[Note]:
    """Note the filter of the file's first sample."""
    key = _filter_key(around.path)
    is_first = _is_sample(record) and not around.notes_of(key)
    return [Note(key, record.get("filter"))] if is_first else []


def _filter_key(path: Path) -> str:
    return f"lm_eval:{path}"


# --- the model -------------------------------------------------------------------------------------------


def _summary_beside(path: Path, date: str | None) -> Source:
    """Return the summary of the same run, or the only one in the folder."""
    found = read_beside(path, f"results_{date}.json") if date else None
    if found is None:
        names = [name for name in names_beside(path) if re.fullmatch(r"results_.*\.json", name)]
        found = read_beside(path, names[0]) if len(names) == 1 else None
    return found if isinstance(found, Mapping) else {}


def _model(path: Path, summary: Source) -> str:
    config = summary.get("config")
    named = first_present(summary, "model_name", "model_name_sanitized")
    if is_missing(named) and isinstance(config, Mapping):
        named = _model_of_arguments(config.get("model_args"))
    if not is_missing(named):
        return str(named)
    folder = path.parent.name
    if not _looks_like_a_model(folder):
        raise RecordError(
            "model",
            f"samples of lm-evaluation-harness in the folder {folder!r}, without their results_*.json",
            "the results_*.json of the same run beside them, or a folder named after the model as the harness does",
            "copy the file there, or rename the folder, as in 'org__model'",
        )
    return folder.replace("__", "/")


def _model_of_arguments(arguments: object) -> str | None:
    """Return the model of ``model_args``, which is text or an object.

    >>> _model_of_arguments("pretrained=org/model,dtype=auto"), _model_of_arguments({"model": "m"})
    ('org/model', 'm')
    """
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    if not isinstance(arguments, Mapping):
        return None
    named = first_present(arguments, "peft", "delta", "pretrained", "model", "path", "engine")
    return None if named is None else str(named)


def _looks_like_a_model(folder: str) -> bool:
    """Whether the name of a folder may be that of a model, which the harness writes with ``__`` for a slash.

    >>> [_looks_like_a_model(name) for name in ("org__model", "gpt-4o", "results-2", "2025-03-01", "import")]
    [True, True, False, False, False]
    """
    if "__" in folder:
        return True
    return bool(re.match(r"[A-Za-z].*[-\d]", folder)) and not _GENERIC_FOLDER.match(folder)


# --- the quality -----------------------------------------------------------------------------------------


def _metric_names(record: Source) -> list[str]:
    listed = record.get("metrics")
    if isinstance(listed, list) and listed:
        return [str(name) for name in listed]
    return [name for name in record if name not in _SAMPLE_KEYS]


def _quality(record: Source, summary: Source, task: str | None) -> tuple[str, float | None]:
    """Return the metric that counts and its value."""
    names = _metric_names(record)
    if names == [_UNGRADED]:
        return _UNGRADED, None
    for name in names:
        value = as_number(record.get(name))
        if value is not None and name != _UNGRADED and not _is_lower_better(name, summary, task):
            return name, value
    raise RecordError(
        "metrics",
        f"a sample of lm-evaluation-harness with the metrics {shown(names)}, none of them a number that is better "
        "when higher",
        "at least one, such as exact_match or acc",
        "leave this task out: its metrics are of whole data sets, or errors",
    )


def _is_lower_better(metric: str, summary: Source, task: str | None) -> bool:
    of_tasks = summary.get("higher_is_better")
    of_task = of_tasks.get(task) if isinstance(of_tasks, Mapping) else None
    known = of_task.get(metric) if isinstance(of_task, Mapping) else None
    return known is False or (known is None and metric in _LOWER_IS_BETTER)


def _other_metrics(record: Source, counted: str) -> Row:
    return {
        name: record[name]
        for name in _metric_names(record)
        if name not in {counted, _UNGRADED} and as_number(record.get(name)) is not None
    }


# --- the prompt ------------------------------------------------------------------------------------------


def _prompt(record: Source, *, has_system: bool) -> Row:
    """Return the prompt; a system message that the run did not set comes from the template and is removed."""
    contexts = [_context(request) for request in _requests(record.get("arguments"))]
    contexts = [context for context in contexts if not is_missing(context)]
    if not contexts:
        return _prompt_of_document(record.get("doc"))
    if all(isinstance(context, str) for context in contexts):
        # Some tasks write the choice into the text; the common beginning of all choices is then the question.
        text = _common_beginning(contexts) or contexts[0]
        templated = messages_of(text)
        if not templated:
            return _as_text(chat_fields(text))
        return _as_text({"messages": [one for one in templated if has_system or one["role"] != "system"]})
    return prompt_fields(contexts[0])


def _as_text(fields: Row) -> Row:
    """Return a chat with a single user message as text."""
    messages = fields.get("messages")
    if isinstance(messages, list) and len(messages) == 1 and messages[0].get("role") == "user":
        return {"prompt": messages[0].get("content")}
    return fields


def _requests(arguments: object) -> list[Any]:
    if isinstance(arguments, Mapping):
        return list(arguments.values())
    return arguments if isinstance(arguments, list) else []


def _context(request: object) -> Any:
    """Return the question of a request: its first argument, which is JSON text in a list for chat models."""
    if isinstance(request, Mapping):
        context = request.get("arg_0")
    else:
        context = request[0] if isinstance(request, list) and request else None
    if isinstance(context, list) and len(context) == 1 and isinstance(context[0], str):
        return context[0]
    return context


def _common_beginning(texts: list[str]) -> str:
    """Return the longest common beginning of all texts.

    >>> _common_beginning(["Ann beat Bea as Ann", "Ann beat Bea as Bea"])
    'Ann beat Bea as '
    """
    first, last = min(texts), max(texts)
    n_alike = next(
        (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    return first[:n_alike]


def _prompt_of_document(document: object) -> Row:
    question = first_present(document, *_QUESTION_KEYS) if isinstance(document, Mapping) else document
    if isinstance(question, str) and question:
        return {"prompt": question}
    raise RecordError(
        "arguments",
        "a sample of lm-evaluation-harness without 'arguments'",
        "the requests that were sent, or a 'doc' with the question",
        f"run it again with --log_samples; {ADVICE}",
    )


ADAPTER: Final = Adapter("lm_eval", "lm-evaluation-harness", _recognises, lm_eval, notes=_notes, averages=True)
