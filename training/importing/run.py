"""Run an import: read sources and write one table with our columns, in bounded memory.

Records are read, converted and checked in batches. Good rows are written at once into a hidden folder. At the end of a
source, when all of it has been seen, `survey` decides whether it was read correctly. If not, the rows that were written
do not count. With ``on_error="fail"``, a bad row stops the import at the end of its source, so that all problems of the
source are reported at once. With ``"skip"``, single bad rows go to the rejects file. The numbers of rows written,
rejected and skipped add up to the number of rows read; parts that were cut off a row are counted as skipped, too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from router_model.errors import TableError
from router_model.training.importing import findings
from router_model.training.importing.adapters import ADAPTERS, Adapter
from router_model.training.importing.batches import Batch, BatchReader, Rejected, open_source, take_notes
from router_model.training.importing.checks import check_batch
from router_model.training.importing.conversion import Row
from router_model.training.importing.dates import DateOrder
from router_model.training.importing.duplicates import SeenPairs, duplicate_problem
from router_model.training.importing.findings import Call, Finding
from router_model.training.importing.frames import frame_of_rows
from router_model.training.importing.notes import Notes
from router_model.training.importing.number_text import DecimalMark
from router_model.training.importing.options import DEFAULT_MAX_REJECTED, ImportOptions, OnError, make_options
from router_model.training.importing.output import (
    TableOutput,
    check_table_name,
    is_own_table,
    open_output,
    rejects_path,
)
from router_model.training.importing.problems import Problem
from router_model.training.importing.report import ImportReport, Progress, models_alike
from router_model.training.importing.sources import expand_sources, total_bytes, unread_files
from router_model.training.importing.survey import Survey, unseen_findings

MAX_UNKNOWN_COLUMNS: Final = 1_000
"""The most names of unknown columns that are listed; the values of further ones are kept too."""

_AVERAGED: Final = "answers averaged with others of the same prompt and model"
_UNGRADED: Final = "repeated calls without a grade"


def import_sources(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    format: str = "auto",  # noqa: A002 the command's option has this name
    on_error: OnError = "fail",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    scale: str | tuple[float, float] | None = None,
    values: Mapping[str, float | None] | None = None,
    model: str | None = None,
    dates: DateOrder | None = None,
    decimal: DecimalMark | None = None,
    max_rejected: str | float = DEFAULT_MAX_REJECTED,
    catalog: str | Path | None = None,
    for_prompts: bool = False,
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
        With ``auto``, the format of each file is found from its first record.
    on_error : {"fail", "skip"}
        Whether a bad row ends the import, or is written to ``<out stem>.rejects.jsonl``.
    columns : mapping of str to str, optional
        Fields of the sources for each of our columns: ``{"quality": "verdict", "prompt": "input.text"}``. A list of
        fields is tried in its order. An empty name says that there is no such field. ``took:ms`` adds a unit
        (`columns`).
    scale : (float, float) or str, optional
        The worst and the best quality of the sources, such as ``(1, 5)`` or ``"1:5"``; 0 and 1 by default.
    values : mapping of str to float or None, optional
        Qualities of words: ``{"good": 1, "bad": 0, "n/a": None}``; None is "not graded".
    model : str, optional
        The model of records that do not name one.
    dates : {"day-first", "month-first"}, optional
        Order in dates such as 03/04/2025.
    decimal : {"point", "comma"}, optional
        The mark before the decimals in numbers written as text; needed for texts such as ``1,234``.
    max_rejected : float, int or str, default "5%"
        How many rows of a source may be rejected for one reason with ``on_error="skip"``: a share (a float up to
        1, ``"20%"``) or a number of rows (an int). One bad row is always allowed, unless a number of rows is given.
    catalog : path, optional
        A catalog. Answers of a model with an effort become those of the candidate that it has of both.
    for_prompts : bool, default False
        Read what was asked, whatever came of it: all rows of a prompt and model are kept. The table is no outcome table
        then, because that has one row for each prompt and model.
    progress : callable, optional
        Called after each batch.

    Raises
    ------
    TableError
        If a source cannot be imported or is read in a wrong way, or the table cannot be written. No file has been
        changed then. If every row is rejected one by one, the rejects file is kept.
    """
    options = make_options(
        format=format,
        on_error=on_error,
        columns=columns,
        scale=scale,
        values=values,
        model=model,
        dates=dates,
        decimal=decimal,
        max_rejected=max_rejected,
        catalog=catalog,
    )
    paths, target = expand_sources(sources), Path(out)
    _check_target(target, paths)
    call = Call([str(source) for source in sources], str(out), options.given, for_prompts=for_prompts)
    with open_output(target) as output, Notes(output.folder) as notes:
        take_notes(paths, options, notes)
        run = _Run(paths, output, notes, options, call, for_prompts=for_prompts, progress=progress)
        for number in range(len(paths)):
            run.import_file(number)
        return replace(run.finish(target), unread=tuple(map(str, unread_files(sources))))


