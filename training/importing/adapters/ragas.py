"""Read ragas: tables of graded answers, which do not name the model.

The quality is the first metric of `_QUALITIES` that the table has. Metrics of the retrieved contexts say nothing about
the model, so they are kept in ``extra``.
"""

from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Row,
    Source,
    chat_fields,
    first_present,
    is_missing,
    present,
)
from router_model.training.importing.problems import RecordError

_MODEL_KEYS: Final = ("model", "model_name", "llm")
_PROMPT_KEYS: Final = ("user_input", "question")
_QUALITIES: Final = (
    "answer_correctness", "factual_correctness", "factual_correctness(mode=f1)", "nv_accuracy", "answer_accuracy",
    "semantic_similarity", "answer_similarity", "exact_match", "agent_goal_accuracy", "faithfulness",
    "nv_response_groundedness", "answer_relevancy", "response_relevancy",
)  # fmt: skip
"""Metrics of an answer from 0 to 1; those that use a reference answer come first."""

_ANSWERS: Final = frozenset({"response", "answer", "retrieved_contexts", "contexts", "reference_contexts"})


def _recognises(record: Source) -> bool:
    if "quality" in record:
        return False  # a user's own table, not ragas
    answered = "user_input" in record and bool({"response", "retrieved_contexts"} & record.keys())
    return answered or {"question", "answer", "contexts"} <= record.keys()


def ragas(record: Source, around: Around) -> Conversion:
    """Read a row of ``result.to_pandas()``.

    Fields: ``user_input`` (else ``question``), the metrics, and a column ``model`` that ragas does not write
    and you add. ``response`` and ``retrieved_contexts`` are dropped.
    """
    del around
    model = first_present(record, *_MODEL_KEYS)
    if model is None:
        raise RecordError(
            "model",
            "results of ragas, which name no model",
            "a column 'model' with the model that wrote the responses",
            "add it before saving: result.to_pandas().assign(model='…')",
        )
    metric = next((name for name in _QUALITIES if name in record), None)
    if metric is None:
        raise RecordError(
            "",
            "results of ragas without a metric of the answer",
            f"one of {', '.join(_QUALITIES)}",
            f"evaluate with one of them; {ADVICE}",
        )
    prompt_key = next((key for key in _PROMPT_KEYS if not is_missing(record.get(key))), _PROMPT_KEYS[0])
    row: Row = {
        **chat_fields(record.get(prompt_key)),
        "model": model,
        "quality": record.get(metric),
        "extra": present(record, {prompt_key, metric, *_MODEL_KEYS, *_ANSWERS}) | {"metric": metric},
    }
    return Conversion([row])


ADAPTER: Final = Adapter("ragas", "ragas", _recognises, ragas, averages=True)
