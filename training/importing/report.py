"""The messages of an import: its progress, and its result."""

from collections.abc import Iterable
from dataclasses import dataclass, field
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
    told : dict of str to int
        Numbers of rows that were read in a way that their owner should know, by what it is.
    alike : tuple of (tuple of str)
        Models that may be one under several names (`models_alike`).
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
    told: dict[str, int] = field(default_factory=dict)
    alike: tuple[tuple[str, ...], ...] = ()


def models_alike(models: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of models whose names differ only in case or in the provider before the last slash.

    >>> models_alike(["gpt-4o", "openai/GPT-4o", "gpt-4o-mini"])
    (('gpt-4o', 'openai/GPT-4o'),)
    """
    groups: dict[str, list[str]] = {}
    for model in sorted(models):
        groups.setdefault(model.rpartition("/")[2].lower(), []).append(model)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
