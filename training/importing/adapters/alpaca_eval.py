"""Read AlpacaEval: annotations that say which of two outputs is better."""

from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Source,
    as_number,
    is_missing,
    present,
    prompt_fields,
)
from router_model.training.importing.problems import RecordError, shown
from router_model.training.importing.votes import TIE, vote_rows

_PLACED: Final = frozenset(
    {
        "instruction", "output_1", "output_2", "generator_1", "generator_2", "preference", "dataset",
        "raw_completion", "time_per_example", "price_per_example",
    }
)  # fmt: skip


def _recognises(record: Source) -> bool:
    return {"instruction", "output_1", "output_2"} <= record.keys()


def alpaca_eval(record: Source, around: Around) -> Conversion:
    """Read an annotation.

    Fields: ``instruction`` (the prompt), ``generator_1``, ``generator_2``, ``preference`` (1 prefers the
    first output, 2 the second, values between are degrees, 0 and 1.5 are ties), ``dataset`` (the task).
    Outputs, and the price and time of the annotator, are dropped.
    """
    del around
    if "preference" not in record:
        raise RecordError(
            "preference",
            "outputs of AlpacaEval without a preference",
            "the annotations of them",
            "use annotations.json",
        )
    if is_missing(record["preference"]):
        return Conversion([], {"votes without a preference": 1})
    models = record.get("generator_1"), record.get("generator_2")
    if any(is_missing(model) for model in models):
        raise RecordError(
            "generator_1",
            "an annotation of AlpacaEval without 'generator_1' or 'generator_2'",
            "the models whose outputs were compared",
            "use the annotations.json that alpaca_eval writes, or add the names",
        )
    first = _quality_of_first(record["preference"])
    return vote_rows(
        prompt_fields(record.get("instruction")),
        models,
        (first, round(1 - first, 6)),
        task=record.get("dataset"),
        extra=present(record, _PLACED),
    )


def _quality_of_first(preference: object) -> float:
    """Return the degree to which the first output is preferred, as a quality.

    >>> [_quality_of_first(preference) for preference in (1, 2.0, "1.25", 0, 1.5)]
    [1.0, 0.0, 0.75, 0.5, 0.5]
    """
    value = as_number(preference)
    if isinstance(preference, str):
        try:
            value = float(preference)
        except ValueError:
            value = None
    if value == 0:
        return TIE
    if value is None or not 1 <= value <= 2:  # noqa: PLR2004 the second output
        raise RecordError(
            "preference", f"{shown(preference)} in an annotation of AlpacaEval", "a number from 1 to 2, or 0", ADVICE
        )
    return round(2 - value, 6)


ADAPTER: Final = Adapter("alpaca_eval", "AlpacaEval", _recognises, alpaca_eval, averages=True, votes=True)
