"""Files by their path or their URI: every place that fsspec knows, without fsspec for those of this machine."""

import shutil
from pathlib import Path
from typing import Any, Final

from router_model.errors import TableError
from router_model.install_line import install_line

_PATTERN: Final = frozenset("*?[")


def is_uri(place: str) -> bool:
    """Return whether a place is named by a URI.

    >>> is_uri("s3://bucket/outcomes"), is_uri("outcomes/day.parquet")
    (True, False)
    """
    return "://" in place


def is_pattern(place: str) -> bool:
    """Return whether a place has marks that stand for several names."""
    return bool(_PATTERN & set(place))


def files_at(uri: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return the URIs of the files in a folder, or that a pattern or a file's name stands for, sorted.

    Hidden files are left out, and those whose names end otherwise.

    Raises
    ------
    TableError
        If the place cannot be reached.
    """
    files, root = _file_system(uri)
    try:
        found = files.glob(root) if is_pattern(root) else files.find(root)
    except OSError as exc:
        raise TableError(f"{uri}: cannot be reached ({type(exc).__name__}: {exc})") from exc
    kept = (path for path in found if path.endswith(suffixes) and not path.rpartition("/")[2].startswith("."))
    return sorted(files.unstrip_protocol(path) for path in kept)


def read_bytes(place: str) -> bytes:
    """Return the content of a file."""
    if not is_uri(place):
        return Path(place).read_bytes()
    files, path = _file_system(place)
    data: bytes = files.cat_file(path)
    return data


def fetch(uri: str, folder: Path) -> Path:
    """Copy a file into a folder of this machine, under its own name."""
    files, path = _file_system(uri)
    target = folder / path.rpartition("/")[2]
    files.get_file(path, str(target))
    return target


def put(file: Path, folder: str) -> None:
    """Copy a file of this machine into a folder, under its own name; it has the name once it is complete.

    In an object store that is so by itself. Elsewhere it is copied under another name first.
    """
    if is_uri(folder):
        files, root = _file_system(folder)
        files.makedirs(root, exist_ok=True)
        files.put_file(str(file), f"{root}/{file.name}")
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    unfinished = Path(folder) / f".{file.name}.unfinished"
    shutil.copyfile(file, unfinished)
    unfinished.replace(Path(folder) / file.name)


def _file_system(uri: str) -> tuple[Any, str]:
    try:
        import fsspec  # noqa: PLC0415  (only URIs need it)
    except ImportError as exc:
        raise TableError(f"{uri} needs fsspec: {install_line('s3')}, or fsspec and its package") from exc
    try:
        files, root = fsspec.url_to_fs(uri)
    except (ImportError, ValueError) as exc:
        raise TableError(f"{uri}: {exc}. For s3://: {install_line('s3')}") from exc
    return files, root
