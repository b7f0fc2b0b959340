"""Tell whether an address can be reached from this machine only."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`: 127.0.0.0/8, ::1 or localhost.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.0.7", "router.local")]
    [True, True, True, False, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, which may come to mean anything


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Return whether `host` is an IP address, not a name or the path of a Unix socket.

    >>> is_address("10.0.0.7"), is_address("::1"), is_address("router.local"), is_address("/run/router.sock")
    (True, True, False, False)
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
