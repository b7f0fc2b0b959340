"""Join information about one outcome that a tool writes in several records.

Some tools describe one call in several records or even files: spans and their evaluations, or the requests of a batch
and its answers. If an adapter declares `notes`, all its files are read twice. In the first pass, its records leave
notes under a key, such as the id of a call. In the second pass, `convert` looks up the notes under the key of its
record. Notes are stored on disk, so that memory stays bounded.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from router_model.errors import TableError

_NOTES_A_WRITE: Final = 1_000


class Note(NamedTuple):
    """A fact, and the key of the outcome that it belongs to.

    Attributes
    ----------
    key : str
        Begins with the name of the format, because all formats share one store: ``"otel:5b8e:0515"``.
    value : Any
        Any value that JSON can hold.
    """

    key: str
    value: Any


class Notes:
    """Notes of all files of an import; empty until some are added.

    Parameters
    ----------
    folder : Path
        Folder for the notes; the caller removes it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Notes(Path(folder)) as notes:
    ...     notes.add([Note("a", 1), Note("b", {"x": 2}), Note("a", 3)])
    ...     notes.of("a"), notes.of("c")
    ([1, 3], [])
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notes.sqlite"
        self._database: sqlite3.Connection | None = None
        self._pending: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()

    def add(self, notes: Iterable[Note]) -> None:
        """Store notes, in their order."""
        self._pending += [(key, json.dumps(value, default=str)) for key, value in notes]
        if len(self._pending) >= _NOTES_A_WRITE:
            self._write()

    def of(self, key: str) -> list[Any]:
        """Return the values under a key in the order in which they came."""
        self._write()
        if self._database is None:
            return []
        with self._mapped_errors():
            found = self._database.execute("SELECT value FROM notes WHERE key = ? ORDER BY number", (key,))
            return [json.loads(value) for (value,) in found]

    def _write(self) -> None:
        if not self._pending:
            return
        with self._mapped_errors():
            if self._database is None:
                self._database = _new_database(self._path)
            self._database.executemany("INSERT INTO notes (key, value) VALUES (?, ?)", self._pending)
        self._pending = []

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise TableError(
                f"{self._path}: got an error of SQLite ({exc}), expected to keep notes there while importing; "
                "check the space left"
            ) from exc


def _new_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    # The notes need not survive a crash, because the folder is deleted at the end of the import.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE notes (number INTEGER PRIMARY KEY, key TEXT, value TEXT)")
    database.execute("CREATE INDEX notes_by_key ON notes (key)")
    return database
