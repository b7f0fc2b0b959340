"""The messages of an import: its progress, and its result."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an import.

    Attributes
    ----------
    path : Path
        The file being read.
    bytes_read, bytes_total : int
        Bytes of all files as they are on disk, compressed ones as they are.
    """

    path: Path
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import.

    Attributes
    ----------
    out : Path
        The table.
    n_rows : int
        Rows written.
    n_rejected : int
        Rows rejected.
    skipped : dict of str to int
        Numbers of parts of the sources that were left out on purpose, by their kind: "spans of other operations".
    n_prompts, n_models, n_with_quality : int
    rejects : Path or None
        The file with the rejected rows.
    unknown_columns : tuple of str
        Fields that the schema does not have; they are kept in `extra`.
    formats : dict of str to str
        The format of each file; ``unknown`` if no record of it could be read.
    n_with_effort : int or None
        Answers that were given to a candidate with an effort; None if no catalog was given.
    unread : tuple of str
        Files in the folders that were not read, as their suffixes are of no kind that the importer reads.
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
    n_with_effort: int | None = None
    unread: tuple[str, ...] = ()
