"""The spool: records on the local disk while the store is away, or until a whole segment has gathered.

A folder of append-only files (segments), one line a record: a CRC-32 of the record, a space, the record as JSON. A line
that a crash cut off fails its checksum and is skipped and counted. Every append is on the disk (fsync) when it
returns. A segment is locked by the process that writes or replays it, and a lock dies with its process: several
workers share a folder, and what a dead one leaves is adopted by another. The name of a segment begins with a tag of
its log, so that services with different logs may share a folder.
"""

import hashlib
import logging
import os
import sys
import time
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from router_model.serving.common.private_files import PRIVATE, PRIVATE_FOLDER
from router_model.serving.decision_log.rejects import Rejects
from router_model.serving.decision_log.rows import (
    ID_FIELD,
    TIME_FIELD,
    Batch,
    Kind,
    Row,
    json_bytes,
    row_json,
    row_of_json,
)

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 32 * 2**20
"""A segment that is larger is not appended to."""
_MOST_LINE_BYTES: Final = 256 * 2**20
_MOST_PARTS: Final = 1000
"""Of one write; Linux takes 1,024."""
_SUFFIX: Final = ".spool"
_CHECKSUM_CHARS: Final = 8


def _ignore(line: bytes, reason: str) -> None:
    """Do nothing with a line that holds no record: it is looked at, and replayed later."""


def log_tag(identity: str) -> str:
    """Return the beginning of the names of a log's segments."""
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


class Segment:
    """One file of a spool, locked by us.

    Attributes
    ----------
    path : Path
    n_records : int
    n_bytes : int
    began : float
        Monotonic time of its making or adoption, s.
    """

    def __init__(self, path: Path, descriptor: int, *, n_records: int = 0) -> None:
        self.path = path
        self.n_records = n_records
        self.n_bytes = os.fstat(descriptor).st_size
        self.began = time.monotonic()
        self._descriptor = descriptor
        self._n_rejected = 0

    @classmethod
    def make(cls, folder: Path, tag: str) -> "Segment":
        """Make an empty segment. It gets its name when it is locked, or another process would adopt it."""
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        path = folder / f"{tag}-{time.time_ns():020d}-{uuid4().hex[:12]}{_SUFFIX}"
        unnamed = path.with_suffix(".new")
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, PRIVATE)
        _lock(descriptor)
        unnamed.rename(path)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """Take a segment over, unless it has an owner or is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        # The lock comes before the look at the links: only then can no owner remove the file in between.
        if not _lock(descriptor) or not os.fstat(descriptor).st_nlink:  # its owner may have removed it meanwhile
            os.close(descriptor)
            return None
        segment = cls(path, descriptor)
        segment.n_records = sum(1 for _ in segment.lines())
        return segment

    def append(self, lines: list[bytes]) -> None:
        """Add records; they are on the disk when this returns, or none of them is.

        Raises
        ------
        OSError
            If the disk takes no more.
        """
        parts = [part for line in lines for part in (b"%08x " % zlib.crc32(line), line, b"\n")]
        try:
            # Joining long prompts would keep the interpreter's lock, and other threads would wait.
            if len(parts) <= _MOST_PARTS:
                written = os.writev(self._descriptor, parts)
            else:
                written = os.write(self._descriptor, b"".join(parts))
            os.fsync(self._descriptor)
        except OSError:
            # A part of a line would spoil the record that is appended after it, too.
            os.ftruncate(self._descriptor, self.n_bytes)
            raise
        n_bytes = sum(map(len, parts))
        if written < n_bytes:
            os.ftruncate(self._descriptor, self.n_bytes)
            raise OSError(f"{self.path}: {written} of {n_bytes} bytes were written; is the disk full?")
        self.n_bytes += n_bytes
        self.n_records += len(lines)

    def rows(self, reject: Callable[[bytes, str], object] = _ignore) -> Iterator[tuple[Kind, Row]]:
        """Yield the records that can be read; lines that hold none are said, and given to `reject` with the reason.

        A segment is read again if the store went away meanwhile; `reject` gets a line the first time only.
        """
        n_unreadable, why, n_met = 0, "", 0

        def reject_once(line: bytes, reason: str) -> None:
            nonlocal n_met
            n_met += 1
            if n_met > self._n_rejected:
                self._n_rejected = n_met
                reject(line, reason)

        for line in self.lines(reject_once):
            try:
                yield row_of_json(line)
            except ValueError as exc:
                n_unreadable += 1
                why = why or str(exc)
                reject_once(line, f"it cannot be read by this version: {exc}")
        if n_unreadable:
            logger.warning(
                "%s: a record that this version cannot read is skipped: %s (%d of them)",
                self.path.name,
                why,
                n_unreadable,
            )

    def lines(self, reject: Callable[[bytes, str], object] = _ignore) -> Iterator[bytes]:
        """Yield the records as JSON; damaged lines are skipped, counted, said, and given to `reject`."""
        n_damaged = 0
        for line in _lines_of(self.path):
            checksum, record = line[:_CHECKSUM_CHARS], line[_CHECKSUM_CHARS + 1 : -1]
            if line.endswith(b"\n") and checksum == b"%08x" % zlib.crc32(record):
                yield record
            else:
                n_damaged += 1
                reject(line, "the line in the spool is damaged, or a crash cut it off")
        if n_damaged:
            logger.warning("%s: %d damaged lines skipped (cut off by a crash)", self.path.name, n_damaged)

    def remove(self) -> None:
        """Delete the file and let go of it."""
        # Deleted before the lock is given up, or another process would adopt it and replay it again.
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let go of the file; another process may adopt it."""
        os.close(self._descriptor)


