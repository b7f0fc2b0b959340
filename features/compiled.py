"""The extension module that computes features many times as fast as Python, where it was built.

The code in Python remains the reference, and answers where there is no module.
"""

import os
from importlib import import_module
from types import ModuleType

SWITCH = "ROUTER_MODEL_COMPILED"
"""Environment variable: 0 for the code in Python; `router_model.prediction.compiled.choice` reads it, too."""


def native_module() -> ModuleType | None:
    """Return the module; None if it was not built, or is not wanted."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        return import_module("._native", __package__)
    except ImportError:
        return None
