"""What a command that asks models shows meanwhile: how much is asked and spent, and what Ctrl-C leaves."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router_model.commands.amounts import counted, in_usd

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from router_model.serving.paid_calls.journal import Journal


class CallProgress:
    """A progress bar of calls, with the money spent and left.

    Parameters
    ----------
    bar : rich.progress.Progress
    journal : Journal
    """

    def __init__(self, bar: "Progress", journal: "Journal") -> None:
        self._bar = bar
        self._journal = journal
        self._n_expected = 0
        self._task: TaskID = bar.add_task(self._money(), total=0)

    def expect(self, n_calls: int) -> None:
        """Say that so many more calls will be asked."""
        self._n_expected += n_calls
        self._bar.update(self._task, total=self._n_expected)

    def advance(self) -> None:
        """Say that one call has its outcome."""
        self._bar.update(self._task, advance=1, description=self._money())

    def _money(self) -> str:
        spent, budget = self._journal.spent / 1e9, self._journal.budget / 1e9
        return f"{in_usd(spent)} spent, {in_usd(budget - spent)} left"


@contextmanager
def progress_of_calls(journal: "Journal") -> Iterator[CallProgress]:
    """Show a progress bar until the end of the block, if stderr is a terminal."""
    from rich.console import Console  # noqa: PLC0415  (--help stays fast)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(file=sys.stderr)
    columns = (
        *(BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("{task.description}")),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield CallProgress(bar, journal)


def say_stop(n_under_way: int) -> None:
    """Say what the first Ctrl-C does."""
    click.echo(f"\nstopping: {counted(n_under_way, 'call')} under way; Ctrl-C once more ends them at once", err=True)


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
