"""Convert the records of a source into rows, one batch at a time.

This module chooses the adapter of a source. It also applies the columns that the user named: before the adapter in a
user's own tables, and after it in records of known tools.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from router_model.training.importing.adapters import ADAPTERS, Adapter, Around, adapter_of, layout_of
from router_model.training.importing.bodies import read_whole
from router_model.training.importing.conversion import TOLD, Conversion, Row, Source, is_missing
from router_model.training.importing.efforts import give_to_candidates
from router_model.training.importing.items import Item, Record, Unreadable
from router_model.training.importing.notes import Note, Notes
from router_model.training.importing.options import ImportOptions
from router_model.training.importing.problems import Problem, RecordError
from router_model.training.importing.readers import SourceFile
from router_model.training.importing.survey import Survey
from router_model.training.importing.unanswered import unanswered_as

BATCH_RECORDS: Final = 20_000
BATCH_BYTES: Final = 16 * 1024 * 1024

_OWN: Final = ADAPTERS["outcomes"]


class Rejected(NamedTuple):
    """A rejected row and the place it comes from."""

    row: int
    problems: list[Problem]
    record: Any


@dataclass(slots=True)
class Batch:
    """Converted rows of one file with the source row of each, and the rows that could not be converted."""

    rows: list[Row] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    n_with_effort: int = 0
    n_records: int = 0
    n_bytes: int = 0

    def is_full(self) -> bool:
        """Whether it is time to write the rows."""
        return max(self.n_records, len(self.rows)) >= BATCH_RECORDS or self.n_bytes >= BATCH_BYTES


class BatchReader:
    """Reads one source.

    Parameters
    ----------
    source, options, survey, notes
    for_prompts : bool, default False
        Whether calls that no model answered are read, too, because only what was asked matters.

    Attributes
    ----------
    adapter : Adapter or None
        The adapter of the source, once a record has shown which it is.
    """

    def __init__(
        self, source: SourceFile, options: ImportOptions, survey: Survey, notes: Notes, *, for_prompts: bool = False
    ) -> None:
        self.adapter = ADAPTERS.get(options.format)
        self._source = source
        self._options = options
        self._mapping = options.mapping
        self._survey = survey
        self._notes = notes
        self._for_prompts = for_prompts

    def batches(self) -> Iterator[Batch]:
        """Yield the whole source."""
        batch = Batch()
        for item in self._source.items():
            self._convert(batch, item)
            if batch.is_full():
                yield batch
                batch = Batch()
        yield batch

    def _convert(self, batch: Batch, item: Item) -> None:
        batch.n_records += 1
        batch.n_bytes += item.n_bytes
        if isinstance(item, Unreadable):
            batch.rejected.append(Rejected(item.row, [item.problem], item.raw))
            return
        self._survey.see_record(item.value)
        try:
            rows, skipped, failed = self._conversion(item)
        except RecordError as exc:
            batch.rejected.append(Rejected(item.row, [exc.problem], item.value))
            return
        if self._options.efforts:
            batch.n_with_effort += give_to_candidates(rows, item.value, self._options.efforts)
        batch.rejected += [Rejected(item.row, [problem], part) for problem, part in failed]
        batch.told.update(_told(rows))
        batch.rows += rows
        batch.places += [item.row] * len(rows)
        batch.n_bytes += _repeated_chars(rows)
        batch.skipped.update(skipped)

    def _conversion(self, item: Record) -> tuple[list[Row], Mapping[str, int], Sequence[tuple[Problem, Source]]]:
        if self.adapter is None:
            self.adapter = self._adapter_of(item.value)
        if self.adapter is _OWN:
            own = self._own_record(item.value)
            unanswered = None if self._for_prompts else unanswered_as(own)
            if unanswered is not None:
                return Conversion([], {unanswered: 1})
            self._survey.see_own(own, is_known=True)
            return _OWN.convert(own, Around(self._source.path, item.context, self._notes.of))
        around = Around(self._source.path, self._context(item), self._notes.of)
        rows, skipped, failed = self.adapter.convert(item.value, around)
        if self.adapter.are_calls:
            _forget_zero_costs(rows, self.adapter.tool)
        named = dict.fromkeys(self._mapping.absent) | self._mapping.values(item.value)
        for row in rows if named or self._options.model else ():
            row.update(named)
            if is_missing(row.get("model")):
                row["model"] = self._options.model or None
        undecided = [(row["quality"], item.value) for row in rows if isinstance(row.get("quality"), Problem)]
        if undecided:
            rows = [row for row in rows if not isinstance(row.get("quality"), Problem)]
        return rows, skipped, [*failed, *undecided]

    def _adapter_of(self, record: Source) -> Adapter:
        """Return the adapter of the source; raise `RecordError` if no adapter can read it."""
        if self._mapping.names_prompts:
            return _OWN
        try:
            return adapter_of(record)
        except RecordError:
            own = self._own_record(record)
            if _OWN.recognises(own):
                return _OWN
            self._survey.see_own(own, is_known=False)
            raise

    def _own_record(self, record: Source) -> Source:
        own = read_whole(self._mapping.own_record(record), record, self._mapping.paths)
        return {**own, "model": self._options.model} if self._options.model and is_missing(own.get("model")) else own

    def _context(self, item: Record) -> Mapping[str, Any]:
        """Return the fields around a record; if they do not name the model, the model that the user named is used."""
        return {"model": self._options.model, **item.context} if self._options.model else item.context


def open_source(path: Path, options: ImportOptions) -> SourceFile:
    """Return a file as a source that reads records from the places of its format."""
    return SourceFile(path, layout_of(options.format))


def take_notes(paths: Sequence[Path], options: ImportOptions, notes: Notes) -> None:
    """Make the first pass over the files whose adapters join records; see `router_model.training.importing.notes`."""
    if options.mapping.names_prompts:
        return  # tables with own columns do not join records
    for path in paths:
        adapter = ADAPTERS.get(options.format)
        for item in open_source(path, options).items():
            if not isinstance(item, Record):
                continue  # the second pass reports the problem
            adapter = adapter or _recognised(item.value)
            if adapter is not None and adapter.notes is None:
                break
            notes.add(_notes_of(item, adapter, path, notes))


def _recognised(record: Source) -> Adapter | None:
    try:
        return adapter_of(record)
    except RecordError:
        return None


def _notes_of(record: Record, adapter: Adapter | None, path: Path, notes: Notes) -> list[Note]:
    if adapter is None or adapter.notes is None:
        return []
    try:
        return list(adapter.notes(record.value, Around(path, record.context, notes.of)))
    except RecordError:
        return []  # `convert` raises it again in the second pass


def _forget_zero_costs(rows: Sequence[Row], tool: str) -> None:
    for row in rows:
        if str(row.get("cost_usd")) in ("0", "0.0", "0.00"):
            row |= {"cost_usd": None, "free": tool}


def _told(rows: Sequence[Row]) -> Iterator[str]:
    """Take what the summary should say off the rows, and yield it."""
    for row in rows:
        for name, sentence in TOLD.items():
            if name in row:
                yield sentence.format(row.pop(name))


def _repeated_chars(rows: Sequence[Row]) -> int:
    """Return by how many characters rows exceed their record: a wide record has its prompt once, rows repeat it."""
    prompt = rows[0].get("prompt") if len(rows) > 1 else None
    return len(prompt) * (len(rows) - 1) if isinstance(prompt, str) else 0
