"""The journal of paid calls: what was asked, what came of it, and what it cost, in one SQLite file.

A call is written down with its reserved money before it is sent, and with its outcome after. Both are synced to the
disk before anything else happens. So a process that is killed at any moment leaves three kinds of calls: not sent,
done, and sent without an outcome. Those of the last kind are found when the file is opened again. Their answers are
lost, but they may have been billed, so all that was reserved for them counts as spent.

The budget is for the whole journal, whichever run spends it. What is spent and reserved never exceeds it together, so
calls at the same time cannot overspend it. `router_model.serving.access.ledger` does the same for keys, whose
reservations expire; here they must not.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from router_model.errors import RouterModelError
from router_model.serving.access.key_budget import nanos
from router_model.serving.common.private_files import make_private
from router_model.serving.paid_calls.calls import CallOutcome, PaidCall

VERSION: Final = 1
_SCHEMA: Final = """CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, id TEXT NOT NULL, model TEXT NOT NULL, reserved INTEGER NOT NULL DEFAULT 0,
    spent INTEGER NOT NULL DEFAULT 0, n_lost INTEGER NOT NULL DEFAULT 0, outcome BLOB
)"""
_BEGIN: Final = """INSERT INTO calls (key, id, model, reserved) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET reserved = excluded.reserved"""
_FINISH: Final = "UPDATE calls SET reserved = 0, spent = spent + ?, outcome = ? WHERE key = ?"
_LOSE: Final = "UPDATE calls SET reserved = 0, spent = spent + ?, n_lost = n_lost + 1 WHERE key = ?"
_SPENT: Final = "SELECT coalesce(sum(spent), 0) FROM calls"
_LOST: Final = "SELECT count(*), coalesce(sum(reserved), 0) FROM calls WHERE reserved > 0"
_COUNT_LOST: Final = "UPDATE calls SET spent = spent + reserved, reserved = 0, n_lost = n_lost + 1 WHERE reserved > 0"


class JournalError(RouterModelError):
    """Raise when a journal cannot be used: it is damaged, of another version, or in use."""


class Journal:
    """Keeps the calls of one file; for one process and one thread at a time.

    Parameters
    ----------
    path : Path
        Made if there is none, for its owner's eyes only: answers are in it.
    budget : nano-USD
        Of all runs together.
    is_read_only : bool, default False
        Only look: calls whose answers a kill has lost count as spent, and the next run still finds them.

    Attributes
    ----------
    spent, reserved : nano-USD
    n_lost : int
        Calls of earlier runs whose answers were lost, because the process was killed: found now.
    lost : nano-USD
        What these count as.

    Raises
    ------
    JournalError
        If the file cannot be used.
    """

    def __init__(self, path: Path, budget: int, *, is_read_only: bool = False) -> None:
        self._path = path
        self.budget = budget
        self.reserved = 0
        try:
            make_private(path)
            self._connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            try:
                self._prepare()
                self.n_lost, self.lost = self._connection.execute(_LOST).fetchone()
                (before,) = self._connection.execute(_SPENT).fetchone()
                self.spent: int = before + self.lost
                self._connection.execute("PRAGMA query_only = ON" if is_read_only else _COUNT_LOST)
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            raise JournalError(self._why(exc)) from exc
        self._held: dict[str, int] = {}

    def _prepare(self) -> None:
        execute = self._connection.execute
        # The lock is held until the file is closed, or the process ends in whatever way.
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        (found,) = execute("PRAGMA user_version").fetchone()
        if found not in {0, VERSION}:
            raise sqlite3.DatabaseError(f"it has version {found}; expected {VERSION}")
        execute(_SCHEMA)
        execute(f"PRAGMA user_version = {VERSION}")

    def _why(self, exc: Exception) -> str:
        if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
            return f"{self._path}: another process asks models with this journal; wait until it has ended"
        return (
            f"{self._path}: cannot be used as the journal of paid calls ({exc}); expected a file that an earlier run "
            "wrote, or none, in a folder that can be written to"
        )

    @property
    def left(self) -> int:
        """What is neither spent nor reserved, in nano-USD; not negative."""
        return max(self.budget - self.spent - self.reserved, 0)

    def outcome(self, call: PaidCall) -> CallOutcome | None:
        """Return what came of a call when it was last asked; None if nothing did."""
        row = self._connection.execute("SELECT outcome FROM calls WHERE key = ?", (call.key,)).fetchone()
        return None if row is None or row[0] is None else CallOutcome.loads(row[0])

    def paid_keys(self) -> Iterator[str]:
        """Yield the keys of all calls that have cost something, also those that nobody asks for now."""
        yield from (key for (key,) in self._connection.execute("SELECT key FROM calls WHERE spent > 0"))

    def begin(self, call: PaidCall, amount: int) -> bool:
        """Write down that a call is about to be sent; False if its greatest cost is more than is left.

        Parameters
        ----------
        amount : nano-USD
        """
        if amount > self.left:
            return False
        self._execute(_BEGIN, call.key, call.id, call.model, amount)
        self._held[call.key] = amount
        self.reserved += amount
        return True

    def extend(self, call: PaidCall, amount: int) -> bool:
        """Reserve more for a call under way, so that it may cost `amount` in all; False if less is left."""
        more = amount - self._held[call.key]
        if more <= 0:
            return True
        if more > self.left:
            return False
        self._execute("UPDATE calls SET reserved = ? WHERE key = ?", amount, call.key)
        self._held[call.key] = amount
        self.reserved += more
        return True

    def finish(self, call: PaidCall, outcome: CallOutcome, spent_usd: float | None) -> None:
        """Write down what came of a call, and what it cost; None: all that was reserved."""
        self._execute(_FINISH, self._settle(call, spent_usd), outcome.dumps(), call.key)

    def lose(self, call: PaidCall, spent_usd: float | None) -> None:
        """Write down that a call was given up, and what it may have cost; None: all that was reserved."""
        self._execute(_LOSE, self._settle(call, spent_usd), call.key)

    def release(self, call: PaidCall) -> None:
        """Free what is still reserved for a call that was not sent."""
        if call.key in self._held:
            self._execute("UPDATE calls SET reserved = 0 WHERE key = ?", call.key)
            self._settle(call, 0.0)

    def _settle(self, call: PaidCall, spent_usd: float | None) -> int:
        held = self._held.pop(call.key)
        spent = held if spent_usd is None else nanos(spent_usd)
        self.reserved -= held
        self.spent += spent
        return spent

    def _execute(self, statement: str, *values: object) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as exc:
            raise JournalError(self._why(exc)) from exc

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
