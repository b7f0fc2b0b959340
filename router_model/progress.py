"""Show on a terminal what a command is doing, so that nothing is silent for more than a moment.

All commands use `working`. It writes to standard error, and only if that is a terminal, so that pipes and logs stay
clean. What it showed is gone when the work ends.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Work:
    """What is shown of a command's work: the step, how much of it is done, and the time.

    Examples
    --------
    Nothing is shown here, because standard error is not a terminal:

    >>> with working("counting", total=2) as work:
    ...     for n in (1, 2):
    ...         work.advance(f"counted {n}")
    """

    def __init__(self, progress: Any, text: str, total: float | None) -> None:
        self._progress = progress
        self._task = progress.add_task(text, total=total)

    def step(self, text: str) -> None:
        """Name the step that begins now."""
        self._progress.update(self._task, description=text)

    def begin(self, text: str, total: float | None) -> None:
        """Begin a part of the work that has `total` pieces; None where nobody knows."""
        self._progress.reset(self._task, description=text, total=total)

    def advance(self, text: str | None = None, n: float = 1) -> None:
        """Count `n` pieces as done."""
        self._progress.update(self._task, advance=n, description=text)

    def reached(self, done: float, total: float, text: str | None = None) -> None:
        """Say that `done` of `total` pieces are done."""
        self._progress.update(self._task, completed=done, total=total, description=text)


@contextmanager
def working(text: str, *, total: float | None = None) -> Iterator[Work]:
    """Show a line with the step under way, until the end of the block.

    Parameters
    ----------
    text : what is being done, such as "reading the table"
    total : number of pieces, for a bar; None where it is not known
    """
    from rich.console import Console  # noqa: PLC0415  (--help stays fast)
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Time(ProgressColumn):
        """How long it takes still, where that can be told; else how long it has taken."""

        def render(self, task: Task) -> Text:
            left = task.time_remaining
            return Text(f"{_clock(task.elapsed or 0)}" if not left else f"{_clock(left)} left", "dim")

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), Time())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Work(progress, text, total)


def note(text: str) -> None:
    """Write a line to standard error, above the line that is shown.

    What goes through Python's own stream is put there; ``click.echo`` would write into the middle of the line.
    """
    sys.stderr.write(f"{text}\n")


class Steps:
    """Move a `Work` along steps that are known in advance, from calls with the name of each finished step."""

    def __init__(self, work: Work, steps: Sequence[str]) -> None:
        self._work, self._left, self._n = work, list(steps), len(steps)
        work.begin(self._left[0], self._n)

    def __call__(self, step: str) -> None:
        """Move past a finished step and name the next one; any other text is shown as it is."""
        text = step
        if step in self._left:
            del self._left[: self._left.index(step) + 1]
            text = self._left[0] if self._left else "done"
        self._work.reached(self._n - len(self._left), self._n, text)


def _clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> _clock(75.2), _clock(7322)
    ('1:15', '122:02')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
