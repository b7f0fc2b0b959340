"""The import itself: sources in, one canonical table out, in bounded memory.

Records are read, converted and checked in batches; each good batch is written at once. Decides what happens
to the bad ones: with ``on_error="fail"`` the first ends the import, with ``"skip"`` they go to the rejects
file, and rows written and rejected add up to the rows read.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from router_model.errors import TableError
from training.importing.adapters import ADAPTERS, FORMATS, Adapter, Around, adapter_of, layout_of
from training.importing.checks import check_batch
from training.importing.conversion import Row
from training.importing.duplicates import SeenPairs, duplicate_problem
from training.importing.frames import frame_of_rows
from training.importing.items import Item, Record, Unreadable
from training.importing.notes import Note, Notes
from training.importing.output import TableOutput, open_output, rejects_path
from training.importing.problems import Problem, RecordError
from training.importing.readers import SourceFile
from training.importing.report import ImportReport, Progress
from training.importing.sources import expand_sources, total_bytes

BATCH_RECORDS: Final = 20_000
BATCH_BYTES: Final = 16 * 1024 * 1024
MAX_UNKNOWN_COLUMNS: Final = 1_000
"""More names of unknown columns are not listed; their values are kept all the same."""

_AVERAGED: Final = "answers averaged with others of the same prompt and model"

OnError: TypeAlias = Literal["fail", "skip"]


class _Rejected(NamedTuple):
    """A row set aside, with the place it comes from."""

    row: int
    problems: list[Problem]
    record: Any


@dataclass(slots=True)
class _Batch:
    """Converted rows of one file with the source row of each, and what could not be converted."""

    rows: list[Row] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejected: list[_Rejected] = field(default_factory=list)
    n_records: int = 0
    n_bytes: int = 0

    def is_full(self) -> bool:
        return max(self.n_records, len(self.rows)) >= BATCH_RECORDS or self.n_bytes >= BATCH_BYTES


def import_sources(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    format: str = "auto",  # noqa: A002 the command's option has this name
    on_error: OnError = "fail",
    progress: Callable[[Progress], None] | None = None,
) -> ImportReport:
    """Import files into one table of outcomes.

    Parameters
    ----------
    sources : sequence of paths
        Files, folders and glob patterns.
    out : path
        The table, a Parquet file; an earlier one is replaced once the import is complete.
    format : one of `FORMATS`
        With ``auto`` each file's format is told by its first record.
    on_error : {"fail", "skip"}
        End the import at the first bad row, or write bad rows to ``<out stem>.rejects.jsonl``.
    progress : callable, optional
        Called after each batch.

    Raises
    ------
    TableError
        If a source cannot be imported, or the table not be written; no file has been changed then. If every
        row is rejected, the rejects file is kept.
    """
    if format not in FORMATS:
        raise TableError(f"format: got {format!r}, expected one of {', '.join(FORMATS)}; name one of them")
    if on_error not in ("fail", "skip"):
        raise TableError(f"on_error: got {on_error!r}, expected 'fail' or 'skip'; name one of them")
    paths, target = expand_sources(sources), Path(out)
    _check_target(target, paths)
    with open_output(target) as output, Notes(output.folder) as notes:
        _take_notes(paths, format, notes)
        run = _Run(paths, output, notes, format=format, on_error=on_error, progress=progress)
        for number in range(len(paths)):
            run.import_file(number)
        return run.finish(target)


def _check_target(out: Path, paths: Sequence[Path]) -> None:
    if out.suffix != ".parquet":
        raise TableError(f"{out}: got a table ending in {out.suffix!r}, expected '.parquet'; name it so")
    if out.is_dir() or not out.parent.is_dir():
        what = "a folder" if out.is_dir() else "a folder that does not exist"
        raise TableError(f"{out}: got {what}, expected a file to write in a folder that exists; make or name one")
    ours = {out.resolve(), rejects_path(out).resolve()}
    for path in paths:
        if path.resolve() in ours:
            raise TableError(
                f"{path}: got a source that the import would replace, expected sources apart from the table "
                "and its rejects; write the table elsewhere"
            )


class _Run:
    """The state of one import."""

    def __init__(
        self,
        paths: Sequence[Path],
        output: TableOutput,
        notes: Notes,
        *,
        format: str,  # noqa: A002 as in `import_sources`
        on_error: OnError,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._paths = paths
        self._output = output
        self._notes = notes
        self._format = format
        self._on_error = on_error
        self._progress = progress
        self._bytes_total = total_bytes(paths)
        self._bytes_before = 0
        self._seen = SeenPairs()
        self._skipped: Counter[str] = Counter()
        self._unknown: dict[str, None] = {}
        self._formats: dict[str, str] = {}
        self._first_message = ""

    def import_file(self, number: int) -> None:
        path = self._paths[number]
        source = SourceFile(path, layout_of(self._format))
        for batch in self._batches(source):
            self._finish_batch(number, batch)
            self._report(path, source.position)
        self._bytes_before += path.stat().st_size
        self._report(path, 0)

    def finish(self, out: Path) -> ImportReport:
        if not self._output.n_rows:
            raise self._nothing_left(out)
        n_prompts = self._seen.n_prompts()
        rejects = self._output.finish()
        return ImportReport(
            out=out,
            n_rows=self._output.n_rows,
            n_rejected=self._output.n_rejected,
            skipped=dict(self._skipped),
            n_prompts=n_prompts,
            n_models=len(self._output.models),
            n_with_quality=self._output.n_with_quality,
            rejects=rejects,
            unknown_columns=tuple(self._unknown),
            formats=self._formats,
        )

    # --- one batch ---

    def _batches(self, source: SourceFile) -> Iterator[_Batch]:
        batch = _Batch()
        adapter = ADAPTERS.get(self._format)
        for item in source.items():
            if adapter is None and isinstance(item, Record):
                adapter = _adapter_of(item)
            if adapter is not None:
                self._formats[str(source.path)] = adapter.name
            self._convert(batch, item, adapter, source.path)
            if batch.is_full():
                yield batch
                batch = _Batch()
        yield batch
        self._formats.setdefault(str(source.path), "unknown")

    def _convert(self, batch: _Batch, item: Item, adapter: Adapter | None, path: Path) -> None:
        batch.n_records += 1
        batch.n_bytes += item.n_bytes
        if isinstance(item, Unreadable):
            batch.rejected.append(_Rejected(item.row, [item.problem], item.raw))
            return
        try:
            # A record of an unknown format says so itself: `adapter_of` raises again.
            adapter = adapter or adapter_of(item.value)
            rows, skipped, failed = adapter.convert(item.value, Around(path, item.context, self._notes.of))
        except RecordError as exc:
            batch.rejected.append(_Rejected(item.row, [exc.problem], item.value))
            return
        batch.rejected += [_Rejected(item.row, [problem], part) for problem, part in failed]
        batch.rows += rows
        batch.places += [item.row] * len(rows)
        batch.n_bytes += _repeated_chars(rows)
        self._skipped.update(skipped)

    def _finish_batch(self, number: int, batch: _Batch) -> None:
        """Check a batch, write its good rows and deal with the bad ones."""
        path = self._paths[number]
        for row in batch.rows:
            self._complete(row, path)
        good, problems = check_batch(frame_of_rows(batch.rows))
        by_index: dict[int, list[Problem]] = {}
        for problem in problems:
            by_index.setdefault(problem.index, []).append(problem)
        kept = np.delete(np.arange(len(batch.rows)), list(by_index))
        places = np.asarray(batch.places, dtype=np.int64)
        again = self._seen.add(good, number, places[kept])
        averaged = {index for index, file, _ in again if self._are_averaged(number, file)}
        for index, file, first_row in again:
            if index in averaged:
                continue
            prompt_id, model = good["prompt_id"][index], good["model"][index]
            first = f"row {first_row}" if file == number else f"{self._paths[file]}, row {first_row}"
            by_index[int(kept[index])] = [duplicate_problem(index, prompt_id, model, first)]
        rejected = batch.rejected + [
            _Rejected(batch.places[index], found, batch.rows[index]) for index, found in by_index.items()
        ]
        self._deal_with(path, rejected)
        repeated = {index for index, _, _ in again}
        adapter = self._adapter_of_file(number)
        are_votes = adapter is not None and adapter.votes
        self._output.add(
            good.filter([index not in repeated for index in range(good.height)]) if again else good, are_votes=are_votes
        )
        self._output.add_repeats(good[sorted(averaged)], are_votes=are_votes)
        if averaged:
            self._skipped[_AVERAGED] += len(averaged)

    def _adapter_of_file(self, number: int) -> Adapter | None:
        return ADAPTERS.get(self._formats.get(str(self._paths[number]), ""))

    def _are_averaged(self, number: int, earlier: int) -> bool:
        """Whether answers to one prompt in two files (or in one) are of a tool that asks again on purpose."""
        adapter = self._adapter_of_file(number)
        return adapter is not None and adapter.averages and adapter is self._adapter_of_file(earlier)

    def _complete(self, row: Row, path: Path) -> None:
        """Fill in where a row comes from and note what the schema does not know."""
        if not row.get("source"):
            row["source"] = path.name
        extra = row.get("extra")
        if isinstance(extra, dict) and len(self._unknown) < MAX_UNKNOWN_COLUMNS:
            self._unknown.update(dict.fromkeys(extra))

    def _deal_with(self, path: Path, rejected: list[_Rejected]) -> None:
        if not rejected:
            return
        rejected.sort(key=lambda one: one.row)
        row, (problem, *_), _ = rejected[0]
        n_alike = sum(any(problem.is_like(other) for other in one.problems) for one in rejected)
        message = problem.message(path, row, n_alike=n_alike)
        if self._on_error == "fail":
            raise TableError(message)
        self._first_message = self._first_message or message
        self._output.reject([_entry(path, one) for one in rejected])

    def _nothing_left(self, out: Path) -> TableError:
        if not self._output.n_rejected:
            skipped = ", ".join(f"{number:,} {what}" for what, number in self._skipped.items()) or "no rows"
            formats = ", ".join(sorted(set(self._formats.values())))
            return TableError(
                f"{out}: got {skipped} and no outcomes in files read as {formats}, "
                "expected calls of models; check the sources, or name another --format"
            )
        rejects = self._output.keep_rejects()
        return TableError(
            f"{out}: got {self._output.n_rejected:,} rows, all of them rejected, expected a usable one; "
            f"see {rejects}; the first: {self._first_message}"
        )

    def _report(self, path: Path, position: int) -> None:
        if self._progress is not None:
            self._progress(Progress(path, self._bytes_before + position, self._bytes_total))


def _take_notes(paths: Sequence[Path], format: str, notes: Notes) -> None:  # noqa: A002 as in `import_sources`
    """Read the files whose adapters join records for the first time."""
    for path in paths:
        adapter = ADAPTERS.get(format)
        for item in SourceFile(path, layout_of(format)).items():
            if not isinstance(item, Record):
                continue  # the second pass tells what is wrong with it
            adapter = adapter or _adapter_of(item)
            if adapter is not None and adapter.notes is None:
                break
            notes.add(_notes_of(item, adapter, path, notes))


def _notes_of(record: Record, adapter: Adapter | None, path: Path, notes: Notes) -> list[Note]:
    if adapter is None or adapter.notes is None:
        return []
    try:
        return list(adapter.notes(record.value, Around(path, record.context, notes.of)))
    except RecordError:
        return []  # `convert` raises it again in the second pass


def _adapter_of(record: Record) -> Adapter | None:
    try:
        return adapter_of(record.value)
    except RecordError:
        return None


def _repeated_chars(rows: Sequence[Row]) -> int:
    """Return how much longer the rows are than the record, which has the prompt of a wide row once."""
    prompt = rows[0].get("prompt") if len(rows) > 1 else None
    return len(prompt) * (len(rows) - 1) if isinstance(prompt, str) else 0


def _entry(path: Path, rejected: _Rejected) -> dict[str, Any]:
    return {
        "file": str(path),
        "row": rejected.row,
        "column": rejected.problems[0].column or None,
        "reason": "; ".join(problem.reason for problem in rejected.problems),
        "record": rejected.record,
    }
