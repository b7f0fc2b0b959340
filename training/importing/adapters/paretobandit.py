"""Read ParetoBandit's samples: one record for each prompt, with an arm for each model."""

from collections.abc import Mapping
from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import ADVICE, Conversion, Source, as_object, present, prompt_fields
from router_model.training.importing.problems import RecordError, shown


def _recognises(record: Source) -> bool:
    return "arms" in record


def paretobandit(record: Source, around: Around) -> Conversion:
    """Turn a record of ParetoBandit into one outcome for each arm.

    Fields: ``prompt``, ``arms`` (``{model: {"reward": quality, "cost": USD}}``) and ``source`` (the task).

    >>> from router_model.training.importing.adapters import NOWHERE
    >>> rows = paretobandit({"prompt": "Hi", "arms": {"a": {"reward": 0.4, "cost": 1e-5}}}, NOWHERE).rows
    >>> rows[0]["model"], rows[0]["quality"]
    ('a', 0.4)
    """
    del around
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


ADAPTER: Final = Adapter("paretobandit", "ParetoBandit", _recognises, paretobandit)
