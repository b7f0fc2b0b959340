"""Read keys and proxies from environment variables; a value is never shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from router_model.serving.common.service_errors import SettingsError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNBROKEN: Final = re.compile(r"[A-Za-z0-9]{16,}")
_FEWEST_DIGITS: Final = 4
_UNSET: Final = "http://not-set.invalid"
"""Stands for keys and proxies that nobody will use; it can be read as both."""


def read_keys(names: Iterable[str], environ: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Return keys by their variables' names.

    Raises
    ------
    SettingsError
        If a name is rather a key, or its variable is missing, empty or cannot be a key.
    """
    keys = {name: _read(name, environ, "keys", where) for name in names}
    for name, key in keys.items():
        if not key.isascii() or not key.isprintable() or " " in key:
            raise SettingsError(
                f"{where}: environment variable {name} contains characters that a key cannot have; set it to "
                "the key alone"
            )
    return keys


class _AsIfSet(Mapping[str, str]):
    """See `as_if_set`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        known = self._environ.get(name, "").strip()
        return known or ("" if _looks_secret(name) else _UNSET)

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def as_if_set(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment in which every variable is set, for who reads a providers file and sends nothing.

    >>> as_if_set({"OPENAI_API_KEY": "k"})["OPENAI_API_KEY"], as_if_set({})["OPENAI_API_KEY"]
    ('k', 'http://not-set.invalid')
    """
    return _AsIfSet(environ)


def read_proxy(name: str, environ: Mapping[str, str], *, where: str) -> str:
    """Return the URL of a proxy.

    Raises
    ------
    SettingsError
        If the variable is missing or holds no URL.
    """
    url = _read(name, environ, "proxy", where)
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if not good:
        raise SettingsError(
            f"{where}: environment variable {name} does not contain the URL of a proxy; expected one like http://proxy:3128"
        )
    return url


def _read(name: str, environ: Mapping[str, str], field: str, where: str) -> str:
    value = environ.get(name, "").strip()
    if value:
        return value
    if _looks_secret(name):
        raise SettingsError(
            f"{where}: {field} contains what looks like the secret itself; expected the NAME of an environment "
            f"variable that holds it, such as OPENAI_API_KEY (and make a new key: this one was in a file)"
        )
    raise SettingsError(
        f"{where}: environment variable {name} is {'empty' if name in environ else 'not set'}; set it, or take it out "
        f"of {field}"
    )


def _looks_secret(name: str) -> bool:
    """Whether something is rather a key than a name: names are words in capitals, keys are long and mixed.

    >>> [_looks_secret(name) for name in ("OPENAI_API_KEY_2", "sk-proj-abc", "gsk_a1b2c3", "AKIAQ5E7R2T9Y4U8")]
    [False, True, True, True]
    """
    if _NAME.fullmatch(name) is None or name != name.upper():
        return True
    return any(sum(map(str.isdigit, run)) >= _FEWEST_DIGITS for run in _UNBROKEN.findall(name))
