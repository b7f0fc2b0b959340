"""The messages of an import: its progress, and its result."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is.

    Attributes
    ----------
    path : Path
        The file being read.
    bytes_read, bytes_total : int
        Of all files, as they lie on the disk.
    """

    path: Path
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes
    ----------
    out : Path
        The table.
    n_rows : int
        Rows written.
    n_rejected : int
        Rows set aside; with `n_rows` they are all rows read.
    skipped : dict of str to int
        How many parts of the sources were left out on purpose, by what they are: "spans of other operations".
    n_prompts, n_models, n_with_quality : int
    rejects : Path or None
        Where the rejected rows are.
    unknown_columns : tuple of str
        Fields the schema does not know, kept in `extra`.
    formats : dict of str to str
        The format of each file; ``unknown`` where not even one record could be read.
    """

    out: Path
    n_rows: int
    n_rejected: int
    skipped: dict[str, int]
    n_prompts: int
    n_models: int
    n_with_quality: int
    rejects: Path | None
    unknown_columns: tuple[str, ...]
    formats: dict[str, str]
