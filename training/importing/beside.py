"""JSON files that a tool writes beside the one that is read, such as the summary of an evaluation.

Simplifies: such a file is held in memory, the last few of them at a time.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from training.importing.problems import RecordError

_FILES_KEPT: Final = 4


def read_beside(path: Path, name: str) -> Any:
    """Return what the JSON file `name` in the folder of `path` holds; None if there is no such file.

    Raises
    ------
    RecordError
        If the file is there and cannot be read.
    """
    file = path.with_name(name)
    return _parsed(file, file.stat().st_mtime_ns) if file.is_file() else None


@lru_cache(maxsize=_FILES_KEPT)
def _parsed(file: Path, changed_ns: int) -> Any:
    """Read a file; `changed_ns` makes a file that was written anew a new one."""
    del changed_ns
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError, OSError) as exc:
        raise RecordError(
            "", f"the file {file} beside this one, which cannot be read ({exc})", "JSON there", "write it again"
        ) from exc
