"""How objects show themselves: some lines of text at a prompt, a table in a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_TEXT_ROWS: Final = 5
_HTML_ROWS: Final = 20
_WIDTH: Final = 160
"""Longer lines of text are cut."""


class Summary(NamedTuple):
    """What an object says of itself.

    Attributes
    ----------
    head : str
        What it is, and the most important about it.
    titles : names of columns
    rows : the most important first
    notes : sentences below the table
    n_texts : so many columns, from the first, are texts; the others are numbers
    """

    head: str
    titles: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    n_texts: int = 1

    def as_text(self) -> str:
        """Return at most ten lines or so.

        >>> print(Summary("2 models", ("model", "USD"), [("a", "1.5"), ("bc", "20")], ["Prices are old."]).as_text())
        <2 models>
        model  USD
        a      1.5
        bc      20
        Prices are old.
        """
        shown = self.rows[:_TEXT_ROWS]
        cells = [self.titles, *shown] if shown else []
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        table = [
            "  ".join(
                cell.ljust(width) if place < self.n_texts else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        lines = [f"<{self.head}>", *table, *self._more(len(shown)), *self.notes]
        return "\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines)

    def as_html(self) -> str:
        """Return a table with a heading; every text is escaped.

        >>> Summary("<b>").as_html()
        '<p><strong>&lt;b&gt;</strong></p>'
        """
        shown = self.rows[:_HTML_ROWS]
        parts = [f"<p><strong>{escape(self.head)}</strong></p>"]
        if shown:
            head = self._cells("th", self.titles)
            body = "".join(f"<tr>{self._cells('td', row)}</tr>" for row in shown)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts += [f"<p>{escape(note)}</p>" for note in (*self._more(len(shown)), *self.notes)]
        return "".join(parts)

    def _cells(self, tag: str, texts: Sequence[str]) -> str:
        sides = ("left" if place < self.n_texts else "right" for place in range(len(texts)))
        return "".join(
            f'<{tag} style="text-align: {side}; padding: 0 0.5em">{escape(text)}</{tag}>'
            for text, side in zip(texts, sides, strict=True)
        )

    def _more(self, n_shown: int) -> list[str]:
        n = len(self.rows) - n_shown
        return [f"and {n:,} more"] if n else []


class Summarised(ABC):
    """An object that is shown by its `summary`."""

    __slots__ = ()

    @abstractmethod
    def summary(self) -> Summary:
        """Return what the object says of itself."""

    def __repr__(self) -> str:
        return self.summary().as_text()

    def _repr_html_(self) -> str:
        return self.summary().as_html()
