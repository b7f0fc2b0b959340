"""How functions are compiled with numba: for one thread, and with a cache on disk if a folder can be written to.

Numba notices a change of the file that a cached function is in, but not of other files. So a compiled function calls
only functions of its own file.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba

_OPTIONS: dict[str, Any] = {
    "nogil": True,  # other threads decide meanwhile
    "error_model": "numpy",
    "fastmath": {"contract"},  # fused multiply-add, and no sum in another order
}


_WIDE = "avx512vbmi2"
"""Processors that have it do not slow down where vectors of 512 bits are used, as the first ones did."""


def _use_wide_vectors() -> None:
    """Let vectors be as long as the processor's: LLVM uses half of 512 bits. The user's own settings come first."""
    features = llvm.get_host_cpu_features()
    if features.get(_WIDE) and not (numba.config.CPU_NAME or numba.config.CPU_FEATURES):
        numba.config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_use_wide_vectors()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called.

    The machine code is kept beside the source, else in the user's cache folder (or ``NUMBA_CACHE_DIR``), else nowhere:
    a container may have no folder to write to, and then compiles at each start.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return numba.njit(**_OPTIONS)(function)
