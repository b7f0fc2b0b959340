"""All adapters, in the order in which a record is shown to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from training.importing.adapters import (
    alpaca_eval,
    arena,
    every_eval_ever,
    helm,
    inspect_ai,
    litellm,
    llmrouterbench,
    lm_eval,
    mt_bench,
    mt_bench_pairs,
    openai_evals,
    otel,
    outcomes,
    paretobandit,
    promptfoo,
    ragas,
    routerbench,
)
from training.importing.adapters.adapter import Adapter
from training.importing.conversion import Source
from training.importing.layout import Layout
from training.importing.problems import RecordError

_IN_ORDER: Final = (
    routerbench.ADAPTER,
    paretobandit.ADAPTER,
    lm_eval.ADAPTER,
    inspect_ai.ADAPTER,
    promptfoo.ADAPTER,
    helm.ADAPTER,
    every_eval_ever.ADAPTER,
    openai_evals.ADAPTER,
    ragas.ADAPTER,
    arena.ADAPTER,
    alpaca_eval.ADAPTER,
    mt_bench.ADAPTER,
    mt_bench_pairs.ADAPTER,
    otel.ADAPTER,
    llmrouterbench.ADAPTER,
    litellm.ADAPTER,
    outcomes.ADAPTER,  # last: its fields are everybody's
)

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.name: adapter for adapter in _IN_ORDER})
"""Adapters by the name of their format."""

FORMATS: Final = ("auto", *sorted(ADAPTERS))
"""What ``format`` may be."""


def layout_of(format: str) -> Layout:  # noqa: A002 the command's option has this name
    """Return where the files of a format keep their records; with ``auto`` all places are looked at.

    >>> layout_of("otel").lists, "records" in layout_of("auto").lists
    (('resourceSpans',), True)
    """
    adapters = [ADAPTERS[format]] if format in ADAPTERS else list(_IN_ORDER)
    lists = dict.fromkeys(path for adapter in adapters for path in adapter.lists)
    return Layout(tuple(lists), tuple(archive for adapter in adapters for archive in adapter.archives))


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
        f"a record with the fields {shown_names(record)}",
        "'prompt' (or 'messages'), 'model' and 'quality', or another format's fields",
        f"rename them, or name the --format ({', '.join(ADAPTERS)})",
    )


def shown_names(record: Source, limit: int = 12) -> str:
    """List a record's field names, the first few of them.

    >>> shown_names({"a": 1, "b": 2, "c": 3}, limit=2)
    "'a', 'b' and 1 more"
    """
    names = [repr(str(name)) for name in record]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
