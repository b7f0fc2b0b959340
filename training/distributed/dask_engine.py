"""An engine whose pieces are computed by the workers of a Dask cluster.

Each piece is one task. The scheduler gives a task to another worker if its worker is gone. What all pieces share is
sent to the workers before; if every worker that has it is gone, it is sent again, and the pieces that need it are
submitted again. A piece that failed to read or to send something (`OSError`) is tried `_ATTEMPTS` times. Other errors
would come again, so they end the run at once, as they would here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from logging import ERROR
from typing import Any, Final, TypeVar
from uuid import uuid4

import dask
from distributed import Client, Future, LocalCluster
from distributed.scheduler import KilledWorker
from threadpoolctl import threadpool_limits

from router_model.errors import EngineError
from router_model.training.distributed.aligned import Aligned

Shared = TypeVar("Shared")
Piece = TypeVar("Piece")
Result = TypeVar("Result")

_PACKAGES: Final = ("router-model", "lightgbm", "numpy", "polars", "scipy", "tokenizers")
"""Packages whose versions decide what a piece's result is, or whether it can be read."""
_ATTEMPTS: Final = 3
_PIECES_A_THREAD: Final = 2  # one is computed while the next is on its way; more would only fill memory
_TO_CONNECT_S: Final = 15.0  # a scheduler may be starting just now, too
_TO_GET_WORKERS_S: Final = 30.0  # they may be starting just now
_CONFIG: Final = {
    "distributed.admin.large-graph-warning-threshold": "100MB",  # pieces are data; they are a few MB each
}


class DaskEngine:
    """Sends pieces to the workers of a cluster.

    Attributes
    ----------
    client : distributed.Client
    """

    is_remote = True

    def __init__(self, client: Client) -> None:
        self.client = client
        self._shared: tuple[Any, Future] | None = None

    def map(
        self, function: Callable[[Shared, Piece], Result], shared: Shared, pieces: Iterable[Piece]
    ) -> Iterator[Result]:
        """Yield results in order; a few pieces for each thread of the cluster are under way at once."""
        waiting = iter(pieces)
        under_way: deque[tuple[Piece, Future]] = deque()
        most = _PIECES_A_THREAD * max(sum(self.client.nthreads().values()), 1)
        done = False
        try:
            while under_way or not done:
                while not done and len(under_way) < most:
                    piece = next(waiting, _END)
                    if piece is _END:
                        done = True
                    else:
                        under_way.append((piece, self._submit(function, shared, piece)))
                if under_way:
                    piece, future = under_way.popleft()
                    yield self._result(function, shared, piece, future)
        finally:
            for _, future in under_way:
                future.cancel()

    def _submit(self, function: Callable[[Shared, Piece], Result], shared: Shared, piece: Piece) -> Future:
        name = getattr(function, "__name__", "piece")
        return self.client.submit(_compute, function, self._sent(shared), Aligned(piece), key=f"{name}-{uuid4().hex}")

    def _sent(self, shared: Any) -> Any:
        """Return what stands for `shared` in a task. The last one is kept on the workers, as it often comes again."""
        if shared is None:
            return Aligned(None)
        if self._shared is None or self._shared[0] is not shared or self._shared[1].cancelled():
            self._shared = None  # the workers forget the one before
            [sent] = self.client.scatter([Aligned(shared)], broadcast=True, hash=False)
            self._shared = (shared, sent)
        return self._shared[1]

    def _result(
        self, function: Callable[[Shared, Piece], Result], shared: Shared, piece: Piece, future: Future
    ) -> Result:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                found: Result = future.result().value
            except (
                CancelledError,
                OSError,
            ) as exc:  # every worker that had `shared` is gone, or a file or a connection
                if attempt == _ATTEMPTS:
                    raise EngineError(f"a part of the work failed {_ATTEMPTS} times on the workers: {exc}") from exc
                if isinstance(exc, CancelledError):
                    self._shared = None
                future = self._submit(function, shared, piece)
            except KilledWorker as exc:
                raise EngineError(
                    f"a part of the work ended several workers ({exc}); they probably ran out of memory: start fewer "
                    "threads in each ('dask worker --nthreads 1'), or give them more ('--memory-limit')"
                ) from exc
            else:
                return found
        raise AssertionError("unreachable")


_END: Any = object()


def _compute(function: Callable[[Any, Any], Any], shared: Aligned, piece: Aligned) -> Aligned:
    """Compute a piece on a worker, as a training run does here: BLAS with one thread (docs/decisions/0003)."""
    with threadpool_limits(1, user_api="blas"):
        return Aligned(function(shared.value, piece.value))


@contextmanager
def connected(cluster: str | int) -> Iterator[DaskEngine]:
    """Connect with a scheduler, or start a cluster of so many processes on this machine for the time of the block.

    Raises
    ------
    EngineError
        If the scheduler is not reached, has no workers, or these cannot do the work.
    """
    with dask.config.set(_CONFIG):
        if isinstance(cluster, int):
            with (
                LocalCluster(
                    n_workers=cluster, threads_per_worker=1, dashboard_address=None, silence_logs=ERROR
                ) as own,
                Client(own) as client,
            ):
                yield DaskEngine(client)
            return
        try:
            client = Client(cluster, timeout=_TO_CONNECT_S)
        except MemoryError as exc:
            # The first bytes of another protocol are read as the length of a message, of exbibytes perhaps.
            raise EngineError(
                f"what answers at {cluster} is probably not a Dask scheduler: it announced a message that memory "
                "cannot hold; check address and port, and, if they are right, the free memory here"
            ) from exc
        except (OSError, ValueError) as exc:
            raise EngineError(
                f"the Dask scheduler {cluster} is not reached ({exc}); start it with 'dask scheduler', and check the "
                "address and the network"
            ) from exc
        with client:
            _check_workers(client, cluster)
            yield DaskEngine(client)


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_TO_GET_WORKERS_S)
    except TimeoutError as exc:
        raise EngineError(
            f"the Dask scheduler {address} has no workers; start some with 'dask worker {address}'"
        ) from exc
    found = client.get_versions(packages=list(_PACKAGES))
    ours = found["client"]["packages"]
    for worker, theirs in found["workers"].items():
        refuse_other_versions(worker, ours, theirs["packages"])


def refuse_other_versions(worker: str, ours: dict[str, str | None], theirs: dict[str, str | None]) -> None:
    """Refuse a worker that would compute something else.

    Raises
    ------
    EngineError
        If it lacks this package, or a package has another version there.

    Examples
    --------
    >>> refuse_other_versions("tcp://w:1", {"numpy": "2.4.6"}, {"numpy": "2.4.6"})
    """
    if theirs.get("router-model") is None and ours.get("router-model") is not None:
        raise EngineError(
            f"worker {worker} lacks router-model; install version {ours['router-model']} in its environment"
        )
    other = {name: (theirs.get(name), ours[name]) for name in _PACKAGES if theirs.get(name) != ours.get(name)}
    if _minor(theirs.get("python")) != _minor(ours.get("python")):
        other["python"] = (theirs.get("python"), ours.get("python"))
    if other:
        said = ", ".join(f"{name} {got or 'missing'} (here {want or 'missing'})" for name, (got, want) in other.items())
        raise EngineError(f"worker {worker} has other versions: {said}; results would differ, so make them the same")


def _minor(version: str | None) -> list[str]:
    """Return the first two parts of a version; pickled functions differ between them."""
    return (version or "").split(".")[:2]
