"""Decide which ``Host`` headers are accepted.

A page that a browser loaded from elsewhere can be made to call a service on loopback under the page's own name (DNS
rebinding); asking for a known name is what stops it. The header is compared as it came, never by way of a URL.
"""

import re
from collections.abc import Iterable
from typing import Final

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  (compared with, not bound to)

_HOST: Final = re.compile(rb"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")
_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")
_MAX_REMEMBERED: Final = 256


class TrustedHosts:
    """The names this service goes by.

    Parameters
    ----------
    names : iterable of str
        Exact names or addresses without port, ``*.example.com`` for every name below one, or ``*`` for any.
    own_address : bool
        Trust the address a connection came in on as well; no name can be rebound to a literal address.

    Raises
    ------
    SettingsError
        If a name is not one of these.

    Examples
    --------
    >>> hosts = TrustedHosts(["router.internal", "*.example.com"])
    >>> [hosts.trusts(host) for host in (b"Router.internal:8484", b"a.example.com", b"example.com", b"evil.org")]
    [True, True, False, False]
    """

    def __init__(self, names: Iterable[str], *, own_address: bool = False) -> None:
        lowered = [name.lower() for name in names]
        self._any = "*" in lowered
        self._exact = frozenset(name.strip("[]").encode() for name in lowered if not name.startswith("*"))
        # The dot stays: without it notexample.com would be a name below example.com.
        self._suffixes = tuple(name[1:].encode() for name in lowered if name.startswith("*."))
        self._own_address = own_address
        self._remembered: set[bytes] = set()
        for name in lowered:
            if name != "*" and not _NAME.fullmatch(name.strip("[]")):
                raise SettingsError(
                    f"trusted host {name!r}; expected a name or address without scheme, port or path, such as "
                    "'router.example.com', '*.example.com' or '10.0.0.7'"
                )

    @classmethod
    def of(cls, settings: Settings) -> "TrustedHosts":
        """Return those of the settings: loopback's, unless they name others, and the address that was called.

        An orchestrator's probes name a pod by its address, which nobody knows ahead.
        """
        if settings.trusted_hosts:
            return cls(settings.trusted_hosts, own_address=settings.host in ANYWHERE)
        if settings.host in ANYWHERE:
            return cls(LOOPBACK, own_address=True)
        return cls([*LOOPBACK, settings.host])

    def trusts(self, host: bytes, server: tuple[str, int | None] | None = None) -> bool:
        """Return whether a ``Host`` header is answered; `server` is the address the connection came in on."""
        if host in self._remembered:
            return True
        trusted = self._check(host.lower(), server)
        # With own_address the verdict depends on the connection, too. Below a wildcard there are names without end.
        if trusted and not self._own_address and len(self._remembered) < _MAX_REMEMBERED:
            self._remembered.add(host)
        return trusted

    def _check(self, host: bytes, server: tuple[str, int | None] | None) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1] or match[2]
        if self._any or name in self._exact or name.endswith(self._suffixes):
            return True
        return self._own_address and server is not None and name == server[0].encode()
