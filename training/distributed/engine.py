"""The engine: where pieces of work that do not depend on each other are done.

Training and measuring call `spread` wherever they apply one function to many pieces: partitions of a table, chunks of
prompts, folds. The engine in force is set once, around a whole command, by `computing_on`, as ``joblib`` does it for
scikit-learn. So the code of a step is the same on one machine and on a cluster.

Results come in the order of the pieces, and every sum is made within a piece or by the caller. So an engine changes no
result, to the last bit, where all processors have the same instructions.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol, TypeVar

from router_model.errors import EngineError
from router_model.install_line import install_line

Shared = TypeVar("Shared")
Piece = TypeVar("Piece")
Result = TypeVar("Result")

_LOCAL_PROCESSES: Final = re.compile(r"local:([1-9]\d*)")
_SCHEDULER: Final = re.compile(r"(?:tcp|tls|ws|wss|ucx)://.+")


class Engine(Protocol):
    """Applies a function to pieces, somewhere."""

    @property
    def is_remote(self) -> bool:
        """Whether pieces leave this process; small ones are not worth it then."""

    def map(
        self, function: Callable[[Shared, Piece], Result], shared: Shared, pieces: Iterable[Piece]
    ) -> Iterator[Result]:
        """Yield ``function(shared, piece)`` for each piece, in order; see `spread`."""


class LocalEngine:
    """Does the pieces in this process, one after the other; a piece may use several threads."""

    is_remote = False

    def map(
        self, function: Callable[[Shared, Piece], Result], shared: Shared, pieces: Iterable[Piece]
    ) -> Iterator[Result]:
        """Yield the results as they are asked for."""
        return (function(shared, piece) for piece in pieces)


_IN_FORCE: ContextVar[Engine] = ContextVar("router_model_engine", default=LocalEngine())  # noqa: B039  (has no state)


def engine_in_force() -> Engine:
    """Return the engine that `spread` uses."""
    return _IN_FORCE.get()


def spread(function: Callable[[Shared, Piece], Result], shared: Shared, pieces: Iterable[Piece]) -> Iterator[Result]:
    """Yield ``function(shared, piece)`` for each piece, in order, computed by the engine in force.

    Parameters
    ----------
    function : of a module, so that a worker can import it; must not depend on anything but its arguments
        It may be called again for a piece, if the worker that had it is gone.
    shared : what all pieces need; it is sent to each worker once
    pieces : taken as they are needed, so they need not all be in memory

    Examples
    --------
    >>> from operator import mul
    >>> list(spread(mul, 10, [1, 2, 3]))
    [10, 20, 30]
    """
    return _IN_FORCE.get().map(function, shared, pieces)


@contextmanager
def computing_on(address: str) -> Iterator[Engine]:
    """Use an engine for everything within the block.

    Parameters
    ----------
    address : ``local`` (this process), ``local:N`` (N processes of this machine), or the address of a Dask scheduler

    Raises
    ------
    EngineError
        If the address cannot be read, the extra ``dask`` is missing, the scheduler is not reached, or its workers lack
        this package or have other versions.

    Examples
    --------
    >>> with computing_on("local") as engine:
    ...     list(spread(max, 2, [1, 3]))
    [2, 3]
    """
    with _started(address) as engine:
        token = _IN_FORCE.set(engine)
        try:
            yield engine
        finally:
            _IN_FORCE.reset(token)


@contextmanager
def _started(address: str) -> Iterator[Engine]:
    if address == "local":
        yield LocalEngine()
        return
    local = _LOCAL_PROCESSES.fullmatch(address)
    if not local and not _SCHEDULER.fullmatch(address):
        raise EngineError(
            f"engine {address!r}: expected 'local', 'local:N' with a number of processes, or the address of a Dask "
            "scheduler such as 'tcp://scheduler:8786'"
        )
    try:
        from router_model.training.distributed.dask_engine import connected  # noqa: PLC0415  (takes a second)
    except ImportError as exc:
        raise EngineError(f"engine {address!r} needs Dask ({exc}): {install_line('dask')}") from exc
    with connected(int(local[1]) if local else address) as engine:
        yield engine
