"""Answer in JSON, and encode texts for headers."""

from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.responses import Response

JSON: Final = "application/json"


@lru_cache(maxsize=4096)
def header_text(text: str) -> str:
    """Percent-encode what a header may not hold; model ids are free text."""
    return quote(text, safe="!#$&'()*+,/:;=?@[]~ ")


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON; dataclasses, datetimes and NaN (null) are written, too."""
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type=JSON)
