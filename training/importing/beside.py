"""Read JSON files that a tool writes in the same folder as the imported file, such as the summary of an evaluation.

Such a file is held in memory as a whole. Only the few files used last are kept.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from router_model.training.importing.problems import RecordError

_KEPT: Final = 8


def _as_written(value: Any) -> Any:
    return value


def read_beside(path: Path, name: str, arrange: Callable[[Any], Any] = _as_written) -> Any:
    """Return the content of the JSON file `name` in the folder of `path`; None if the file does not exist.

    Parameters
    ----------
    path : Path
        The file that is imported.
    name : str
    arrange : callable, optional
        Function that prepares the content, called once for all records.

    Raises
    ------
    RecordError
        If the file exists and cannot be read.
    """
    file = path.with_name(name)
    return _read(file, file.stat().st_mtime_ns, arrange) if file.is_file() else None


def names_beside(path: Path) -> tuple[str, ...]:
    """Return the names of the files in the folder of `path`, sorted."""
    folder = path.parent
    return _names(folder, folder.stat().st_mtime_ns) if folder.is_dir() else ()


# The modification times are arguments so that a changed file is read again and not taken from the cache.


@lru_cache(maxsize=_KEPT)
def _read(file: Path, changed_ns: int, arrange: Callable[[Any], Any]) -> Any:
    del changed_ns
    try:
        return arrange(json.loads(file.read_bytes()))
    except (ValueError, RecursionError, OSError) as exc:
        raise RecordError(
            "", f"the file {file} beside this one, which cannot be read ({exc})", "JSON there", "write it again"
        ) from exc


@lru_cache(maxsize=_KEPT)
def _names(folder: Path, changed_ns: int) -> tuple[str, ...]:
    del changed_ns
    return tuple(sorted(file.name for file in folder.iterdir()))
