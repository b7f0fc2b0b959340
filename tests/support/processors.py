"""Older processors than this one, by the settings that keep numpy, BLAS and our compiled code from newer instructions.

``python tests/support/processors.py baseline COMMAND...`` runs a command as such a processor would.
"""

import os
import platform
import sys

import numpy as np

from router_model.prediction.compiled.choice import SWITCH

X86 = platform.machine().lower() in {"x86_64", "amd64"}

PROCESSORS = ("avx2", "baseline") if X86 else ("baseline",)
"""What may be asked for: AVX2 without AVX-512, as most of today's desktops have, and what every processor has."""


def settings(processor: str) -> dict[str, str]:
    """Return the environment variables that turn newer instructions off, for processes that start with them."""
    openblas = {("avx2", True): "Haswell", ("baseline", True): "Prescott", ("baseline", False): "ARMV8"}[processor, X86]
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # numpy warns of others
    features = [*found, *os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()]
    if processor == "avx2":
        features = [name for name in features if name.startswith(("AVX512", "X86_V4"))]
    return {
        SWITCH: processor,
        "OPENBLAS_CORETYPE": openblas,
        "NPY_DISABLE_CPU_FEATURES": " ".join(dict.fromkeys(features)),
    }


if __name__ == "__main__":
    os.execvpe(sys.argv[2], sys.argv[2:], {**os.environ, **settings(sys.argv[1])})
