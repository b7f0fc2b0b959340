"""Find the files that a list of paths, folders and patterns stands for.

Folders are searched recursively in sorted order. In folders, only files with a known suffix and JSON files without a
suffix are taken, and hidden files are not. A file that several sources name is read once.
"""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from router_model.errors import TableError
from router_model.missing_paths import no_such

COMPRESSIONS: Final = (".gz", ".zst")
CSV_SUFFIXES: Final = (".csv", ".tsv")
JSON_LINES_SUFFIXES: Final = (".jsonl", ".ndjson")
TEXT_SUFFIXES: Final = (*CSV_SUFFIXES, *JSON_LINES_SUFFIXES, ".json")
ARCHIVE_SUFFIXES: Final = (".eval",)
"""Suffixes of zip files with JSON members; an adapter declares how to read them (`importing.layout`)."""
KNOWN_SUFFIXES: Final = (
    ".parquet",
    *ARCHIVE_SUFFIXES,
    *TEXT_SUFFIXES,
    *(text + compression for text in TEXT_SUFFIXES for compression in COMPRESSIONS),
)
"""All suffixes that the importer reads."""

_INSTEAD: Final = {
    ".zip": "unpack it",
    ".tar": "unpack it",
    ".tgz": "unpack it",
    ".xz": "decompress it, as with xz -d",
    ".bz2": "decompress it, as with bzip2 -d",
    ".7z": "unpack it",
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".db": "export its table, as with sqlite3 -csv -header",
    ".sqlite": "export its table, as with sqlite3 -csv -header",
    ".arrow": "write it as Parquet",
    ".feather": "write it as Parquet",
    ".pkl": "write it as Parquet",
    ".txt": "rename it to what it holds: .csv, .jsonl or .json",
    ".log": "rename it to what it holds: .csv, .jsonl or .json",
}
"""What to do with files of other kinds."""
_KNOWN_IN_WORDS: Final = (
    f".parquet, {', '.join((*ARCHIVE_SUFFIXES, *TEXT_SUFFIXES))} (the text formats also with .gz or .zst)"
)


def kind_of(path: Path) -> tuple[str, str]:
    """Return a file's kind and compression from its name, or from its content if the name has no suffix.

    Object stores may hold JSON under names without a suffix: in a Google bucket, LiteLLM names objects by the call.

    Raises
    ------
    TableError
        If the file is of no kind that can be read.
    """
    return (".json", "") if _is_json_without_suffix(path) else split_suffix(path)


def _is_json_without_suffix(path: Path) -> bool:
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] in (b"{", b"[")


def split_suffix(path: Path) -> tuple[str, str]:
    """Return the kind and the compression of a file by the suffixes of its name.

    >>> split_suffix(Path("a.b/Log.JSONL.gz")), split_suffix(Path("table.parquet"))
    (('.jsonl', '.gz'), ('.parquet', ''))

    Raises
    ------
    TableError
        If the suffix is not one of `KNOWN_SUFFIXES`.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = suffixes[-1] if suffixes else ""
    if kind + compression not in KNOWN_SUFFIXES:
        raise TableError(
            f"{path}: got a file ending in {(kind + compression) or 'nothing'!r}, expected one of "
            f"{_KNOWN_IN_WORDS}; {_INSTEAD.get(kind, 'convert or rename it')}"
        )
    return kind, compression


def expand_sources(sources: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths, folders and patterns stand for, each once.

    Raises
    ------
    TableError
        If nothing was given, a file is missing, a folder or pattern holds nothing to read, or a suffix is
        unknown.
    """
    if not sources:
        raise TableError("got no sources, expected at least one file, folder or pattern; name one")
    found: dict[Path, Path] = {}
    for source in sources:
        for path in _expand(source):
            kind_of(path)
            found.setdefault(path.resolve(), path)
    return list(found.values())


def unread_files(sources: Sequence[str | Path]) -> list[Path]:
    """Return the files of folders that are left out for their suffix; hidden and empty ones do not count."""
    folders = [Path(source) for source in sources if Path(source).is_dir()]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if _is_visible_file(path, folder) and not _is_readable_kind(path, folder) and path.stat().st_size
    ]


def _expand(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        found, what = _files_of(path), "a folder without a file to import"
    elif path.exists():
        return [path]
    elif glob.has_magic(str(source)):
        found, what = _matches_of(str(source)), "a pattern that matches nothing to import"
    else:
        raise TableError(f"{no_such(path)} Expected a file, folder or pattern")
    if not found:
        raise TableError(f"{source}: got {what}, expected files ending in {_KNOWN_IN_WORDS}; check the path")
    return found


def _matches_of(pattern: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 may be absolute
    return [file for path in matches for file in (_files_of(path) if path.is_dir() else [path])]


def _files_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if _is_readable_kind(path, folder)]


def _is_visible_file(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _is_readable_kind(path: Path, folder: Path) -> bool:
    if not _is_visible_file(path, folder):
        return False
    return path.name.lower().endswith(KNOWN_SUFFIXES) or _is_json_without_suffix(path)


def total_bytes(paths: Iterable[Path]) -> int:
    """Return the bytes of all files together, as they lie on the disk."""
    return sum(path.stat().st_size for path in paths)
