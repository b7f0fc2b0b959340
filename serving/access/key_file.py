"""The key file: TOML with one table for each key, written by ``router-model keys`` and read by every worker.

::

    version = 1
    secret_check = "3f0c9d5be1a27486"

    [keys.k7f3q9xw2m4t]
    name = "gateway"
    roles = ["decide", "feedback"]
    hash = "…"                         # 64 hex digits
    created = 2026-01-31T12:00:00Z
    revoked = 2026-03-01T08:30:00Z     # absent while it is valid
    expires = 2027-01-31T12:00:00Z     # absent: never
    former_hash = "…"                  # of the text it had before it was rotated
    former_expires = 2026-02-07T12:00:00Z  # until then that text is valid, too
    requests_per_minute = 600          # absent: the service's
    feedback_per_day = 10000
    max_concurrent = 20                # calls of models at a time; absent: no limit
    budget_usd = 10.0                  # what its calls of models may cost; absent: no limit
    budget_per = "month"               # or day, total
    router = "code"                    # what "auto" means to it; absent: the service's

It is replaced as a whole, by a rename: a reader sees the old file or the new one.
"""

import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import tomli_w

from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.keys import ID_LENGTH, Key
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import SettingsError

VERSION: Final = 1
_LIMITS: Final = {"requests_per_minute", "feedback_per_day", "max_concurrent", "budget_usd", "budget_per"}
_FIELDS: Final = {
    "name",
    "roles",
    "hash",
    "created",
    "revoked",
    "expires",
    "former_hash",
    "former_expires",
    "router",
} | _LIMITS
_HASH_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The content of a key file.

    Attributes
    ----------
    secret_check : str or None
        A digest that identifies the secret of the keys' hashes
        (`router_model.serving.access.keyring_secret.secret_check`); None in a new file.
    keys : by id, in the order they were made
    """

    secret_check: str | None
    keys: Mapping[str, Key]

    def with_key(self, key: Key) -> "KeyFile":
        """Return a copy with one key added or replaced."""
        return replace(self, keys={**self.keys, key.id: key})


def parse_key_file(content: bytes, *, origin: Path) -> KeyFile:
    """Read a key file's content.

    Raises
    ------
    SettingsError
        If it is not a key file; the message names the file and the key.
    """
    try:
        # A float cannot hold a budget of 0.1 USD exactly; a Decimal can.
        document = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except ValueError as exc:  # of TOML, or UnicodeDecodeError
        raise SettingsError(
            f"{origin}: is not valid TOML ({exc}); expected a file that 'router-model keys' wrote"
        ) from exc
    if not document:
        return KeyFile(None, {})
    version, check, tables = (document.get(name) for name in ("version", "secret_check", "keys"))
    if version != VERSION:
        raise SettingsError(
            f"{origin}: has version {version!r}; expected {VERSION} (a file that this version of "
            "'router-model keys' wrote)"
        )
    if not isinstance(check, str) or not isinstance(tables, dict):
        raise SettingsError(
            f"{origin}: lacks 'secret_check' or tables [keys.ID]; make the file with 'router-model keys'"
        )
    return KeyFile(check, {key_id: _parse_key(key_id, table, origin) for key_id, table in tables.items()})


def _parse_key(key_id: str, table: Any, origin: Path) -> Key:
    """Read the table of one key."""
    where = f"{origin}: key {key_id!r}"
    if len(key_id) != ID_LENGTH or not key_id.isascii() or not isinstance(table, dict):
        raise SettingsError(f"{where}: expected a table with an id of {ID_LENGTH} characters")
    if ("former_hash" in table) != ("former_expires" in table):
        raise SettingsError(f"{where}: has only one of former_hash and former_expires; expected both or neither")
    # A misspelt limit must not be ignored, because the key would then have no limit.
    if unknown := sorted(table.keys() - _FIELDS):
        raise SettingsError(f"{where}: unknown field {unknown[0]!r}; expected {', '.join(sorted(_FIELDS))}")
    return Key(
        id=key_id,
        name=_typed(table, "name", str, where),
        roles=_roles(table.get("roles"), where),
        hash=_hash(table, "hash", where),
        created=_moment(table, "created", where),
        revoked=_moment(table, "revoked", where) if "revoked" in table else None,
        expires=_moment(table, "expires", where) if "expires" in table else None,
        former_hash=_hash(table, "former_hash", where) if "former_hash" in table else None,
        former_expires=_moment(table, "former_expires", where) if "former_hash" in table else None,
        requests_per_minute=_count(table, "requests_per_minute", 1, where),
        feedback_per_day=_count(table, "feedback_per_day", 0, where),
        max_concurrent=_count(table, "max_concurrent", 1, where),
        budget=_budget(table, where),
        router=_typed(table, "router", str, where) if "router" in table else None,
    )


def _typed(table: Mapping[str, Any], field: str, kind: type, where: str) -> Any:
    value = table.get(field)
    if not isinstance(value, kind):
        raise SettingsError(f"{where}: {field} is {value!r}; expected a {kind.__name__}")
    return value


def _roles(value: Any, where: str) -> frozenset[Role]:
    try:
        roles = frozenset(map(Role, value))
    except (TypeError, ValueError) as exc:
        raise SettingsError(f"{where}: roles are {value!r}; expected a list of {', '.join(Role)}") from exc
    if not roles:
        raise SettingsError(f"{where}: has no roles; expected some of {', '.join(Role)}")
    return roles


def _hash(table: Mapping[str, Any], field: str, where: str) -> bytes:
    try:
        digest = bytes.fromhex(table[field])
    except (KeyError, TypeError, ValueError):
        digest = b""
    if len(digest) != _HASH_LENGTH:
        raise SettingsError(f"{where}: {field} is damaged; expected {2 * _HASH_LENGTH} hex digits")
    return digest


def _moment(table: Mapping[str, Any], field: str, where: str) -> datetime:
    moment: datetime = _typed(table, field, datetime, where)
    if moment.tzinfo is None:
        raise SettingsError(
            f"{where}: {field} is {moment}; expected a time with an offset, such as {moment.isoformat()}Z"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise SettingsError(f"{where}: {field} is {moment}; expected a time that is in the calendar in UTC") from None


def _count(table: Mapping[str, Any], field: str, least: int, where: str) -> int | None:
    value = table.get(field)
    # In Python True is an int, and would pass as a limit of 1.
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise SettingsError(f"{where}: {field} is {value!r}; expected a whole number from {least}")
    return value


def _budget(table: Mapping[str, Any], where: str) -> KeyBudget | None:
    usd, per = table.get("budget_usd"), table.get("budget_per")
    if usd is None and per is None:
        return None
    if not isinstance(usd, int | Decimal) or isinstance(usd, bool) or per not in list(Per):
        raise SettingsError(
            f"{where}: budget_usd is {str(usd)!r} and budget_per {per!r}; expected a number of USD, and one of "
            f"{', '.join(Per)}"
        )
    try:
        return KeyBudget(Decimal(usd), Per(per))
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc


def dump_key_file(key_file: KeyFile) -> bytes:
    """Return the content of a key file."""
    keys = {key.id: _dump_key(key) for key in key_file.keys.values()}
    return tomli_w.dumps({"version": VERSION, "secret_check": key_file.secret_check, "keys": keys}).encode()


def _dump_key(key: Key) -> dict[str, Any]:
    table = {
        "name": key.name,
        "roles": [role.value for role in Role if role in key.roles],
        "hash": key.hash.hex(),
        "created": key.created,
        "revoked": key.revoked,
        "expires": key.expires,
        "former_hash": None if key.former_hash is None else key.former_hash.hex(),
        "former_expires": key.former_expires,
        "requests_per_minute": key.requests_per_minute,
        "feedback_per_day": key.feedback_per_day,
        "max_concurrent": key.max_concurrent,
        "budget_usd": None if key.budget is None else key.budget.usd,
        "budget_per": None if key.budget is None else key.budget.per.value,
        "router": key.router,
    }
    return {field: value for field, value in table.items() if value is not None}


def read_key_file(path: Path) -> KeyFile:
    """Read a key file.

    Raises
    ------
    SettingsError
        If it cannot be read or is not a key file.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SettingsError(
            f"{path}: cannot be read ({exc.strerror}); expected a file that 'router-model keys' wrote"
        ) from exc
    return parse_key_file(content, origin=path)


