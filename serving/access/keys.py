"""A key: the text that only its owner has, and the entry for it in the key file.

The text is ``rm_``, twelve characters of id, ``_`` and 43 characters of secret (256 random bits), all ASCII letters and
digits: a double click selects it, and a scanner for leaked secrets finds it by `KEY_PATTERN`. The file
keeps only a keyed hash (HMAC-SHA256 under the keyring's secret), so that a reader of the file can neither use nor test
a key. The secret is so random that a slow password hash would only add delay.
"""

import hmac
import re
import secrets
import string
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from router_model.serving.access.key_budget import KeyBudget
from router_model.serving.common.callers import Role

PREFIX: Final = "rm_"
ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
KEY_LENGTH: Final = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH
KEY_PATTERN: Final = re.compile(rf"{PREFIX}([a-z0-9]{{{ID_LENGTH}}})_[A-Za-z0-9]{{{SECRET_LENGTH}}}")

_ID_ALPHABET: Final = string.ascii_lowercase + string.digits
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits
_ID: Final = slice(len(PREFIX), len(PREFIX) + ID_LENGTH)
_SEPARATOR: Final = slice(_ID.stop, _ID.stop + 1)


@dataclass(frozen=True, slots=True)
class Key:
    """One key, as the key file has it.

    Attributes
    ----------
    id : str
        Public, safe to log.
    name : str
        What people call it.
    roles : frozenset of Role
    hash : bytes
        HMAC-SHA256 of the key's text under the keyring's secret.
    created : UTC
    revoked : UTC or None
        None while the key is not revoked.
    expires : UTC or None
        From then on the key is refused; None: never.
    former_hash : bytes or None
        Hash of the text that the key had before it was rotated.
    former_expires : UTC or None
        Until then that text is valid, too.
    is_former : bool
        Whether the key was found by that text; the file does not have this.
    requests_per_minute, feedback_per_day : int or None
        None: as the service's settings say.
    max_concurrent : int or None
        Calls of models at a time; None: no limit.
    budget : KeyBudget or None
        What its calls of models may cost; None: no limit.
    router : str or None
        The name of the router that ``auto`` means to it; None: the service's.
    """

    id: str
    name: str
    roles: frozenset[Role]
    hash: bytes = field(repr=False)
    created: datetime
    revoked: datetime | None = None
    expires: datetime | None = None
    former_hash: bytes | None = field(default=None, repr=False)
    former_expires: datetime | None = None
    is_former: bool = False
    requests_per_minute: int | None = None
    feedback_per_day: int | None = None
    max_concurrent: int | None = None
    budget: KeyBudget | None = None
    router: str | None = None

    def ended(self, now: datetime) -> str | None:
        """Return since when the key is of no use, and what to do; None while it is valid."""
        if self.revoked is not None:
            return f"was revoked at {self.revoked:%Y-%m-%d %H:%M} UTC; ask for a new one"
        if self.expires is not None and self.expires <= now:
            return f"expired at {self.expires:%Y-%m-%d %H:%M} UTC; ask for a new one"
        until = self.former_until
        if self.is_former and until is not None and until <= now:
            return f"was rotated, and its former text ended at {until:%Y-%m-%d %H:%M} UTC; ask for the new text"
        return None

    @property
    def former_until(self) -> datetime | None:
        """When the former text ends: with the key, if that ends first."""
        ends = [moment for moment in (self.expires, self.former_expires) if moment is not None]
        return min(ends) if self.former_expires is not None else None

    def by_former_text(self) -> "Key":
        """Return the key as whoever has its former text may use it."""
        return replace(self, is_former=True)


def new_key_text(key_id: str | None = None) -> tuple[str, str]:
    """Return the id and the text of a new key, or of the key with an id."""
    key_id = key_id or "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(SECRET_LENGTH))
    return key_id, f"{PREFIX}{key_id}_{secret}"


def key_id_of(credential: bytes) -> bytes | None:
    """Return the id in a credential, or None if it does not look like one of this service's keys.

    Examples
    --------
    >>> key_id_of(b"rm_k7f3q9xw2m4t_" + b"A" * 43)
    b'k7f3q9xw2m4t'
    >>> key_id_of(b"sk-proj-123")
    """
    if len(credential) != KEY_LENGTH or not credential.startswith(b"rm_") or credential[_SEPARATOR] != b"_":
        return None
    return credential[_ID]


def key_hash(credential: bytes, secret: bytes) -> bytes:
    """Return the hash that the file keeps of a key: HMAC-SHA256 under the keyring's secret (RFC 2104), 32 bytes."""
    return hmac.digest(secret, credential, "sha256")
