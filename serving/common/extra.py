"""Find out which extras are installed, and name the one that is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from router_model.install_line import install_line


@contextmanager
def needing_serve(what: str) -> Iterator[None]:
    """Name the extra if an import in the block fails because a package is missing.

    >>> with needing_serve("the decision service"):  # doctest: +ELLIPSIS
    ...     import fastapy
    Traceback (most recent call last):
    ImportError: the decision service needs the extra 'serve' (fastapy is missing): pip install '...[serve]'
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        raise ImportError(f"{what} needs the extra 'serve' ({exc.name} is missing): {install_line('serve')}") from exc


def has_console() -> bool:
    """Whether the extra ``console`` is installed."""
    return all(find_spec(name) is not None for name in ("jinja2", "altair", "vl_convert"))
