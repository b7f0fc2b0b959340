"""Make files that only their owner can read, because they hold prompts, callers and amounts of money."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_BESIDE_SQLITE: Final = ("-wal", "-shm", "-journal")


def make_private(path: Path) -> None:
    """Make a database's file that only its owner reads, or take the right to read it from everybody else.

    SQLite gives its side files the same rights when it makes them; existing ones are changed, too. A file
    of another owner is left as it is, which is logged.

    Raises
    ------
    OSError
        If it cannot be made, or is a folder or a device, whose rights are not ours to change.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: not a regular file")
    # An existing file keeps its rights here, so they are checked below.
    path.touch(mode=PRIVATE)
    for one in (path, *(path.with_name(path.name + suffix) for suffix in _BESIDE_SQLITE)):
        try:
            if os.name == "posix" and stat.S_IMODE(one.stat().st_mode) & 0o077:
                one.chmod(PRIVATE)
        # SQLite makes its side files only when it needs them.
        except FileNotFoundError:
            continue
        except PermissionError:
            logger.warning(
                "%s: others can read it, and this user may not change that; its owner should run: chmod 600 %s",
                one,
                one,
            )


@contextmanager
def making_private() -> Iterator[None]:
    """Let only the owner read the files and folders that are made meanwhile.

    This holds for the whole process, so it is for commands; a service makes each of its files private.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
