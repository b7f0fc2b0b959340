"""The rejects file: records that the store refuses for good, and unreadable lines of the spool.

They lie next to the spool, one JSON object per line with the time, the reason and the record, so that those who run the
service can look what it was, mend it and bring it in by hand. The file is its owner's only, as records hold prompts. It
is bounded: when it is full it becomes the old one, and the old one before it goes.
"""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.decision_log.rows import Kind, Row, json_bytes

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 16 * 2**20
"""Of the file and the old one together."""
_MOST_SHOWN: Final = 65_536
"""Bytes that are kept of a record; of a longer one the beginning."""
_MOST_REASON_CHARS: Final = 500
_NOTHING: Final = "no record"
_throttle: Final = LogThrottle(60.0)


class Rejects:
    """Keeps what the store will never take; several processes may append to one file.

    Parameters
    ----------
    path : Path
        Made when it is first needed.

    Attributes
    ----------
    n : int
        Records that were rejected so far by this process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n = 0

    def add_row(self, kind: Kind, row: Row, reason: str) -> None:
        """Keep a row that the store refuses."""
        self._add(kind.value, json_bytes(row), reason)

    def add_line(self, line: bytes, reason: str) -> None:
        """Keep a line of the spool that holds no record."""
        self._add(_NOTHING, line, reason)

    def _add(self, kind: str, content: bytes, reason: str) -> None:
        self.n += 1
        if times := _throttle.due(kind):
            logger.error(
                "a record (%s) cannot be put into the log: %s; it is kept in %s (%d times)",
                kind,
                reason,
                self.path,
                times,
            )
        entry: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "kind": kind,
            "reason": reason[:_MOST_REASON_CHARS],
            "record": content[:_MOST_SHOWN].decode("utf-8", "replace"),
        }
        if len(content) > _MOST_SHOWN:
            entry["n_bytes"] = len(content)
        try:
            self._write(json_bytes(entry) + b"\n")
        except OSError as exc:
            if times := _throttle.due("unwritable"):
                logger.error("%s cannot be written, so rejected records are lost: %s (%d times)", self.path, exc, times)  # noqa: TRY400

    def _write(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and self.path.stat().st_size + len(line) > MOST_BYTES // 2:
            self.path.replace(self.path.with_suffix(".old"))
        # Appended by one write, so that the lines of several processes do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
