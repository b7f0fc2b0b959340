"""Read RouterBench: wide rows, each with all models' outcomes on a prompt."""

import ast
from functools import lru_cache
from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import ADVICE, Conversion, Source, is_missing, present
from router_model.training.importing.problems import RecordError

_COST_SUFFIX: Final = "|total_cost"
_ANSWER_SUFFIX: Final = "|model_response"


def _recognises(record: Source) -> bool:
    return any(key.endswith(_COST_SUFFIX) for key in record)


def routerbench(record: Source, around: Around) -> Conversion:
    """Turn a wide row of RouterBench into one outcome for each model.

    Fields: ``sample_id``, ``prompt``, ``eval_name`` (the task), and for each model ``<model>`` (quality),
    ``<model>|total_cost`` and ``<model>|model_response`` (dropped). If a model has neither quality nor cost, the
    pair is missing and gives no row. The benchmark writes prompts as Python lists of texts, which become one text.
    """
    del around
    models = _wide_models(tuple(record))
    cells = {key for model in models for key in (model, model + _COST_SUFFIX, model + _ANSWER_SUFFIX)}
    extra = present(record, cells | {"sample_id", "prompt", "eval_name"})
    prompt = _joined(record.get("prompt"))
    rows = [
        {
            "prompt_id": record.get("sample_id"),
            "prompt": prompt,
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


def _joined(prompt: object) -> object:
    r"""Return the texts of a printed Python list, joined by line breaks.

    >>> _joined("['Answer A or B.', 'Is 7 prime?']"), _joined("[1] says so"), _joined("Hi")
    ('Answer A or B.\n\nIs 7 prime?', '[1] says so', 'Hi')
    """
    if not isinstance(prompt, str) or not prompt.startswith("["):
        return prompt
    try:
        parts = ast.literal_eval(prompt)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return prompt
    is_texts = isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts)
    return "\n\n".join(parts) if is_texts else prompt


@lru_cache(maxsize=64)
def _wide_models(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column.removesuffix(_COST_SUFFIX) for column in columns if column.endswith(_COST_SUFFIX))


ADAPTER: Final = Adapter("routerbench", "RouterBench", _recognises, routerbench)
