"""Read LangSmith's runs, from its API, its exports or its bulk export."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import input_fields, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    latency_s,
    objects_of,
    time_s,
)
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import Problem, RecordError
from router_model.training.importing.scores import named_scores, quality_of

_KEPT: Final = ("id", "trace_id", "name", "run_type", "total_tokens", "first_token_time")
_HIDDEN: Final = "trace with LANGSMITH_HIDE_INPUTS=false, and export the runs with their inputs"


def _is_feedback(record: Source) -> bool:
    return {"run_id", "key", "score"} <= record.keys()


def _recognises(record: Source) -> bool:
    return "run_type" in record or _is_feedback(record)


def langsmith(record: Source, around: Around) -> Conversion:
    """Read a run of LangSmith with the runs inside it.

    Fields of a run of the type ``llm``: ``inputs``, the model of the answer (else ``ls_model_name`` or
    ``model`` in ``extra``), ``prompt_tokens``, ``completion_tokens``, ``total_cost``, ``start_time``,
    ``end_time``, ``feedback_stats`` (the average of each key is a score), and in the metadata ``session_id``,
    ``thread_id`` or ``conversation_id``. The run's own ``session_id`` is its project and is left out.
    """
    if _is_feedback(record):
        return Conversion([], {"feedback": 1})
    rows: list[Row] = []
    failed: list[tuple[Problem, Source]] = []
    skipped: Counter[str] = Counter()
    for run in _runs(record):
        reason = _skipped_as(run)
        if reason is not None:
            skipped[reason] += 1
            continue
        try:
            rows.append(_row(run, around))
        except RecordError as exc:
            failed.append((exc.problem, run))
    return Conversion(rows, skipped, failed)


def _runs(record: Source) -> Iterator[Source]:
    yield record
    for child in objects_of(record.get("child_runs")):
        yield from _runs(child)


def _skipped_as(run: Source) -> str | None:
    kind = str(run.get("run_type"))
    if kind == "embedding":
        return "embedding calls"
    if kind != "llm":
        return f"runs of the type {kind}"
    failed = not is_missing(run.get("error")) or run.get("status") in ("error", "pending", "interrupted")
    return "failed calls" if failed else None


def _row(run: Source, around: Around) -> Row:
    extra = as_object(run.get("extra"), "extra")
    metadata = as_object(extra.get("metadata") or run.get("metadata"), "metadata")
    answer = _Answer(as_object(run.get("outputs"), "outputs"))
    invocation = as_object(extra.get("invocation_params"), "invocation_params")
    tokens = usage_tokens(answer.usage())
    return {
        **require_prompt(input_fields(run.get("inputs")), "LangSmith", _HIDDEN, run.get("inputs")),
        "model": answer.model()
        or first_present(metadata, "ls_model_name")
        or first_present(invocation, "model", "model_name", "model_id"),
        "quality": quality_of(_scores(run, around)),
        "input_tokens": tokens[0] if is_missing(run.get("prompt_tokens")) else run["prompt_tokens"],
        "output_tokens": tokens[1] if is_missing(run.get("completion_tokens")) else run["completion_tokens"],
        "cost_usd": run.get("total_cost"),
        "latency_s": latency_s(run, "start_time", "end_time"),
        "timestamp": time_s(run, "start_time"),
        "session_id": first_present(metadata, "session_id", "thread_id", "conversation_id"),
        "extra": {key: run[key] for key in _KEPT if not is_missing(run.get(key))},
    }


class _Answer:
    """The facts in a run's outputs besides the answer, from LangChain's generations or a provider's response."""

    def __init__(self, outputs: Source) -> None:
        generations = outputs.get("generations") or []
        while isinstance(generations, list) and generations:
            generations = generations[0]
        first: Any = generations if isinstance(generations, Mapping) else outputs
        message = first.get("message")
        inner = message if isinstance(message, Mapping) else first
        self._message: Source = inner["kwargs"] if isinstance(inner.get("kwargs"), Mapping) else inner
        self._outputs = outputs

    def model(self) -> Any:
        """Return the name of the model that answered; None if the record does not name it."""
        told = [self._message.get("response_metadata"), self._outputs.get("llm_output"), self._outputs]
        named = [one for one in told if isinstance(one, Mapping)]
        return next((name for one in named if (name := first_present(one, "model_name", "model"))), None)

    def usage(self) -> Any:
        """Return the token usage, in the form of LangChain or the provider."""
        output = self._outputs.get("llm_output")
        inner = output.get("token_usage") if isinstance(output, Mapping) else None
        usages = [self._message.get("usage_metadata"), self._outputs.get("usage_metadata"), self._outputs.get("usage")]
        return next((one for one in [*usages, inner] if isinstance(one, Mapping)), None)


def _scores(run: Source, around: Around) -> list[tuple[str, Any]]:
    told = around.notes_of(f"langsmith:feedback-on:{run.get('id')}")
    if told:
        return named_scores(told)
    stats = as_object(run.get("feedback_stats"), "feedback_stats")
    columns = {
        key.removeprefix("feedback_stats.").removesuffix(".avg"): value
        for key, value in run.items()
        if key.startswith("feedback_stats.") and (key.endswith(".avg") or key.count(".") == 1)
    }
    return named_scores(stats) + named_scores(columns)


def _notes(record: Source, around: Around) -> Iterable[Note]:
    del around
    if _is_feedback(record):
        about = f"langsmith:feedback-on:{record['run_id']}"
        yield Note(about, {"name": record["key"], "score": record["score"]})


ADAPTER: Final = Adapter(
    "langsmith",
    "LangSmith",
    _recognises,
    langsmith,
    lists=("runs", "data"),
    notes=_notes,
    fields=("run_type", "inputs", "outputs", "start_time", "end_time", "extra"),
    are_calls=True,
)
