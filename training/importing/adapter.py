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
    """The surroundings of a record: its file, the object around it, and the notes of other records.

    Attributes
    ----------
    path : Path
        The file. Some tools write the model only into the name of the file or its folder.
    fields : mapping
        Fields of the JSON object around the record's list.
    notes_of : callable
        Return the notes that other records left under a key (`router_model.training.importing.notes`), in their order.
    """

    path: Path
    fields: Mapping[str, Any] = MappingProxyType({})
    notes_of: Callable[[str], list[Any]] = _no_notes


NOWHERE: Final = Around(Path("records"))
"""The surroundings of a record that stands alone, as in examples."""

Converter: TypeAlias = Callable[[Source, Around], Conversion]
NoteTaker: TypeAlias = Callable[[Source, Around], Iterable[Note]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """Reads the records of one tool.

    Attributes
    ----------
    name : str
        The name for ``--format``.
    tool : str
        The name in messages and in the documentation.
    recognises : callable
        Tell from the first record of a file whether the file is of this tool.
    convert : callable
        Turn a record into outcomes; raises `RecordError` if it cannot be used.
    lists : tuple of str
        Paths at which a JSON object of the tool may have its list of records: ``"samples"``, ``"results.results"``.
    archives : tuple of Archive
        How the tool's zip files hold their records.
    notes : callable, optional
        Return a record's notes about outcomes that other records hold (`router_model.training.importing.notes`). It
        raises `RecordError` only if `convert` does too, and `convert` reports the error.
    fields : tuple of str
        Field names of the tool's records, by which messages say that an unknown record resembles this tool's.
    are_calls : bool
        Whether the records are the calls of a gateway or a tracer. A cost of 0 is unknown there, because such tools
        write it for models whose price they do not know.
    averages : bool
        Whether several answers of a model to one prompt are averaged, because evaluations and votes ask again on
        purpose. In logs of calls, a second answer is a duplicate.
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
    are_calls: bool = False
    averages: bool = False
    votes: bool = False
