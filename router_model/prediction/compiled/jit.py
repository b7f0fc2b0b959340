"""How functions are compiled with numba: for one thread, and with a cache on disk if a folder can be written to.

Numba notices a change of the file that a cached function is in, but not of other files. So a compiled function calls
only functions of its own file.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba

_OPTIONS: dict[str, Any] = {
    "nogil": True,  # releases the interpreter lock, so that other threads can decide meanwhile
    "error_model": "numpy",
    "fastmath": {"contract"},  # allow fused multiply-add, but no reordering of sums
}


_WIDE = "avx512vbmi2"
"""A processor feature. Processors that have it do not slow down for vectors of 512 bits, as earlier ones did."""


def _use_wide_vectors() -> None:
    """Let compiled code use the processor's full vector length: LLVM uses half of 512 bits. The user's settings win."""
    features = llvm.get_host_cpu_features()
    if features.get(_WIDE) and not (numba.config.CPU_NAME or numba.config.CPU_FEATURES):
        numba.config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_use_wide_vectors()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called.

    The machine code is kept beside the source, or else in the user's cache folder (or ``NUMBA_CACHE_DIR``). If neither
    can be written to, as in some containers, nothing is kept and every start compiles again.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return numba.njit(**_OPTIONS)(function)
