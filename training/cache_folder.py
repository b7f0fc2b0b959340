"""Find the cache folder, for files that can be computed again: embeddings, and environments of other packages."""

import os
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

CACHE_VARIABLE: Final = "ROUTER_MODEL_CACHE"


def cache_folder() -> Path:
    """Return ``$ROUTER_MODEL_CACHE``, else ``router-model`` in the platform's cache folder.

    On Linux that is ``~/.cache/router-model`` (or in ``$XDG_CACHE_HOME``). All its files may be deleted at any time.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    return user_cache_path("router-model", appauthor=False)
