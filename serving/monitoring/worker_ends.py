"""What is said and counted of a worker that ended without being told to.

The process that starts the workers notes it, since the worker itself cannot. Its counter lies beside those of the
workers in the folder that `FOLDER_VARIABLE` names, so whichever worker is asked for the metrics adds it up.
"""

import logging
import signal
from typing import Any, Final

from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.values import MultiProcessValue

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
RESTARTS: Final = ("router_worker_restarts_total", "Workers that ended by themselves and were started again.")
"""Name of the counter, and what it counts."""

_logger = logging.getLogger(__name__)


class WorkerEnds:
    """Takes note of workers that have ended; the folder of their metrics has to be there."""

    def __init__(self) -> None:
        name, about = RESTARTS
        # Not a `Counter`: whether its numbers go to the folder was settled when prometheus_client was imported.
        made: Any = MultiProcessValue()  # type: ignore[no-untyped-call]
        self._restarts = made("counter", name.removesuffix("_total"), name, (), (), about)

    def note(self, worker: int, exit_code: int | None, successor: int) -> None:
        """Count a worker that another one took the place of, say so, and take its gauges out of the totals.

        It never raises: that would end the process that starts the workers.
        """
        try:
            self._restarts.inc(1)
            # Otherwise a log that was away, or a breaker that was open, would be so forever.
            mark_process_dead(worker)  # type: ignore[no-untyped-call]
        except Exception:
            _logger.exception("the metrics do not know that worker %d has ended; is their folder still there?", worker)
        _logger.warning(
            "worker %d ended %s, so worker %d was started; what it was answering is lost to its callers",
            worker,
            _in_words(exit_code),
            successor,
        )


def _in_words(exit_code: int | None) -> str:
    """Say how a process ended.

    >>> _in_words(3), _in_words(-11), _in_words(-40)
    ('with status 3', 'by SIGSEGV', 'by signal 40')
    """
    if exit_code is None or exit_code >= 0:
        return f"with status {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:  # real-time signals have no names
        name = f"signal {-exit_code}"
    hints = " (was memory short, or did it hang?)" if name == "SIGKILL" else ""
    return f"by {name}{hints}"
