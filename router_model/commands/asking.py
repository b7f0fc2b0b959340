"""What a command that asks models shows meanwhile: how much is asked and spent, and what Ctrl-C leaves."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from router_model.progress import Work, note, working
from router_model.wording import counted, usd

if TYPE_CHECKING:
    from router_model.serving.paid_calls.journal import Journal


class CallProgress:
    """Shows how many calls have their outcome, and the money spent and left.

    Parameters
    ----------
    work : what is shown on the terminal
    journal : Journal
    """

    def __init__(self, work: Work, journal: "Journal") -> None:
        self._work, self._journal = work, journal
        self._n_expected = self._n_done = 0

    def expect(self, n_calls: int) -> None:
        """Say that so many more calls will be asked."""
        self._n_expected += n_calls
        self._show()

    def advance(self) -> None:
        """Say that one call has its outcome."""
        self._n_done += 1
        self._show()

    def _show(self) -> None:
        spent, budget = self._journal.spent / 1e9, self._journal.budget / 1e9
        done = f"{self._n_done:,} of {counted(self._n_expected, 'call')}"
        text = f"{done}, {usd(spent)} spent, {usd(budget - spent)} left"
        self._work.reached(self._n_done, self._n_expected, text)


@contextmanager
def progress_of_calls(journal: "Journal") -> Iterator[CallProgress]:
    """Show how far the calls are until the end of the block, if stderr is a terminal."""
    with working("asking models") as work:
        yield CallProgress(work, journal)


def say_stop(n_under_way: int) -> None:
    """Say what the first Ctrl-C does."""
    note(f"stopping: {counted(n_under_way, 'call')} under way; Ctrl-C once more ends them at once")


def again() -> str:
    """Return the command that was typed, which goes on where it was."""
    return shlex.join(["router-model", *sys.argv[1:]])


@contextmanager
def saying_how_to_go_on(journal: Path) -> Iterator[None]:
    """Add to an interrupt of the block what is kept, and the command that goes on."""
    try:
        yield
    except KeyboardInterrupt as exc:
        kept = f"all answers so far are kept in {journal}" if journal.exists() else "nothing was sent"
        exc.add_note(f"{kept}; go on with: {again()}")
        raise
