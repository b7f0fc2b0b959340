"""All adapters, in the order in which a record is shown to them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from training.importing.adapters import litellm, llmrouterbench, otel, outcomes, paretobandit, routerbench
from training.importing.adapters.adapter import Adapter
from training.importing.conversion import Source
from training.importing.problems import RecordError

_IN_ORDER: Final = (
    routerbench.ADAPTER,
    paretobandit.ADAPTER,
    otel.ADAPTER,
    llmrouterbench.ADAPTER,
    litellm.ADAPTER,
    outcomes.ADAPTER,  # last: its fields are everybody's
)

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.name: adapter for adapter in _IN_ORDER})
"""Adapters by the name of their format."""

FORMATS: Final = ("auto", *sorted(ADAPTERS))
"""What ``format`` may be."""

EXPECTED_KNOWN: Final = "'prompt' (or 'messages'), 'model' and 'quality', or another format's fields"
"""What is expected of a record that no adapter recognises."""


def adapter_of(record: Source) -> Adapter:
    """Tell a file's format by its first record.

    >>> adapter_of({"prompt": "Hi", "model": "a", "quality": 1}).name, adapter_of({"x": 1, "x|total_cost": 0.1}).name
    ('outcomes', 'routerbench')

    Raises
    ------
    RecordError
        If it is none of the known ones.
    """
    for adapter in _IN_ORDER:
        if adapter.recognises(record):
            return adapter
    raise RecordError(
        "",
        f"a record with the fields {shown_names(record)}" if record else "a record without fields",
        EXPECTED_KNOWN,
        "say which field is which (--column prompt=FIELD --column model=FIELD --column quality=FIELD), or name the "
        f"--format ({', '.join(ADAPTERS)})",
    )


def shown_names(record: Collection[str], limit: int = 12) -> str:
    """List a record's field names, the first few of them.

    >>> shown_names({"a": 1, "b": 2, "c": 3}, limit=2)
    "'a', 'b' and 1 more"
    """
    names = [repr(str(name)) for name in record]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
