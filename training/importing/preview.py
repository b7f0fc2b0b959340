"""Show the first rows of sources as an import would read them, without writing anything.

One simplification: only the first batch of the first files is read. A scale that shows only later in a file is noticed
by the import alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from router_model.training.importing import findings
from router_model.training.importing.batches import Batch, BatchReader, open_source, take_notes
from router_model.training.importing.checks import check_batch
from router_model.training.importing.findings import Call, Finding
from router_model.training.importing.frames import frame_of_rows
from router_model.training.importing.notes import Notes
from router_model.training.importing.options import ImportOptions
from router_model.training.importing.output import is_own_table
from router_model.training.importing.problems import Problem
from router_model.training.importing.sources import expand_sources
from router_model.training.importing.survey import Survey

_MAX_FILES: Final = 3
_ROWS_SHOWN: Final = 3  # of each file


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """One row as an import would read it.

    Attributes
    ----------
    row : int
        Row of the source.
    values : dict of str to object
        Values of our columns; empty if the row cannot be read.
    problems : tuple of str
        The problems of the row, in words.
    """

    row: int
    values: dict[str, Any]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of the first files.

    Attributes
    ----------
    files : tuple of (Path, str, tuple of PreviewedRow)
        The path, format and rows of each file.
    n_more_files : int
        Number of files that were not read.
    objection : str
        Why the import would stop, as far as these rows show; empty if they show no reason.
    """

    files: tuple[tuple[Path, str, tuple[PreviewedRow, ...]], ...]
    n_more_files: int
    objection: str


def preview_sources(sources: Sequence[str | Path], options: ImportOptions, *, out: str = "") -> Preview:
    """Read the first rows of sources.

    Parameters
    ----------
    sources : sequence of paths
        Files, folders and glob patterns.
    options : ImportOptions
        From `options.make_options`, which takes the parameters of `import_sources`.
    out : str, optional
        The table that the import would write; used in the proposed command.

    Raises
    ------
    TableError
        If the sources do not exist.
    """
    paths = expand_sources(sources)
    files: list[tuple[Path, str, tuple[PreviewedRow, ...]]] = []
    found: dict[Path, list[Finding]] = {}
    with TemporaryDirectory() as folder, Notes(Path(folder)) as notes:
        take_notes(paths[:_MAX_FILES], options, notes)
        for path in paths[:_MAX_FILES]:
            own = options.for_own_table() if is_own_table(path) else options
            survey = Survey(path, own, is_joined=len(paths) > 1)
            reader = BatchReader(open_source(path, own), own, survey, notes)
            (batch,) = islice(reader.batches(), 1)
            rows = _rows_of(batch, path, survey, _ROWS_SHOWN)
            files.append((path, "unknown" if reader.adapter is None else reader.adapter.name, rows))
            of_file = survey.findings()
            if of_file:
                found[path] = of_file
    call = Call([str(source) for source in sources], out, options.given)
    objection = findings.message(found, paths, call) if found else ""
    return Preview(tuple(files), max(len(paths) - _MAX_FILES, 0), objection)


def _rows_of(batch: Batch, path: Path, survey: Survey, n_rows: int) -> tuple[PreviewedRow, ...]:
    """Check a batch and return its first rows, good or bad."""
    frame = frame_of_rows(batch.rows)
    good, problems = check_batch(frame, survey.reading)
    by_index: dict[int, list[Problem]] = {}
    for problem in problems:
        by_index.setdefault(problem.index, []).append(problem)
    rejected = [(batch.places[index], found) for index, found in by_index.items()]
    rejected += [(one.row, one.problems) for one in batch.rejected]
    survey.see_batch(frame, len(batch.rows) + len(batch.rejected), rejected)
    places = [place for index, place in enumerate(batch.places) if index not in by_index]
    rows = [
        PreviewedRow(place, {name: value for name, value in row.items() if value is not None})
        for place, row in zip(places[:n_rows], good.head(n_rows).iter_rows(named=True), strict=True)
    ]
    rows += [PreviewedRow(row, {}, tuple(one.message(path, row) for one in found)) for row, found in rejected[:n_rows]]
    return tuple(sorted(rows, key=lambda row: row.row)[:n_rows])
