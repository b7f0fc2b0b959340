"""Read records that already have our own columns, named as in `router_model.outcome_schema`."""

from functools import lru_cache
from typing import Final

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.checks import PROMPT_FORMS
from router_model.training.importing.conversion import Conversion, Source, as_object, present

_KNOWN: Final = frozenset(OUTCOME_COLUMN_NAMES)


def _recognises(record: Source) -> bool:
    return "model" in record and any(form in record for form in PROMPT_FORMS)


def outcomes(record: Source, around: Around) -> Conversion:
    """Read our own columns as they are; ``extra`` may be JSON text or an object.

    >>> from router_model.training.importing.adapters import NOWHERE
    >>> outcomes({"prompt": "Hi", "model": "a", "quality": 1, "grader": "exact"}, NOWHERE).rows
    [{'prompt': 'Hi', 'model': 'a', 'quality': 1, 'extra': {'grader': 'exact'}}]
    """
    del around
    row = dict(record)
    unknown = {column: row.pop(column) for column in _unknown_of(tuple(record))}
    if unknown:
        row["extra"] = {**as_object(row.get("extra"), "extra"), **present(unknown)}
    return Conversion([row])


@lru_cache(maxsize=1024)
def _unknown_of(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column for column in columns if column not in _KNOWN)


ADAPTER: Final = Adapter("outcomes", "our own columns", _recognises, outcomes)
