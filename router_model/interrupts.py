"""Tell the user, after Ctrl-C, whether the router had been saved before the interrupt.

Only the code that saved the router knows this, and only `router_model.cli` prints. So a note travels from one to the
other with the `KeyboardInterrupt`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOTHING_SAVED = "unfinished work was not kept, and earlier files are unchanged"


@contextmanager
def after_saving(path: str | Path) -> Iterator[None]:
    """Add the note that the router in `path` is saved to an interrupt of the block.

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
    """Return the first note of an interrupt or of its cause, or `NOTHING_SAVED` if there is none."""
    for exc in (interrupt, interrupt.__cause__):
        notes: list[str] = getattr(exc, "__notes__", [])
        if notes:
            return notes[0]
    return NOTHING_SAVED