def _check_target(out: Path, paths: Sequence[Path]) -> None:
    check_table_name(out)
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
        options: ImportOptions,
        call: Call,
        *,
        for_prompts: bool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._paths = paths
        self._for_prompts = for_prompts
        self._output = output
        self._notes = notes
        self._options = options
        self._call = call
        self._progress = progress
        self._bytes_total = total_bytes(paths)
        self._bytes_before = 0
        self._seen = SeenPairs()
        self._skipped: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._n_with_effort = 0
        self._unknown: dict[str, None] = {}
        self._formats: dict[str, str] = {}
        self._first_message = ""
        self._found: dict[Path, list[Finding]] = {}
        self._fields: dict[str, None] = {}
        self._unseen = {ours for ours, _ in options.mapping.paths}
        self._is_lost = False
        """Whether writing can stop, because the import will end in an error."""

    def import_file(self, number: int) -> None:
        path = self._paths[number]
        options = self._options.for_own_table() if is_own_table(path) else self._options
        source, survey = open_source(path, options), Survey(path, options, is_joined=len(self._paths) > 1)
        reader = BatchReader(source, options, survey, self._notes, for_prompts=self._for_prompts)
        for batch in reader.batches():
            self._formats[str(path)] = "unknown" if reader.adapter is None else reader.adapter.name
            self._finish_batch(number, batch, survey)
            self._report(path, source.position)
        self._bytes_before += path.stat().st_size
        self._report(path, 0)
        self._judge(survey)

    def finish(self, out: Path) -> ImportReport:
        if self._found:
            raise TableError(findings.message(self._found, self._paths, self._call))
        if not self._output.n_rows:
            raise self._nothing_left(out)
        n_prompts = self._seen.n_prompts()
        rejects = self._output.finish()
        return ImportReport(
            out=out,
            n_rows=self._output.n_rows,
            n_rejected=self._output.n_rejected,
            skipped=dict(self._skipped),
            told=dict(self._told),
            n_prompts=n_prompts,
            n_models=len(self._output.models),
            n_with_quality=self._output.n_with_quality,
            rejects=rejects,
            unknown_columns=tuple(self._unknown),
            formats=self._formats,
            alike=models_alike(self._output.models),
            n_with_effort=self._n_with_effort if self._options.efforts else None,
        )

    # --- one batch ---

    def _finish_batch(self, number: int, batch: Batch, survey: Survey) -> None:
        """Check a batch, write its good rows, and record or reject its bad rows."""
        for row in batch.rows:
            self._complete(row, self._paths[number])
        frame = frame_of_rows(batch.rows)
        good, problems = check_batch(frame, survey.reading)
        by_index: dict[int, list[Problem]] = {}
        for problem in problems:
            by_index.setdefault(problem.index, []).append(problem)
        if not self._is_lost:
            good = self._without_repeats(number, batch, good, by_index)
        rejected = batch.rejected + [
            Rejected(batch.places[index], found, batch.rows[index]) for index, found in by_index.items()
        ]
        rejected.sort(key=lambda one: one.row)
        n_rows = len(batch.rows) + len(batch.rejected)
        survey.see_batch(frame, n_rows, ((one.row, one.problems) for one in rejected))
        self._is_lost |= bool(rejected) and self._options.on_error == "fail"
        if not self._is_lost:
            self._skipped.update(batch.skipped)
            self._told.update(batch.told)
            self._n_with_effort += batch.n_with_effort
            self._output.add(good, are_votes=self._are_votes(number))
            self._reject(self._paths[number], rejected)

    def _without_repeats(
        self, number: int, batch: Batch, good: pl.DataFrame, by_index: dict[int, list[Problem]]
    ) -> pl.DataFrame:
        """Remove rows of pairs that were seen before; a second grade of a pair is added to the problems."""
        kept = np.delete(np.arange(len(batch.rows)), list(by_index))
        places = np.asarray(batch.places, dtype=np.int64)[kept]
        again, ungraded, replaced = self._seen.add(good, number, places)
        if self._for_prompts:
            return good
        averaged = {index for index, file, _ in again if self._are_averaged(number, file)}
        for index, file, first_row in again:
            if index in averaged:
                continue
            prompt_id, model = good["prompt_id"][index], good["model"][index]
            first = f"row {first_row}" if file == number else f"{self._paths[file]}, row {first_row}"
            by_index[int(kept[index])] = [duplicate_problem(index, prompt_id, model, first)]
        if ungraded or replaced:
            self._skipped[_UNGRADED] += len(ungraded) + len(replaced)
            self._output.remove(replaced)
        if averaged:
            self._skipped[_AVERAGED] += len(averaged)
            self._output.add_repeats(good[sorted(averaged)], are_votes=self._are_votes(number))
        left_out = {index for index, _, _ in again} | set(ungraded)
        return good.filter([index not in left_out for index in range(good.height)]) if left_out else good

    def _adapter_of_file(self, number: int) -> Adapter | None:
        return ADAPTERS.get(self._formats.get(str(self._paths[number]), ""))

    def _are_votes(self, number: int) -> bool:
        adapter = self._adapter_of_file(number)
        return adapter is not None and adapter.votes

    def _are_averaged(self, number: int, earlier: int) -> bool:
        """Whether repeated answers to one prompt, in one file or two, come from a tool that asks again on purpose."""
        adapter = self._adapter_of_file(number)
        return adapter is not None and adapter.averages and adapter is self._adapter_of_file(earlier)

    def _complete(self, row: Row, path: Path) -> None:
        """Fill in the source of each row, and note the columns that the schema does not have."""
        if not row.get("source"):
            row["source"] = path.name
        extra = row.get("extra")
        if isinstance(extra, dict) and len(self._unknown) < MAX_UNKNOWN_COLUMNS:
            self._unknown.update(dict.fromkeys(extra))

    def _reject(self, path: Path, rejected: Sequence[Rejected]) -> None:
        if not rejected:
            return
        row, (problem, *_), _ = rejected[0]
        n_alike = sum(any(problem.is_like(other) for other in one.problems) for one in rejected)
        self._first_message = self._first_message or problem.message(path, row, n_alike=n_alike)
        self._output.reject([_entry(path, one) for one in rejected])

    # --- the end of a source ---

    def _judge(self, survey: Survey) -> None:
        """Decide at the end of a source whether it was read in the right way."""
        self._fields.update(survey.fields)
        self._told.update(survey.told())
        self._unseen &= survey.unseen
        found = survey.findings()
        if survey.path == self._paths[-1] and not found:
            found = unseen_findings(self._unseen, self._options, self._fields)
        if found:
            self._found[survey.path] = found
            self._is_lost = True
        elif survey.is_bad and self._options.on_error == "fail":
            told = [findings.message(self._found, self._paths, self._call)] if self._found else []
            raise TableError("\n".join([*survey.complaints(), *told]))

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


def _entry(path: Path, rejected: Rejected) -> dict[str, Any]:
    return {
        "file": str(path),
        "row": rejected.row,
        "column": rejected.problems[0].column or None,
        "reason": "; ".join(problem.reason for problem in rejected.problems),
        "record": rejected.record,
    }
