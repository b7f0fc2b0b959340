"""How functions are compiled: once a machine where the cache can be kept, for one prompt on one thread.

Numba's cache of a function sees changes of its own file only, so compiled functions call those of their own file
alone.
"""

from collections.abc import Callable
from typing import Any

import numba

_OPTIONS: dict[str, Any] = {
    "nogil": True,  # other threads decide meanwhile
    "error_model": "numpy",
    "fastmath": {"contract"},  # fused multiply-add, and no sum in another order
}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called.

    The machine code is kept beside the source, else in the user's cache folder (or ``NUMBA_CACHE_DIR``), else nowhere:
    a container may have no folder to write to, and then compiles at each start.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return numba.njit(**_OPTIONS)(function)
