"""Print a benchmark in the terminal: one table, and the verdicts below it."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from router_model.pages.blocks import Cell, Column
from router_model.pages.blocks import Table as BlockTable
from router_model.training.benchmark.glossary import GLOSSARY, HEADLINE, NOT_DEFINED
from router_model.training.benchmark.margins import is_shift, shift_summary
from router_model.training.benchmark.report import tables
from router_model.training.benchmark.results import Results
from router_model.training.benchmark.verdicts import by_kind, comparisons, summary

_PREDICTION = ("aiq", "aiq_gain", "aiq_log", "auc", "log_loss")
_SAVINGS = ("perf_gain", "cost_save", "cost_save_95", "chosen_saving", "chosen_quality_kept")
_WIDE = 130
_STYLES = {"ours": "bold green", "simple": "dim", "bound": "dim"}
_MARKS = {"ahead": "green", "behind": "bold red", "noise": "dim", "best": "bold"}


def show_results(results: Results, console: Console) -> None:
    """Print the results of a benchmark for terminals of 80 or more columns.

    Rows are grouped by kind of method and ordered by AIQ. In a narrow terminal the columns are split into two tables.
    """
    wide = console.width >= _WIDE
    for keys in ((*_PREDICTION, *_SAVINGS),) if wide else (_PREDICTION, _SAVINGS):
        console.print(_metrics(results, keys))
        console.print()
    console.print(
        "Means over trials; * in some trials only; - not reached or not defined. Bold: best learned method. "
        "Saving, quality kept: of the configuration chosen on validation, against the best single model; all else "
        "is best on test. (null): the gain that shows without any knowledge of quality.",
        style="dim",
    )
    for metric in HEADLINE:
        if comparisons(results, metric):
            console.print()
            console.print(Text(f"{GLOSSARY[metric].label}, ours minus each rival", style="bold"))
            console.print(_table(tables.differences(results, metric)))
    console.print()
    for sentence in (*summary(results), *(shift_summary(results) if is_shift(results) else ())):
        console.print(Text(sentence))
    for method, reason in results.not_run.items():
        console.print(f"[yellow]not run:[/] {escape(method)}: {escape(reason)}")
    for note in notes_of_first_trial(results):
        console.print(Text(f"note: {note}", style="dim"))
    console.print(Text(leakage_line(results), style="dim"))


def notes_of_first_trial(results: Results) -> list[str]:
    """Return what is said of the first trial's prompts; the other trials' notes, much alike, are in the report."""
    names = [trial.name for trial in results.trials[:1]]
    return [note for note in results.provenance.get("notes", ()) for name in names if note.startswith(f"{name}, ")]


def leakage_line(results: Results) -> str:
    """Return one line with the counts of the leakage audit."""
    return f"leakage audit: {results.leakage.get('summary', 'none was made')}"


def _metrics(results: Results, wanted: Sequence[str]) -> Table:
    keys = tables.present(results, wanted)
    table = _empty((Column("method", numeric=False), *tables.metric_columns(keys)))
    kind = ""
    for method in by_kind(results.methods):
        if kind and method.kind != kind:
            table.add_section()
        kind = method.kind
        cells = tables.metric_cells(results, method, keys)
        row = (Cell(method.name), *(_brief(cell) for cell in cells))
        table.add_row(*(_text(cell) for cell in row), style=_STYLES.get(kind, ""))
    return table


def _brief(cell: Cell) -> Cell:
    return Cell(NOT_DEFINED, mark=cell.mark) if cell.text == "not reached" else cell


def _table(table: BlockTable) -> Table:
    shown = _empty(table.columns)
    for row in table.rows:
        shown.add_row(*(_text(cell) for cell in row.cells), style="dim" if row.kind == "simple" else "")
    return shown


def _empty(columns: Sequence[Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for column in columns:
        table.add_column(
            Text(column.head), justify="right" if column.numeric else "left", overflow="fold", vertical="bottom"
        )
    return table


def _text(cell: Cell) -> Text:
    return Text(cell.text, style=_MARKS.get(cell.mark, ""))
