"""What a report is made of: plain data, without markup.

Every text is escaped when the page is written. Words between backticks become code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from altair import LayerChart

Tone = Literal["good", "bad", "neutral"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `soft` ones say how something was measured, in smaller letters, `warns` ones what may mislead."""

    text: str
    soft: bool = False
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences under a heading, if there is one; numbered if their order matters."""

    items: tuple[str, ...]
    numbered: bool = False
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A figure for the first screen.

    Attributes
    ----------
    value : the figure, with its unit
    label : what it is
    detail : its interval, and what it is compared with
    tone : ``good`` or ``bad`` where it is shown to be; else ``neutral``
    """

    value: str
    label: str
    detail: str = ""
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Figures side by side."""

    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer in one sentence, and what it means in another."""

    sentence: str
    detail: str = ""
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    head : str
    meaning : explanation of the head, or nothing
    numeric : bool
        Whether the column is right-aligned.
    """

    head: str
    meaning: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
    note : explanation that is shown on demand
    mark : ``best``, ``ahead``, ``behind``, ``noise``, or nothing
    """

    text: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row; `kind` is the kind of its method, if the row is about a method."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of plain text cells; on a narrow page, each row becomes a list of its cells under their heads."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""

    @classmethod
    def of(cls, heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> "Table":
        """Return a table whose first column is text, and the others numbers."""
        columns = tuple(Column(head, numeric=place > 0) for place, head in enumerate(heads))
        return cls(columns, tuple(Row(tuple(Cell(text) for text in row)) for row in rows), caption)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart; `draw` makes it for a width in pixels."""

    draw: "Callable[[int], LayerChart]"
    caption: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Blocks side by side where there is room."""

    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that are shown on demand, and when the page is printed."""

    summary: str
    blocks: tuple["Block", ...]


Block = Paragraph | Bullets | Facts | Numbers | Verdict | Code | Table | Figure | Beside | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with a heading; the first section has none, and fills the first screen."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes
    ----------
    title : str
    lead : what was compared with what, on how much
    sections : the first is the answer
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
