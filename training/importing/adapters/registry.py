"""The list of all adapters, in the order in which they are tried on a record."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from router_model.training.importing.adapter import Adapter
from router_model.training.importing.adapters import (
    alpaca_eval,
    arena,
    bedrock,
    every_eval_ever,
    helicone,
    helm,
    inspect_ai,
    langfuse,
    langsmith,
    litellm,
    llmrouterbench,
    lm_eval,
    mlflow,
    mt_bench,
    mt_bench_pairs,
    openai_batch,
    openai_evals,
    openai_stored,
    outcomes,
    paretobandit,
    promptfoo,
    ragas,
    routerbench,
    spans,
)
from router_model.training.importing.conversion import Source, objects_of
from router_model.training.importing.layout import Layout
from router_model.training.importing.problems import RecordError

_IN_ORDER: Final = (
    routerbench.ADAPTER,
    paretobandit.ADAPTER,
    mlflow.ADAPTER,  # before the conventions of spans, because its traces hold spans, too
    spans.VERCEL_AI,
    spans.PHOENIX,
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
    spans.OTEL,  # after the other conventions, because their spans look like OpenTelemetry's too
    llmrouterbench.ADAPTER,
    langsmith.ADAPTER,
    langfuse.ADAPTER,
    helicone.ADAPTER,
    openai_batch.ADAPTER,
    openai_stored.ADAPTER,
    bedrock.ADAPTER,
    litellm.ADAPTER,
    outcomes.ADAPTER,  # last, because other tools use the same field names
)

_ALIKE: Final = 0.85
"""The similarity of two names from which on one is taken for a misspelling of the other."""
_FEWEST_ALIKE: Final = 3

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.name: adapter for adapter in _IN_ORDER})
"""Adapters by the name of their format."""

FORMATS: Final = ("auto", *sorted(ADAPTERS))
"""The allowed values of ``format``."""

EXPECTED_KNOWN: Final = "'prompt' (or 'messages'), 'model' and 'quality', or another format's fields"
"""The expectation in the message about a record that no adapter recognises."""


def layout_of(format: str) -> Layout:  # noqa: A002 the command's option has this name
    """Return the places of the records in the files of a format; with ``auto`` the places of all formats.

    >>> "resourceSpans" in layout_of("otel").lists, "records" in layout_of("otel").lists
    (True, False)
    """
    adapters = [ADAPTERS[format]] if format in ADAPTERS else list(_IN_ORDER)
    lists = dict.fromkeys(path for adapter in adapters for path in adapter.lists)
    return Layout(tuple(lists), tuple(archive for adapter in adapters for archive in adapter.archives))


def adapter_of(record: Source) -> Adapter:
    """Find the adapter of a file by its first record.

    >>> adapter_of({"prompt": "Hi", "model": "a", "quality": 1}).name, adapter_of({"x": 1, "x|total_cost": 0.1}).name
    ('outcomes', 'routerbench')

    Raises
    ------
    RecordError
        If the record has no known format.
    """
    for adapter in _IN_ORDER:
        if adapter.recognises(record):
            return adapter
    got = f"a record with the fields {shown_names(record)}" if record else "a record without fields"
    near = _nearest(record)
    if near is not None:
        lacking = [name for name in near.fields if name not in record]
        got += f", which looks like {near.tool} ({near.name})"
        expected, advice = f"its fields {', '.join(map(repr, lacking))}, too", "rename them"
    else:
        expected = EXPECTED_KNOWN
        inside = next((name for name, value in record.items() if objects_of(value)), None)
        advice = "say which field is which (--column prompt=FIELD --column model=FIELD --column quality=FIELD)"
        if inside is not None:
            advice = (
                f"if {inside!r} lists the records, write a line for each, with the fields that all share; else {advice}"
            )
    raise RecordError("", got, expected, f"{advice}, or name the --format ({', '.join(ADAPTERS)})")


def _nearest(record: Source) -> Adapter | None:
    """Return the adapter whose field names most resemble the record's; None if there is none."""
    names = {_plain(name) for name in record}
    likeness = {
        adapter: sum(bool(get_close_matches(_plain(name), names, 1, _ALIKE)) for name in adapter.fields)
        for adapter in _IN_ORDER
        if adapter.fields
    }
    best = max(likeness, key=lambda adapter: likeness[adapter] / len(adapter.fields), default=None)
    return best if best is not None and likeness[best] >= _FEWEST_ALIKE else None


def _plain(name: object) -> str:
    return str(name).replace("_", "").lower()


def shown_names(record: Collection[str], limit: int = 12) -> str:
    """List the first few field names of a record for a message.

    >>> shown_names({"a": 1, "b": 2, "c": 3}, limit=2)
    "'a', 'b' and 1 more"
    """
    names = [repr(str(name)) for name in record]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
