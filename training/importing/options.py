"""The options of an import, as the command and the Python function take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, TypeAlias

from router_model.catalog import Catalog, ModelCard
from router_model.errors import TableError
from router_model.training.importing.adapters import FORMATS
from router_model.training.importing.columns import ColumnMapping
from router_model.training.importing.dates import DATE_ORDERS, DateOrder
from router_model.training.importing.efforts import Efforts, efforts_of
from router_model.training.importing.findings import Arguments
from router_model.training.importing.number_text import DECIMAL_MARKS, DecimalMark
from router_model.training.importing.reading import Reading, checked_words
from router_model.training.importing.scales import Scale

OnError: TypeAlias = Literal["fail", "skip"]

DEFAULT_MAX_REJECTED: Final = "5%"


@dataclass(frozen=True, slots=True)
class RejectedLimit:
    """The limit of rows of a source that may be rejected for one reason.

    Attributes
    ----------
    share : float, optional
        Share of the source's rows, 0 to 1.
    count : int, optional
        Number of rows, if there is no share.
    """

    share: float = 0.05
    count: int | None = None

    @classmethod
    def parse(cls, value: str | float) -> "RejectedLimit":
        """Read a share (``0.2``, ``20%``) or a number of rows (``500``).

        >>> RejectedLimit.parse("20%").share, RejectedLimit.parse(0.2).share, RejectedLimit.parse("500").count
        (0.2, 0.2, 500)

        Raises
        ------
        TableError
            If the value is neither.
        """
        text = str(value).strip()
        try:
            if text.isdecimal():
                return cls(count=int(text))
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise TableError(
                f"max_rejected: got {value!r}, expected a share of the rows such as 0.2 or 20%, or a number of rows; "
                "use one of these forms"
            )
        return cls(share=share)

    def __str__(self) -> str:
        return f"{self.share:g}" if self.count is None else str(self.count)

    def is_passed(self, n_rejected: int, n_rows: int) -> bool:
        """Whether so many rejected rows show that the source was read in a wrong way.

        A single bad row is always allowed, even in a source of three rows.

        >>> [RejectedLimit().is_passed(n, of) for n, of in [(1, 3), (2, 3), (1, 1), (5, 100), (6, 100)]]
        [False, True, False, False, True]
        """
        if self.count is not None:
            return n_rejected > self.count
        return n_rejected > max(1, self.share * n_rows)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options that say how sources are read.

    Attributes
    ----------
    format : str
    on_error : {"fail", "skip"}
    columns : mapping of str to sequence of str
        Fields of the sources for each of our columns.
    model : str
        The model of records that do not name one.
    reading : Reading
        How values are written.
    max_rejected : RejectedLimit
    catalog : str
        The file that says which candidates are models with an effort; empty if there is none.
    efforts : Efforts
        Of that file.
    """

    format: str = "auto"
    on_error: OnError = "fail"
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: str = ""
    reading: Reading = field(default_factory=Reading)
    max_rejected: RejectedLimit = field(default_factory=RejectedLimit)
    catalog: str = ""
    efforts: Efforts = field(default_factory=dict)

    @property
    def mapping(self) -> ColumnMapping:
        """The columns, ready to be applied."""
        return ColumnMapping(self.columns, self.reading.decimal)

    def for_own_table(self) -> "ImportOptions":
        """Return the options for a table that an import wrote: it has our schema, so only some of the options apply."""
        return replace(self, columns={}, model="", reading=Reading())

    @property
    def given(self) -> Arguments:
        """The options that differ from their defaults, as options of the command."""
        reading = self.reading
        limit = self.max_rejected
        words = ",".join(f"{word}={'' if value is None else f'{value:g}'}" for word, value in reading.words.items())
        single = {
            "--format": "" if self.format == "auto" else self.format,
            "--on-error": "" if self.on_error == "fail" else self.on_error,
            "--model": self.model,
            "--catalog": self.catalog,
            "--scale": "" if reading.scale is None else str(reading.scale),
            "--values": words,
            "--dates": reading.dates or "",
            "--decimal": reading.decimal or "",
            "--max-rejected": "" if limit == RejectedLimit() else str(limit),
        }
        columns = tuple(("--column", f"{ours}={theirs}") for ours, all_of in self.columns.items() for theirs in all_of)
        return columns + tuple((name, value) for name, value in single.items() if value)


def make_options(
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
) -> ImportOptions:
    """Check the parameters of `import_sources` and return them as options.

    Raises
    ------
    TableError, CatalogError
        If a parameter is unusable.
    """
    _check_choice("format", format, FORMATS)
    _check_choice("on_error", on_error, ("fail", "skip"))
    _check_choice("dates", dates, (None, *DATE_ORDERS))
    _check_choice("decimal", decimal, (None, *DECIMAL_MARKS))
    options = ImportOptions(
        format=format,
        on_error=on_error,
        columns={ours: [one] if isinstance(one, str) else list(one) for ours, one in (columns or {}).items()},
        model=(model or "").strip(),
        reading=Reading(
            scale=_scale_of(scale),
            words=checked_words((values or {}).items()),
            dates=dates,
            decimal=decimal,
        ),
        max_rejected=RejectedLimit.parse(max_rejected),
        catalog="" if catalog is None else str(catalog),
        efforts={} if catalog is None else _efforts(catalog),
    )
    _ = options.mapping  # raises an error for columns that are not ours
    return options


def _efforts(catalog: str | Path) -> Efforts:
    found = efforts_of(Catalog.load(catalog, look_up=_of_no_price))
    if not found:
        raise TableError(
            f"{catalog}: has no candidate with an effort, and nothing else of a catalog matters here; expected entries "
            "with model and reasoning_effort, or leave --catalog out"
        )
    return found


def _of_no_price(model: str) -> ModelCard:
    """Return a card in place of one that training would look up: prices do not matter for an import."""
    return ModelCard(model, Decimal(0), Decimal(0))


def _scale_of(scale: str | tuple[float, float] | None) -> Scale | None:
    if scale is None:
        return None
    return Scale.parse(scale if isinstance(scale, str) else ":".join(map(str, scale)))


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        named = ", ".join(str(choice) for choice in choices if choice is not None)
        raise TableError(f"{name}: got {value!r}, expected one of {named}; name one of them")
