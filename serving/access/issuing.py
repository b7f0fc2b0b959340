"""Create, rotate and revoke keys, as ``router-model keys`` does."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from router_model.serving.access.key_budget import KeyBudget
from router_model.serving.access.key_file import KeyFile, edit_key_file
from router_model.serving.access.keyring_secret import check_secret, read_or_make_secret, read_secret, secret_check
from router_model.serving.access.keys import KEY_PATTERN, Key, key_hash, new_key_text
from router_model.serving.common.callers import Role
from router_model.serving.common.router_names import ROUTER_NAME
from router_model.serving.common.service_errors import SettingsError

MAX_NAME: Final = 100


def create_key(
    path: Path,
    *,
    name: str,
    roles: Iterable[Role],
    requests_per_minute: int | None = None,
    feedback_per_day: int | None = None,
    max_concurrent: int | None = None,
    budget: KeyBudget | None = None,
    expires: datetime | None = None,
    router: str | None = None,
) -> tuple[Key, str]:
    """Add a key to a key file; the file is made if it does not exist.

    Returns
    -------
    key : the entry in the file
    text : the key itself, which nobody can recover later

    Raises
    ------
    SettingsError
        If a valid key has that name, the router's name is none, or the file or its secret cannot be used.
    """
    if router is not None and ROUTER_NAME.fullmatch(router) is None:
        raise SettingsError(f"router {router!r}; expected the NAME of a 'serve --router NAME=ARTIFACT', such as code")
    if not name.isprintable() or not name.strip() or len(name) > MAX_NAME:
        raise SettingsError(f"name {name!r}; expected 1 to {MAX_NAME} printable characters")
    key_id, text = new_key_text()
    now = _now()
    made: list[Key] = []

    def add(before: KeyFile) -> KeyFile:
        for other in before.keys.values():
            if other.name == name and not other.ended(now):
                raise SettingsError(f"{path}: key {other.id} is already named {name!r}; choose another or revoke it")
        # a new secret would make all existing keys useless
        secret = read_secret(path) if before.keys else read_or_make_secret(path)
        check_secret(before.secret_check, secret, origin=path)
        key = Key(
            id=key_id,
            name=name,
            roles=frozenset(roles),
            hash=key_hash(text.encode(), secret),
            created=now,
            expires=expires,
            requests_per_minute=requests_per_minute,
            feedback_per_day=feedback_per_day,
            max_concurrent=max_concurrent,
            budget=budget,
            router=router,
        )
        made.append(key)
        return replace(before, secret_check=secret_check(secret)).with_key(key)

    edit_key_file(path, add)
    return made[0], text


def rotate_key(path: Path, key_id: str, *, overlap: timedelta) -> tuple[Key, str]:
    """Give a key a new text; its id, roles, limits, spending and decisions stay.

    Parameters
    ----------
    path : key file
    key_id : str
        Its id, or its whole text.
    overlap : timedelta
        So long the former text is valid, too. A text before that one is refused at once.

    Returns
    -------
    key : the entry in the file
    text : the new text, which nobody can recover later

    Raises
    ------
    SettingsError
        If the file has no such key, the key has ended, or the file's secret cannot be used.
    """
    text = ""

    def rotate(before: KeyFile, key: Key) -> Key:
        nonlocal text
        now = _now()
        if ended := key.ended(now):
            raise SettingsError(f"{path}: key {key.id} {ended} ('router-model keys create')")
        secret = read_secret(path)
        check_secret(before.secret_check, secret, origin=path)
        _, text = new_key_text(key.id)
        return replace(key, hash=key_hash(text.encode(), secret), former_hash=key.hash, former_expires=now + overlap)

    return _change(path, key_id, rotate), text


def revoke_key(path: Path, key_id: str) -> Key:
    """Revoke a key; running services refuse it within a second.

    Parameters
    ----------
    path : key file
    key_id : str
        Its id, or its whole text, in case a leaked key is to be revoked.

    Returns
    -------
    Key
        The key after the change; a key that was revoked before keeps its time.

    Raises
    ------
    SettingsError
        If the file has no such key.
    """
    return _change(path, key_id, lambda _, key: replace(key, revoked=key.revoked or _now()))


def _change(path: Path, key_id: str, change: Callable[[KeyFile, Key], Key]) -> Key:
    """Replace the key with an id, or with a text, by what `change` makes of it."""
    text = KEY_PATTERN.fullmatch(key_id)
    wanted = text[1] if text else key_id
    changed: list[Key] = []

    def replaced(before: KeyFile) -> KeyFile:
        key = before.keys.get(wanted)
        if key is None:
            raise SettingsError(f"{path}: has no key of that id; 'router-model keys list' shows them")
        changed.append(change(before, key))
        return before.with_key(changed[0])

    if not path.exists():
        raise SettingsError(f"{path}: there is no such key file; name it with --file")
    edit_key_file(path, replaced)
    return changed[0]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
