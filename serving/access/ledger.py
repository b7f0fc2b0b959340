"""The ledger: what was spent and what calls under way may still cost, in one SQLite file for all workers.

Each step is one short transaction that holds SQLite's write lock: two workers can never reserve the same money, and a
process that is killed leaves either all of a step or nothing of it. No step waits for a disk, because a
call would have to wait, too: a step takes about 50 microseconds (docs/access.md). The data outlives the process,
because the operating system holds it. From time to time a thread syncs the file to the disk, so a power failure loses
about the last thousand steps at most. Damage from a power failure is found when the file is opened.

Amounts are nano-USD (`router_model.serving.access.key_budget`). What was spent is kept by day, so that a budget whose
period is changed still counts what it should.
"""

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from router_model.errors import RouterModelError
from router_model.serving.common.private_files import make_private

logger = logging.getLogger(__name__)

VERSION: Final = 1
SHARE: Final = Fraction(3, 4)
"""The largest share of an account's unspent money that one sharer may reserve; a quarter is left for the others."""
SYNC_EVERY: Final = 1000
"""Steps between two syncs of the file to the disk."""

_BUSY_PAUSE_S: Final = 0.02
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS spent (
        account TEXT, day INTEGER, nano_usd INTEGER NOT NULL, PRIMARY KEY (account, day)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS reserved (
        account TEXT, id INTEGER, day INTEGER NOT NULL, nano_usd INTEGER NOT NULL, expires_at REAL NOT NULL,
        PRIMARY KEY (account, id)
    ) WITHOUT ROWID""",
)
_SPENT: Final = "SELECT coalesce(sum(nano_usd), 0) FROM spent WHERE account = ? AND day >= ?"
_RESERVED: Final = "SELECT coalesce(sum(nano_usd), 0) FROM reserved WHERE account = ? AND day >= ?"
_EXPIRE: Final = "DELETE FROM reserved WHERE account = ? AND expires_at <= ?"
_RESERVE: Final = "INSERT INTO reserved VALUES (?, ?, ?, ?, ?)"
_KEEP: Final = "UPDATE reserved SET nano_usd = ? WHERE account = ? AND id = ?"
_FREE: Final = "DELETE FROM reserved WHERE account = ? AND id = ?"
_SPEND: Final = """INSERT INTO spent VALUES (?, ?, ?)
    ON CONFLICT (account, day) DO UPDATE SET nano_usd = nano_usd + excluded.nano_usd"""


class LedgerError(RouterModelError):
    """Raise when the ledger's file cannot be used now."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account: its owner and its limit.

    Attributes
    ----------
    name : str
        Id of a key, or a reserved name.
    limit : nano-USD
    since : int
        The first day that counts, as `date.toordinal`.
    share_of : str or None
        Name of an account that several share. Then nothing is spent in this one: it only holds what one of them has
        reserved there, at most `SHARE` of what is not spent; `limit` is not read.
    """

    name: str
    limit: int
    since: int
    share_of: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The state of an account, in nano-USD.

    Attributes
    ----------
    limit, spent, reserved
    """

    limit: int
    spent: int
    reserved: int

    @property
    def remaining(self) -> int:
        """The amount that is neither spent nor reserved; not negative."""
        return max(self.limit - self.spent - self.reserved, 0)


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that is reserved, the same amount in each of its accounts.

    Attributes
    ----------
    id : int
    accounts : names
    day : int
        The day that it counts for, also once it is spent.
    amount : nano-USD
    shares : names
        The accounts that only reserve, and never spend.
    """

    id: int
    accounts: tuple[str, ...]
    day: int
    amount: int
    shares: tuple[str, ...] = ()


class Ledger:
    """Keeps the accounts of one file; can be used from any thread.

    Parameters
    ----------
    path : made if there is none
    wait_s : float
        Longest time to wait for other workers.

    Raises
    ------
    LedgerError
        If the file cannot be opened, is damaged, or is of another version.
    """

    def __init__(self, path: Path, *, wait_s: float = 1.0) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._n_steps = 0
        self._unsettled: list[tuple[Hold, int]] = []
        try:
            # Before SQLite opens it, because SQLite gives its side files the rights of this one.
            make_private(path)
            # `_transaction` begins transactions itself, and `_lock` keeps the threads apart.
            self._connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(wait_s)
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            raise LedgerError(
                f"{path}: cannot be used for budgets ({exc}); expected a folder that can be written to on a local "
                "disk, which holds the file that the service wrote before, or no such file"
            ) from exc

    def _prepare(self, wait_s: float) -> None:
        execute = self._connection.execute
        self._write_ahead(wait_s)
        execute("PRAGMA synchronous = OFF")
        # A checkpoint waits for the disk, so `_sync` makes them in its own thread.
        execute("PRAGMA wal_autocheckpoint = 0")
        (found,) = execute("PRAGMA user_version").fetchone()
        if found not in {0, VERSION}:
            raise sqlite3.DatabaseError(f"it has version {found}; expected {VERSION}")
        # Steps are not synced to the disk, so a power failure may have damaged the file.
        (state,) = execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {state}")
        with self._transaction():
            for statement in _SCHEMA:
                execute(statement)
            execute(f"PRAGMA user_version = {VERSION}")

    def _write_ahead(self, wait_s: float) -> None:
        """Switch the file to WAL, with retries: SQLite ignores its timeout here if another worker switches it, too."""
        give_up_at = time.monotonic() + wait_s
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(_BUSY_PAUSE_S)

    def reserve(
        self, accounts: Sequence[Account], amount: int, *, day: int, now: float, expires_at: float
    ) -> tuple[Hold | None, list[Balance]]:
        """Reserve an amount in all accounts, or in none.

        Parameters
        ----------
        accounts : one that is a share of another comes after it
        amount : nano-USD
        day : `date.toordinal`
        now, expires_at : seconds since 1970
            A reservation that still exists when it expires no longer counts.

        Returns
        -------
        Hold or None
            None if some account has less than the amount.
        list of Balance
            Of each account, without this reservation.

        Raises
        ------
        LedgerError
            If the file cannot be used now; nothing is reserved then.
        """
        names = tuple(account.name for account in accounts)
        shares = tuple(account.name for account in accounts if account.share_of is not None)
        # A random id, because workers have no counter in common; 63 bits fit SQLite's integers.
        hold = Hold(secrets.randbits(63), names, day, amount, shares)
        with self._step():
            balances = self._balances(accounts, now)
            if any(one.spent + one.reserved + amount > one.limit for one in balances):
                return None, balances
            rows = ((name, hold.id, day, amount, expires_at) for name in hold.accounts)
            self._connection.executemany(_RESERVE, rows)
        return hold, balances

    def go_on(self, hold: Hold, spent: int, left: int) -> Hold:
        """Record what was spent of a reservation since the last time, and keep the rest reserved.

        Parameters
        ----------
        spent, left : nano-USD

        Raises
        ------
        LedgerError
            If the file cannot be used now; nothing is recorded then.
        """
        with self._step():
            for name in hold.accounts:
                self._connection.execute(_KEEP, (left, name, hold.id))
            self._spend(hold, spent)
        return replace(hold, amount=left)

    def settle(self, hold: Hold, spent: int) -> None:
        """End a reservation, even an expired one, and record what was really spent, in nano-USD.

        `spent` excludes what `go_on` recorded before; it is negative if that was too much.

        If the file cannot be used now, that is logged and done with the next step; the reservation stands until
        then.
        """
        try:
            with self._step():
                self._settle(hold, spent)
        except LedgerError as exc:
            with self._lock:
                self._unsettled.append((hold, spent))
            logger.error("the cost of a call could not be recorded; it is recorded later: %s", exc)  # noqa: TRY400  (expected; a traceback says no more)

    def balance(self, account: Account, *, now: float) -> Balance:
        """Return the state of an account.

        Raises
        ------
        LedgerError
            If the file cannot be used now.
        """
        with self._step():
            return self._balance(account, now)

    def close(self) -> None:
        """Record the costs that are still unrecorded, sync the file to the disk and close it."""
        if self._unsettled:
            try:
                with self._step():
                    pass
            except LedgerError as exc:
                logger.error("the costs of %d calls could not be recorded and are lost: %s", len(self._unsettled), exc)  # noqa: TRY400
        with self._lock:
            # SQLite writes a checkpoint when it closes the file; with `synchronous` off that would not be synced.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.close()

    def _balance(self, account: Account, now: float) -> Balance:
        execute = self._connection.execute
        execute(_EXPIRE, (account.name, now))
        (spent,) = execute(_SPENT, (account.name, account.since)).fetchone()
        (reserved,) = execute(_RESERVED, (account.name, account.since)).fetchone()
        return Balance(account.limit, spent, reserved)

    def _balances(self, accounts: Sequence[Account], now: float) -> list[Balance]:
        balances: dict[str, Balance] = {}
        for account in accounts:
            if account.share_of is not None:
                whole = balances[account.share_of]
                account = replace(account, limit=int((whole.limit - whole.spent) * SHARE))  # noqa: PLW2901
            balances[account.name] = self._balance(account, now)
        return list(balances.values())

    def _settle(self, hold: Hold, spent: int) -> None:
        for name in hold.accounts:
            self._connection.execute(_FREE, (name, hold.id))
        self._spend(hold, spent)

    def _spend(self, hold: Hold, spent: int) -> None:
        for name in hold.accounts:
            if spent and name not in hold.shares:
                self._connection.execute(_SPEND, (name, hold.day, spent))

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Run the block as one transaction; costs that could not be recorded before come first."""
        try:
            with self._lock, self._transaction():
                for one in self._unsettled:
                    self._settle(*one)
                yield
        except sqlite3.Error as exc:
            raise LedgerError(f"{self._path}: the budgets cannot be read or written now ({exc})") from exc
        self._n_steps += 1
        if self._n_steps % SYNC_EVERY == 0:
            threading.Thread(target=self._sync, name="budgets").start()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        execute = self._connection.execute
        # The write lock is taken before balances are read; otherwise two workers could reserve the same money.
        execute("BEGIN IMMEDIATE")
        try:
            yield
            execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back itself, as after a full disk; a second rollback would be an error.
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        # Only after the commit: what a failed step did not record must wait for the next one.
        self._unsettled.clear()

    def _sync(self) -> None:
        """Sync the file to the disk with a separate connection, so that only this thread waits for the disk."""
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                # A passive checkpoint waits for no other connection and blocks none, so calls go on meanwhile.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as exc:
            logger.warning("%s: could not be synced to the disk; this is tried again later: %s", self._path, exc)