def edit_key_file(path: Path, change: Callable[[KeyFile], KeyFile]) -> None:
    """Replace a key file by the result of `change`; nothing is written if `change` raises.

    The new file is created exclusively, which is the lock, and readable by its owner only from the first moment on.

    Raises
    ------
    SettingsError
        If it is not a key file, cannot be written, or is being edited by somebody else.
    """
    target = path.resolve()  # replacing a link itself would cut it off from the file that it points at
    staging = target.with_name(f"{target.name}.new")
    try:
        handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise SettingsError(
            f"{staging}: exists: another 'router-model keys' is at work; try again, or remove it if none is"
        ) from exc
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written ({exc.strerror}); expected a folder you may write to") from exc
    try:
        with os.fdopen(handle, "wb") as file:
            # Read under the lock, so that no other command's change is lost.
            before = read_key_file(target) if target.exists() else KeyFile(None, {})
            file.write(dump_key_file(change(before)))
            _keep_owner(file.fileno(), target)
            file.flush()
            os.fsync(file.fileno())  # before the rename: a power failure must not leave an empty key file
        staging.replace(target)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise


def _keep_owner(handle: int, target: Path) -> None:
    """Give the new file the old one's owner and group: an administrator's edit must not lock the service out.

    A file that others could read is its owner's alone from then on.
    """
    if not target.exists() or not hasattr(os, "geteuid"):
        return
    status = target.stat()
    if os.geteuid() == 0:
        os.fchown(handle, status.st_uid, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o007:
        os.fchmod(handle, mode)
