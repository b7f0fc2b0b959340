"""What commands print on a terminal: a console without colours of its own, and tables that fit and break no id.

Who copies half an id finds nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_GAP = 2


def plain_console(*, stderr: bool = False, soft_wrap: bool = False) -> "Console":
    """Open a console that colours only what is marked up; Rich would colour numbers, paths and words in quotes."""
    from rich.console import Console  # noqa: PLC0415  (--help stays fast)

    return Console(stderr=stderr, soft_wrap=soft_wrap, highlight=False)


def figures_table(subject: str, *figures: str) -> "Table":
    """Return an empty table: a column that says what a row is about, and columns of figures."""
    table = words_table(subject)
    for title in figures:
        table.add_column(title, justify="right")
    return table


def words_table(*titles: str) -> "Table":
    """Return an empty table of words."""
    from rich.table import Table  # noqa: PLC0415  (--help stays fast)

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def print_table(console: "Console", table: "Table") -> None:
    """Print a table; where it is too wide, each row's first cell gets a line of its own, above its figures.

    Examples
    --------
    >>> from rich.console import Console
    >>> table = figures_table("model", "quality", "$ per 1k")
    >>> table.add_row("meta-llama/llama-3.1-8b-instruct", "0.793", "0.0286")
    >>> print_table(Console(width=30), table)
      quality  $ per 1k
    meta-llama/llama-3.1-8b-instruct
        0.793    0.0286
    """
    from rich.measure import Measurement  # noqa: PLC0415  (--help stays fast)

    if Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width:
        console.print(table)
    else:
        _print_stacked(console, table)


def _print_stacked(console: "Console", table: "Table") -> None:
    """Print the first cell of each row, and the others below it, in columns as wide as their widest cell."""
    from rich.text import Text  # noqa: PLC0415

    def text(cell: object) -> Text:
        return cell.copy() if isinstance(cell, Text) else console.render_str(str(cell), highlight=False)

    first, *others = ([text(column.header), *map(text, column.cells)] for column in table.columns)
    widths = [max(cell.cell_len for cell in cells) for cells in others]
    styles = [str(table.header_style or ""), *(str(row.style or "") for row in table.rows)]
    for n, (name, *cells) in enumerate(zip(first, *others, strict=True)):
        if n:  # the heading of the first column says what the lines above the figures are, which is plain to see
            console.print(name, style=styles[n], soft_wrap=True)
        line = Text()
        for cell, width, column in zip(cells, widths, table.columns[1:], strict=True):
            line.append(" " * _GAP)
            cell.align("right" if column.justify == "right" else "left", width)
            line.append_text(cell)
        line.rstrip()
        if line:
            console.print(line, style=styles[n])
