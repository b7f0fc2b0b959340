"""Ctrl-C after the work was done: what was saved by then stays, and is said to.

Only the code that saved knows that, and only `router_model.cli` speaks; the note travels with the interrupt.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOTHING_SAVED = "what was not finished was not kept, and what was there before is as it was"


@contextmanager
def after_saving(path: str | Path) -> Iterator[None]:
    """Let an interrupt of the block carry the note that the router in `path` is saved.

    Examples
    --------
    >>> try:
    ...     with after_saving("my-router"):
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt as exc:
    ...     what_was_saved(exc)
    'the router in my-router had been saved by then and is complete'
    """
    try:
        yield
    except KeyboardInterrupt as exc:
        exc.add_note(f"the router in {path} had been saved by then and is complete")
        raise


def what_was_saved(interrupt: BaseException) -> str:
    """Return the first note of an interrupt or of what it came from, and `NOTHING_SAVED` where there is none."""
    for exc in (interrupt, interrupt.__cause__):
        notes: list[str] = getattr(exc, "__notes__", [])
        if notes:
            return notes[0]
    return NOTHING_SAVED
