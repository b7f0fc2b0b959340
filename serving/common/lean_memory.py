"""Give memory that loading a router took for a moment back to the system.

GNU's allocator keeps what was freed for itself, in a heap of each thread. A service loads a router once to check the
settings and once to serve it, in two threads, and would keep 60 MB of that for as long as it runs. So large blocks are
asked of the system one by one, as they then go back when they are freed, and threads share two heaps.
"""

import ctypes
import sys
from functools import cache
from typing import Final

_ARENA_MAX: Final = -8  # names of `mallopt`'s parameters in malloc.h
_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024
_HEAPS: Final = 2


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is GNU's; others have no such settings, and do not need them."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def keep_little_memory() -> None:
    """Tell the allocator of this process not to keep large blocks, nor a heap for each thread."""
    library = _glibc()
    if library is not None:
        # With a threshold of our own, glibc no longer raises it to the size of what was freed.
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_ARENA_MAX, _HEAPS)


def give_back_memory() -> None:
    """Return what is free to the system; takes some milliseconds."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
