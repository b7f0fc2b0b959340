"""Turn the errors of database drivers into `StoreError` or `RefusedError`.

A store that is away is tried again with the same rows; rows that it will never take must not be, or they would hold
up all that come after them. Drivers say which it is in their own ways, and wrap each other's errors.
"""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from router_model.errors import RouterModelError
from router_model.serving.decision_log.store import RefusedError, StoreError

_VALUE_ERRORS: Final = (DataError, IntegrityError, OverflowError, TypeError, ValueError)
_VALUE_STATES: Final = ("22", "23", "54")
"""Classes of SQL states: data exceptions, violated constraints and exceeded limits of the program, such as the longest
entry of an index. Those of a store that is away or full (08, 53, 57, 58) are not among them."""


@contextmanager
def database_failures(doing: str) -> Iterator[None]:
    """Turn a driver's error in the block into one of ours.

    Parameters
    ----------
    doing : str
        What was being done, as in "could not <doing> the log's database".
    """
    try:
        yield
    except RouterModelError:
        raise
    except (SQLAlchemyError, OSError, TimeoutError, OverflowError, TypeError, ValueError) as exc:
        chain = list(_chain(exc))
        error = RefusedError if _is_refusal(chain) else StoreError
        # Not the message of SQLAlchemy, which repeats the statement's values.
        raise error(f"could not {doing} the log's database: {_in_words(chain[-1])}") from exc


def _in_words(exc: BaseException) -> str:
    """Return what an error says; one that says nothing is told by its kind.

    >>> _in_words(TimeoutError()), _in_words(OSError("refused"))
    ('it did not answer in time', 'OSError: refused')
    """
    if isinstance(exc, TimeoutError) and not str(exc):
        return "it did not answer in time"
    return f"{type(exc).__name__}: {exc}"


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those it wraps; not the cancellation by which a deadline ends what it waits for."""
    while exc is not None and not isinstance(exc, CancelledError):
        yield exc
        exc = getattr(exc, "orig", None) or exc.__cause__


def _is_refusal(chain: list[BaseException]) -> bool:
    if any(isinstance(exc, OSError) for exc in chain):  # some errors of certificates are ValueErrors
        return False
    return any(
        isinstance(exc, _VALUE_ERRORS)
        or (isinstance(exc, StatementError) and not isinstance(exc, DBAPIError))  # a value could not be turned
        or str(getattr(exc, "sqlstate", None)).startswith(_VALUE_STATES)
        or "binding parameter" in str(exc).lower()  # sqlite3's ProgrammingError for a type that it has not
        for exc in chain
    )