class Spool:
    """The segments of one log in a folder that are ours.

    Parameters
    ----------
    folder : Path
        Made when it is first needed.
    tag : str
        Of the log, see `log_tag`.

    Attributes
    ----------
    rejects : Rejects
        Of the same log, in the same folder.
    """

    def __init__(self, folder: Path, tag: str) -> None:
        self.folder = folder
        self.rejects = Rejects(folder / f"{tag}-rejects.jsonl")
        self.tag = tag
        self.active: Segment | None = None
        self.sealed: deque[Segment] = deque()
        self.guards: list[Segment] = []

    @property
    def depth(self) -> int:
        """Records that lie in our segments."""
        return sum(segment.n_records for segment in self._ours())

    def append(self, batch: Batch) -> None:
        """Add records to the active segment.

        Raises
        ------
        OSError
            If the disk takes no more.
        """
        if self.active is None:
            self.active = Segment.make(self.folder, self.tag)
        self.active.append(_lines(batch))
        if self.active.n_bytes >= SEGMENT_BYTES:
            self.seal()

    def seal(self) -> None:
        """Append no more to the active segment: it is to be replayed."""
        if self.active is not None:
            self.sealed.append(self.active)
            self.active = None

    def guard(self, batch: Batch) -> Segment:
        """Put records that are on their way to the store into a segment of their own, in case they do not arrive.

        Raises
        ------
        OSError
            If the disk takes no more.
        """
        segment = Segment.make(self.folder, self.tag)
        try:
            segment.append(_lines(batch))
        except OSError:
            segment.remove()
            raise
        self.guards.append(segment)
        return segment

    def settle_guard(self, segment: Segment, *, arrived: bool) -> None:
        """Drop a guard whose records arrived; replay it otherwise."""
        self.guards.remove(segment)
        if arrived:
            segment.remove()
        else:
            self.sealed.append(segment)

    def adopt(self) -> int:
        """Take over what dead processes left, oldest first; return the number of records."""
        adopted = [segment for segment in map(Segment.adopt, self._others()) if segment is not None]
        for segment in adopted:
            logger.info(
                "%s: adopted, with %d records of a process that has ended", segment.path.name, segment.n_records
            )
        # They are older than this process's records, so they are replayed first.
        self.sealed.extendleft(reversed(adopted))
        return sum(segment.n_records for segment in adopted)

    def finish(self, segment: Segment) -> None:
        """Remove a segment that has been replayed."""
        self.sealed.remove(segment)
        segment.remove()

    def find(self, kind: Kind, row_id: str) -> Row | None:
        """Look a record up in our segments; of several the newest."""
        return max(self.having(kind, ID_FIELD[kind], [row_id]), key=lambda row: row[TIME_FIELD[kind]], default=None)

    def having(self, kind: Kind, field: str, texts: Collection[str]) -> Iterator[Row]:
        """Yield the records of a kind in our segments whose field is one of some texts, oldest segments first."""
        # Searching the bytes for one text is cheaper than parsing every line; for many it is not.
        needle = json_bytes(next(iter(texts))) if len(texts) == 1 else json_bytes(kind)
        for segment in self._ours():
            for line in segment.lines():
                with suppress(ValueError):  # a line without a record is rejected later, when it is replayed
                    if needle in line and (read := row_of_json(line))[0] is kind and read[1].get(field) in texts:
                        yield read[1]

    def n_waiting_elsewhere(self) -> int:
        """Count the records in segments that running processes hold."""
        return sum(1 for path in self._others() for _ in _lines_of(path))

    def close(self) -> None:
        """Let go of every segment; empty ones go."""
        self.seal()
        for segment in [*self.sealed, *self.guards]:
            if segment.n_records:
                segment.release()
            else:
                segment.remove()
        self.sealed.clear()
        self.guards.clear()

    def _ours(self) -> list[Segment]:
        """Return our segments, oldest first; callable from any thread, as counters are read from another one."""
        active = self.active
        return [*self.sealed, *self.guards, *([] if active is None else [active])]

    def _others(self) -> list[Path]:
        ours = {segment.path for segment in self._ours()}
        return sorted(path for path in self.folder.glob(f"{self.tag}-*{_SUFFIX}") if path not in ours)


def _lines(batch: Batch) -> list[bytes]:
    return [row_json(kind, row) for kind, rows in batch.items() for row in rows]


def _lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, in pieces if they are too long for a record; none of a file that is gone.

    The records of a file that is gone are in the store.
    """
    try:
        with path.open("rb") as file:
            while line := file.readline(_MOST_LINE_BYTES):
                yield line
    except FileNotFoundError:
        return


if sys.platform == "win32":

    def _lock(descriptor: int) -> bool:
        """Lock the first byte; without it two workers would replay one segment, which changes nothing but costs."""
        import msvcrt  # noqa: PLC0415

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock(descriptor: int) -> bool:
        """Lock a file for this process alone; False if another one has it."""
        import fcntl  # noqa: PLC0415

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
