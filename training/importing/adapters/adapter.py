"""The interface of an adapter: how it recognises the records of one tool, and how it converts them.

Converters are pure functions: ``(record, around) -> Conversion``. They move values into our columns and do not judge
them; `router_model.training.importing.checks` does. Fields without a column of ours go to ``extra``. The models'
answers are dropped: nothing is learned from them, and they are most of the bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from router_model.training.importing.conversion import Conversion, Source
from router_model.training.importing.layout import COMMON_LISTS, Archive
from router_model.training.importing.notes import Note


def _no_notes(key: str) -> list[Any]:
    del key
    return []


class Around(NamedTuple):
    """What is known of a record beside the record itself.

    Attributes
    ----------
    path : Path
        The file; some tools write the model only into its name or its folder.
    fields : mapping
        Fields of the JSON object around the record's list.
    notes_of : callable
        Return what other records noted under a key (see `router_model.training.importing.notes`), in their order.
    """

    path: Path
    fields: Mapping[str, Any] = MappingProxyType({})
    notes_of: Callable[[str], list[Any]] = _no_notes


NOWHERE: Final = Around(Path("records"))
"""Of a record that stands alone, as in examples."""

Converter: TypeAlias = Callable[[Source, Around], Conversion]
NoteTaker: TypeAlias = Callable[[Source, Around], Iterable[Note]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """Reads the records of one tool.

    Attributes
    ----------
    name : str
        As ``--format`` has it.
    tool : str
        As messages and the documentation name it.
    recognises : callable
        Tell by its first record whether a file is of this tool.
    convert : callable
        Turn a record into outcomes; raises `RecordError` where it cannot be used.
    lists : tuple of str
        Where a JSON object of the tool may have its list of records: ``"samples"``, ``"results.results"``.
    archives : tuple of Archive
        How the tool's zip files hold their records.
    notes : callable, optional
        Return what a record says about outcomes that other records hold (see `router_model.training.importing.notes`);
        raises `RecordError` only where `convert` does, which is where the error is told.
    fields : tuple of str
        Names that the tool's records have, by which a record that is not recognised is known to be nearly one.
    averages : bool
        Whether several answers of a model to one prompt are averaged: evaluations and votes ask again on
        purpose. In logs of calls a second answer is a duplicate.
    votes : bool
        Whether the outcomes are votes between two models (see `router_model.training.importing.votes`).
    """

    name: str
    tool: str
    recognises: Callable[[Source], bool]
    convert: Converter
    lists: tuple[str, ...] = COMMON_LISTS
    archives: tuple[Archive, ...] = ()
    notes: NoteTaker | None = None
    fields: tuple[str, ...] = ()
    averages: bool = False
    votes: bool = False
