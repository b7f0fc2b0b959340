"""Templates with escaping, how they write numbers, and the files and headers that go with them.

Everything that a template prints is escaped. The policy below forbids what could run anyway: a script or a style within
a page, a script from elsewhere, and turning text into code.
"""

import gzip
import hashlib
import logging
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from router_model import wording
from router_model.charts.theme import DARK, LIGHT, css_variables
from router_model.saving import say_saving

logger = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

_SOURCES: Final = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
CHARTS: Final = "charts.js"
POLICY: Final = "; ".join(f"{what} {whence}" for what, whence in _SOURCES.items())
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Asset(NamedTuple):
    """A static file.

    Attributes
    ----------
    content, media_type, version
        `version` changes with the content, and stands in the file's address: browsers may keep it for ever.
    zipped : the content, compressed by gzip
    """

    content: bytes
    media_type: str
    version: str
    zipped: bytes

    @classmethod
    def of(cls, content: bytes, media_type: str) -> "Asset":
        """Return the file of a content."""
        return cls(content, media_type, hashlib.sha256(content).hexdigest()[:12], gzip.compress(content, mtime=0))


@cache
def assets() -> dict[str, Asset]:
    """Return the static files by their names."""
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            if path.name == "console.css":  # the charts take their colours from the page
                content += _chart_colours()
            found[path.name] = Asset.of(content, _TYPES[path.suffix])
    return found


_CHARTS_LIMIT_S: Final = 300  # a busy machine takes long
_CHARTS_AGAIN_S: Final = 60.0


class ChartsScript:
    """The script that draws charts. It is made once, in a second or two, in a process of its own.

    Anybody may ask for it. So of many who ask at once one makes it, and after a failure nobody does for a minute.
    """

    def __init__(self, make: Callable[[], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._make, self._clock = make, clock
        self._making = Lock()
        self._made: Asset | None = None
        self._again_at = -math.inf

    def get(self) -> Asset | None:
        """Return the script; None if it could not be made."""
        with self._making:
            if self._made is None and self._clock() >= self._again_at:
                try:
                    self._made = Asset.of(self._make(), _TYPES[".js"])
                except (OSError, subprocess.SubprocessError) as exc:
                    self._again_at = self._clock() + _CHARTS_AGAIN_S
                    logger.warning("the console's charts cannot be drawn: %s%s", exc, _said(exc))
            return self._made


def _make_charts_script() -> bytes:
    """Make the script in another process, because what makes it would keep a hundred megabytes in this one."""
    write = "import sys; from router_model.charts import javascript; sys.stdout.write(javascript())"
    command = [sys.executable, "-P", "-c", write]
    return subprocess.run(command, capture_output=True, check=True, timeout=_CHARTS_LIMIT_S).stdout  # noqa: S603  (fixed words)


def _said(exc: Exception) -> str:
    """Return the last line that a process wrote about its failure."""
    written = (getattr(exc, "stderr", None) or b"").decode(errors="replace").strip()
    return f" ({written.splitlines()[-1]})" if written else ""


charts_script: Final = ChartsScript(_make_charts_script)


def _chart_colours() -> bytes:
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css_variables(DARK)} }} }}"
    return f":root {{ {css_variables(LIGHT)} }}\n{dark}\n".encode()


@cache
def templates() -> Environment:
    """Return the environment of the templates."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name fails, and does not print nothing
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "usd": usd,
        "share": share,
        "count": count,
        "counted": counted,
        "sentence": wording.sentence,
        "saving": saving,
        "seconds": seconds,
        "utc": utc,
    }
    made.globals |= {"asset": asset_url}
    return made


def asset_url(name: str) -> str:
    """Return the address of a static file."""
    # That of the charts' script is not its content's: a page must not wait until the script was made.
    given = _charts_version() if name == CHARTS else assets()[name].version
    return f"/console/static/{name}?v={given}"


@cache
def _charts_version() -> str:
    return version("vl-convert-python")


_DASH: Final = Markup('<span class="none" title="not known">&ndash;</span>')


def usd(amount: float | None) -> str:
    """Return money as people read it; a dash where it is not known."""
    return _DASH if amount is None or not math.isfinite(amount) else wording.usd(amount)


def share(part: float | None) -> str:
    """Return a share as a percentage; a dash where it is not known."""
    return _DASH if part is None or not math.isfinite(part) else _together(wording.percent(part))


def saving(part: float) -> str:
    """Say what is saved, or how much more it costs."""
    return _together(say_saving(part))


def _together(text: str) -> str:
    """Keep a percent sign on the line of its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def count(number: float | None) -> str:
    """Return a count with separators.

    >>> count(1234567)
    '1,234,567'
    """
    return _DASH if number is None else f"{number:,.0f}"


def counted(number: float, noun: str) -> str:
    """Return a count with its noun."""
    return wording.counted(int(number), noun)


_TENTH: Final = 0.1


def seconds(time_s: float | None) -> str:
    """Return a duration, in the unit that fits.

    >>> seconds(0.0123), seconds(1.234), seconds(75)
    ('12 ms', '1.23 s', '75 s')
    """
    if time_s is None or not math.isfinite(time_s):
        return _DASH
    if time_s < 1:
        return f"{1000 * time_s:.2g} ms" if time_s < _TENTH else f"{1000 * time_s:.0f} ms"
    return f"{time_s:.2f} s" if time_s < 1 / _TENTH else f"{time_s:,.0f} s"


def utc(when: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return _DASH if when is None else f"{when:%Y-%m-%d %H:%M:%S}"
