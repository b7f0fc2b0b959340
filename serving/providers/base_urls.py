"""Check a provider's base URL before any key is sent to it."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

from router_model.serving.common.loopback import is_loopback
from router_model.serving.common.masking import masked_url
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.providers.provider import Kind

DEFAULTS: Final = {
    Kind.OPENAI: "https://api.openai.com/v1",
    Kind.ANTHROPIC: "https://api.anthropic.com/v1",
    Kind.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
    Kind.RESPONSES: "https://api.openai.com/v1",
}
ECHO: Final = "http://echo.invalid/v1"
"""Of kind echo, which no request leaves the process for."""
_CALLS: Final = ("/chat/completions", "/completions", "/embeddings", "/messages", "/models", "/responses")


def checked_base_url(url: str, *, allow_http: bool, where: str) -> str:
    """Return a base URL without a slash at its end.

    Raises
    ------
    SettingsError
        If it is not a URL, has a part that a base URL must not have, or would send keys unencrypted.

    Examples
    --------
    >>> checked_base_url("https://api.openai.com/v1/", allow_http=False, where="openai")
    'https://api.openai.com/v1'
    """
    parts = _split(url, where)
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            f"{where}: base_url contains credentials; take them out and name environment variables with "
            "keys = [...] instead"
        )
    if parts.query or parts.fragment:
        raise SettingsError(f"{where}: base_url is {masked_url(url)!r}; expected a URL without a '?' or '#' part")
    if (path := parts.path.rstrip("/")).endswith(_CALLS):
        call = next(call for call in _CALLS if path.endswith(call))
        raise SettingsError(f"{where}: base_url is {url!r}; expected it without {call!r}, which the service adds")
    if parts.scheme == "http" and not allow_http and not _is_this_machine(parts.hostname or ""):
        raise SettingsError(
            f"{where}: base_url is {url!r}, which would send prompts and keys unencrypted; expected https://, or "
            "allow_http = true where the network is your own"
        )
    return url.rstrip("/")


def _split(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is read here to be checked
    except ValueError as exc:
        raise SettingsError(
            f"{where}: base_url is not a valid URL ({exc}); expected one like {DEFAULTS[Kind.OPENAI]}"
        ) from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable():
        raise SettingsError(
            f"{where}: base_url is {masked_url(url)!r}; expected an http(s) URL in ASCII, like {DEFAULTS[Kind.OPENAI]}"
        )
    if " " in url:
        raise SettingsError(f"{where}: base_url contains a space; remove it")
    return parts


def _is_this_machine(host: str) -> bool:
    """Tell whether a provider's host is this machine; RFC 6761 gives names below ``localhost`` to it, too.

    >>> [_is_this_machine(host) for host in ("localhost", "127.0.0.9", "::1", "a.localhost", "localhost.example.com")]
    [True, True, True, True, False]
    """
    return is_loopback(host) or host.endswith(".localhost")
