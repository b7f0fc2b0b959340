"""Where files are kept that can be made again: embeddings, environments of other packages."""

import os
import sys
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "ROUTER_MODEL_CACHE"


def cache_folder() -> Path:
    """Return ``$ROUTER_MODEL_CACHE``, else ``router-model`` in the platform's cache folder.

    On Linux that is ``~/.cache/router-model`` (or in ``$XDG_CACHE_HOME``). All in it may be deleted at any time.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "router-model" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "router-model"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "router-model"
