"""The session cookie of the console, and the token that each form of a session carries.

The cookie names a key by its public id, never by its text, and says until when it holds. It is signed with a secret
that is derived from the keyring's, so every worker can check it and nobody else can make one. Whether the key still
exists, and which roles it has, is looked up for each request: a key that is revoked ends its sessions.

A visitor without a key has a session, too, so that the form for signing in carries a token like any other.

Who signs out ends the session for all workers of this machine, also for somebody who has kept its cookie.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router_model.serving.common.service_errors import NotReadyError

logger = logging.getLogger(__name__)

ANONYMOUS: Final = "anonymous"
"""The key id of a visitor who has not signed in; ids of keys are longer, so it cannot collide with one."""
LIFETIME_S: Final = 8 * 3600
"""After which a person has to sign in again."""
_NAME: Final = re.compile("[0-9a-f]{64}")
_PLAIN_NAME: Final = "router-console"
_SECURE_NAME: Final = "__Host-router-console"
"""Browsers take a cookie of such a name over TLS only, and from this host alone (RFC 6265bis, section 4.1.3)."""


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a visitor.

    Attributes
    ----------
    key_id : str
        Of the key that signed in, or `ANONYMOUS`.
    expires_at : seconds since 1970
    nonce : str
        Random, and new with each session.
    """

    key_id: str
    expires_at: int
    nonce: str


class EndedSessions:
    """Sessions that were ended before their time, as empty files that all workers of a machine see.

    Parameters
    ----------
    folder : made with the first one; its name must not be guessed, as others may write to the folder above it
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, secret: bytes) -> "EndedSessions":
        """Return those of a service, in this machine's folder for temporary files."""
        name = hmac.new(secret, b"ended sessions", hashlib.sha256).hexdigest()[:32]
        try:
            temporary = Path(tempfile.gettempdir())
        except OSError:  # nothing can be written to; the service serves, and signing out says so
            temporary = Path("/tmp")  # noqa: S108  (whose the folder is, is checked)
        return cls(temporary / f"router-console-{name}")

    def add(self, nonce: str, *, until: int, now: float) -> None:
        """Let a session hold no longer; those that would have ended by now are forgotten.

        Raises
        ------
        NotReadyError
            If that cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._is_ours()
            for path in self._folder.iterdir():
                with suppress(FileNotFoundError):  # another worker forgets it at the same time
                    if _NAME.fullmatch(path.name) and path.stat().st_mtime <= now:
                        path.unlink()
            path = self._path(nonce)
            path.touch(mode=0o600)
            os.utime(path, (until, until))
        except OSError as exc:
            logger.warning("%s: the end of a session cannot be written: %s", self._folder, exc)
            raise NotReadyError(
                "the session could not be ended in all workers; try again, or revoke the key if its cookie was stolen"
            ) from exc

    def has(self, nonce: str) -> bool:
        """Tell whether a session was ended.

        Raises
        ------
        NotReadyError
            If that cannot be told, because somebody else made the folder.
        """
        try:
            return self._is_ours() and self._path(nonce).exists()
        except OSError as exc:
            logger.warning("%s: which sessions were ended cannot be read: %s", self._folder, exc)
            raise NotReadyError(
                "which sessions were ended cannot be read; the operator finds the folder in the service's log"
            ) from exc

    def _is_ours(self) -> bool:
        """Tell whether the folder is there; refuse a link, and one that somebody else could have written to."""
        try:
            status = os.lstat(self._folder)
        except FileNotFoundError:
            return False
        is_foreign = hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o077)
        if not stat.S_ISDIR(status.st_mode) or is_foreign:
            raise PermissionError("it is not a folder of this service's user alone; remove it")
        return True

    def _path(self, nonce: str) -> Path:
        return self._folder / hashlib.sha256(nonce.encode()).hexdigest()


class Sessions:
    """Makes and reads session cookies.

    Parameters
    ----------
    secret : bytes or None
        None: the service runs without keys, on loopback. Nobody signs in then. The tokens of forms hold in any
        process, because they are made from the session's random number alone.
    ended : EndedSessions, optional
        Of another folder than the secret's own.
    clock : seconds since 1970
    """

    def __init__(
        self, secret: bytes | None, ended: EndedSessions | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret or b"without keys"
        self._clock = clock
        self._ended = ended or EndedSessions.of(self._secret)

    def begin(self, key_id: str) -> Session:
        """Return a new session of a key."""
        return Session(key_id, int(self._clock()) + LIFETIME_S, secrets.token_urlsafe(18))

    def end(self, session: Session) -> None:
        """Let a session hold no longer, even for who has kept its cookie.

        Raises
        ------
        NotReadyError
            If not all workers can learn of it.
        """
        self._ended.add(session.nonce, until=session.expires_at, now=self._clock())

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session that a request's cookies name; None if it is none of ours, or over.

        Raises
        ------
        NotReadyError
            If it cannot be told whether it was ended.
        """
        parts = (cookies.get(_SECURE_NAME) or cookies.get(_PLAIN_NAME) or "").split(".")
        if len(parts) != len(("key", "expires", "nonce", "seal")):
            return None
        key_id, expires, nonce, seal = parts
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(key_id, expires, nonce).encode()):
            return None
        session = Session(key_id, int(expires), nonce)  # a number, because we sealed it
        return None if session.expires_at <= self._clock() or self._ended.has(nonce) else session

    def cookie(self, session: Session, *, is_secure: bool) -> str:
        """Return the header that gives a visitor a session."""
        seal = self._seal(session.key_id, str(session.expires_at), session.nonce)
        value = f"{session.key_id}.{session.expires_at}.{session.nonce}.{seal}"
        return _header(value, max(session.expires_at - int(self._clock()), 0), is_secure=is_secure)

    def token(self, session: Session) -> str:
        """Return the token that every form of a session carries (against cross-site request forgery)."""
        return self._digest("form", session.nonce)

    def has_token(self, session: Session, given: str) -> bool:
        """Return whether a form carries the session's token."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token(session).encode())

    def _seal(self, key_id: str, expires: str, nonce: str) -> str:
        return self._digest("cookie", key_id, expires, nonce)

    def _digest(self, *texts: str) -> str:
        return hmac.new(self._secret, "\0".join(texts).encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _header(value: str, max_age_s: int, *, is_secure: bool) -> str:
    name, secure = (_SECURE_NAME, "; Secure") if is_secure else (_PLAIN_NAME, "")
    return f"{name}={value}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Strict{secure}"
