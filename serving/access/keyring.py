"""The keyring: the keys that may call, read again when the key file changes.

Looking a key up is a dictionary access by its id and one comparison in constant time; an unknown id
costs a comparison, too, so that the time taken does not reveal which ids exist. Nothing from a request is evaluated,
put into a query or written down.
"""

import hmac
import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from router_model.serving.access.key_file import read_key_file
from router_model.serving.access.keyring_secret import check_secret
from router_model.serving.access.keys import Key, key_hash, key_id_of
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.service_errors import SettingsError

logger = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 1.0
"""Seconds between two checks of the key file: a revoked key is refused after this time at the latest."""

_NOBODY: Final = bytes(32)


class Keyring:
    """The keys of a key file, kept up to date.

    Looking a key up also checks the file (one ``stat`` per second), and reads it again when it changed. So a revocation
    needs neither a restart nor a signal, and reaches every worker. If the file cannot be read, the old keys stay in
    use, and an error is logged. A key with the name of an unknown router must not keep the revocation of another key
    from taking effect: it is logged, and that key's requests to ``auto`` fail. `astray` says it.

    Parameters
    ----------
    path : key file
    secret : what its keys are hashed with
    clock : seconds, monotonic
    routers : names of the service's routers; None: they are not known

    Raises
    ------
    SettingsError
        If the file cannot be read, is damaged, or its keys were made under another secret.
    """

    def __init__(
        self,
        path: Path,
        *,
        secret: bytes,
        clock: Callable[[], float] = time.monotonic,
        routers: Collection[str] | None = None,
    ) -> None:
        self._path = path
        self._secret = secret
        self._routers = routers
        self._clock = clock
        self._checked_at = clock()
        self._trouble: str | None = None
        self._throttle = LogThrottle(clock=clock)
        # Looked at before it is read: an edit in between then differs from this look, and is read at the next check.
        self._signature = self._look()
        self._by_id = self._read()
        self.generation = 0
        """A counter that grows by one whenever the file was read again."""

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        secret: bytes,
        clock: Callable[[], float] = time.monotonic,
        routers: Collection[str] | None = None,
    ) -> "Keyring":
        """Read the key file at `path`."""
        return cls(path, secret=secret, clock=clock, routers=routers)

    def find(self, credential: bytes) -> Key | None:
        """Return the key whose text is `credential`, even one that has ended; None if the file has no such key.

        A key that was rotated is found by its former text, too, and expires with that text.

        Parameters
        ----------
        credential : bytes
            Whatever the request brought, of any length and content.
        """
        self.keep_current()
        key_id = key_id_of(credential)
        if key_id is None:
            return None
        key = self._by_id.get(key_id)
        found = key_hash(credential, self._secret)
        by_former = hmac.compare_digest(found, (key and key.former_hash) or _NOBODY)
        if not hmac.compare_digest(found, _NOBODY if key is None else key.hash):
            return key.by_former_text() if key is not None and by_former else None
        return key

    def keep_current(self) -> None:
        """Look at the file, if that was not done within the last second."""
        if self._clock() - self._checked_at >= CHECK_EVERY_S:
            self.refresh()

    def get(self, key_id: str) -> Key | None:
        """Return the key with an id, even one that has ended."""
        return self._by_id.get(key_id.encode())

    def derived_secret(self, purpose: bytes) -> bytes:
        """Derive a secret for another purpose; the keyring's secret cannot be computed from it."""
        return hmac.digest(self._secret, b"router-model " + purpose, "sha256")

    @property
    def all_keys(self) -> Collection[Key]:
        """All keys, revoked ones, too, in the order they were made."""
        return self._by_id.values()

    def refresh(self) -> None:
        """Read the file again if it changed; if that fails, log why, keep the keys and try again later."""
        self._checked_at = self._clock()
        try:
            signature = self._look()
            # A file that was away for a while may come back unchanged; reading it again clears `_trouble`.
            if signature == self._signature and self._trouble is None:
                return
            self._by_id = self._read()
        except SettingsError as exc:
            if self._trouble != str(exc):
                logger.error("the key file could not be read again; the keys read before stay in use: %s", exc)  # noqa: TRY400  (expected; a traceback says no more)
            self._trouble = str(exc)
            return
        self._signature, self._trouble = signature, None
        self.generation += 1
        logger.info("%s: read again, %d keys", self._path, len(self._by_id))
        if (astray := self.astray()) and self._throttle.due(astray):
            logger.error("%s; until then its requests to 'auto' fail", astray)

    def astray(self) -> str | None:
        """Say which key asks a router that there is not; one that was revoked or has expired asks nothing."""
        now = datetime.now(UTC)
        for key in self.all_keys:
            if self._routers is None or key.router is None or key.router in self._routers or key.ended(now):
                continue
            return (
                f"{self._path}: key {key.id!r} ({key.name}): its router is {key.router!r}, and this service has "
                f"{', '.join(self._routers)}; correct 'router', or start the service with "
                f"--router {key.router}=ARTIFACT"
            )
        return None

    def _look(self) -> tuple[int, int, int]:
        """Return a tuple that differs after each edit: an edit makes a new file, so at least the inode differs."""
        try:
            status = self._path.stat()
        except OSError as exc:
            raise SettingsError(
                f"{self._path}: cannot be read ({exc.strerror}); make it with: router-model keys create --file "
                f"{self._path} --name gateway --role decide"
            ) from exc
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> dict[bytes, Key]:
        key_file = read_key_file(self._path)
        check_secret(key_file.secret_check, self._secret, origin=self._path)
        return {key.id.encode(): key for key in key_file.keys.values()}
