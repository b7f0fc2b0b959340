"""Tell from a decision's id alone whose decision it is.

The last `SEAL_DIGITS` digits of a decision's id are a seal: an HMAC of the other digits and of the id of the key that
asked, under a secret of the keyring. So every worker of every machine knows at once whether a report is about one of
the caller's own decisions, even if another worker made it a moment ago or it waits in a spool. An id that somebody
invented and the id of somebody else's decision look the same to it, and are answered alike.
"""

import hmac
from typing import Final

SEAL_DIGITS: Final = 8
"""Hexadecimal digits, 32 bits: a guess is right once in four billion."""


class DecisionOwners:
    """Seals ids of decisions and checks the seals.

    Parameters
    ----------
    secret : bytes or None
        None: the service runs without keys; ids are not sealed, and everybody may report on every decision.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret

    def seal(self, decision_id: str, key_id: str | None) -> str:
        """Return a new id with the seal of its owner.

        >>> sealed = DecisionOwners(b"secret").seal("dec_019385b1c5f07cc2a1f2d0c5b8a3e411", "k7f3q9xw2m4t")
        >>> sealed[:-8], DecisionOwners(b"secret").owns("k7f3q9xw2m4t", sealed)
        ('dec_019385b1c5f07cc2a1f2d0c5', True)
        """
        if self._secret is None or key_id is None:
            return decision_id
        return decision_id[:-SEAL_DIGITS] + self._seal_of(decision_id, key_id)

    def owns(self, key_id: str, decision_id: str) -> bool:
        """Return whether the id has the seal of a key.

        >>> DecisionOwners(b"secret").owns("k7f3q9xw2m4t", "dec_019385b1c5f07cc2a1f2d0c5b8a3e411")
        False
        """
        if self._secret is None:
            return True
        given = decision_id[-SEAL_DIGITS:].encode("utf-8", "replace")
        return hmac.compare_digest(given, self._seal_of(decision_id, key_id).encode())

    def _seal_of(self, decision_id: str, key_id: str) -> str:
        sealed = f"{key_id}\0{decision_id[:-SEAL_DIGITS]}".encode("utf-8", "replace")
        return hmac.digest(self._secret or b"", sealed, "sha256").hex()[:SEAL_DIGITS]
