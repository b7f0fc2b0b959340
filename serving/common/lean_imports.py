"""Import LightGBM only where it predicts or explains, and without the packages that it loads to recognise their types.

LightGBM imports pandas, pyarrow, scikit-learn and dask wherever they are installed, so that they may be given to it.
The service gives it arrays: without them it takes some 110 MB less memory, and starts sooner. This is for
processes that are the service's own; in others LightGBM may be asked for more. Where compiled code predicts, nothing
needs LightGBM before somebody asks for an explanation.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from typing import Final

_ONLY_FOR_TYPES: Final = ("pandas", "pyarrow", "sklearn", "dask")


def import_lightgbm_if_needed() -> None:
    """Import LightGBM alone if it is to predict, because compiled code is not there or not wanted."""
    if os.environ.get("ROUTER_MODEL_COMPILED") == "0" or find_spec("router_model.prediction.compiled._native") is None:
        import_lightgbm_alone()


def import_lightgbm_alone() -> None:
    """Import LightGBM without the heavy packages that are not loaded yet; afterwards they can be imported as usual.

    Where LightGBM is imported already, nothing is changed.
    """
    if "lightgbm" in sys.modules:
        return
    hidden = [name for name in _ONLY_FOR_TYPES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's sign for "cannot be imported"
    try:
        importlib.import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]
