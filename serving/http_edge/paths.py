"""The paths that clients write, and which of ours they mean.

Clients leave the version out, or have it in another place: OpenRouter's ``/api/v1``, or Azure's deployments, which name
the model in the path. The rest of the service sees one path for each call.
"""

import re
from collections.abc import MutableMapping
from typing import Any, Final

ASKED_PATH: Final = "router_asked_path"
"""In the scope of a request: the path as the caller wrote it."""
PATH_MODEL: Final = "router_path_model"
"""In the scope of a request whose path names the model: it."""
_BARE: Final = re.compile(
    r"/(chat/completions|completions|embeddings|models(/.*)?|messages(/count_tokens)?|responses(/.*)?)"
)
_GOOGLES: Final = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
"""What Google's paths have behind the colon; other models' names may have one, too."""
_PREFIXES: Final = ("/api/v1/", "/openai/v1/")
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/(.+?)/(chat/completions|completions|embeddings|responses)")


def plain_path(path: str) -> tuple[str, str | None]:
    """Return our path for a path, and the model that it names, if it does.

    Examples
    --------
    >>> plain_path("/api/v1/chat/completions"), plain_path("/messages")
    (('/v1/chat/completions', None), ('/v1/messages', None))
    >>> plain_path("/openai/deployments/gpt-5/chat/completions")
    ('/v1/chat/completions', 'gpt-5')
    >>> plain_path("/models/auto:countTokens"), plain_path("/v1/route")
    (('/v1beta/models/auto:countTokens', None), ('/v1/route', None))
    >>> plain_path("/models/auto:code")
    ('/v1/models/auto:code', None)
    """
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            return f"/v1/{path.removeprefix(prefix)}", None
    if named := _DEPLOYMENT.fullmatch(path):
        return f"/v1/{named[2]}", named[1]
    if path == "/openai/models":
        return "/v1/models", None
    if _BARE.fullmatch(path):
        is_googles = path.startswith("/models/") and path.rpartition(":")[2] in _GOOGLES
        return f"/v1beta{path}" if is_googles else f"/v1{path}", None
    return path, None


def with_plain_path(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the scope of a request with our path, and with what its own path said."""
    path, model = plain_path(scope["path"])
    if path == scope["path"]:
        return scope
    said = {ASKED_PATH: scope["path"]} | ({} if model is None else {PATH_MODEL: model})
    return {**scope, "path": path, "raw_path": path.encode(), **said}
