"""Check at the start that the settings let the right callers in, and nobody else."""

import logging
import os
import stat
from pathlib import Path

from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keyring_secret import ENVIRONMENT, read_secret, secret_path
from router_model.serving.common.callers import Role
from router_model.serving.common.loopback import is_loopback
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings

logger = logging.getLogger(__name__)


def check_access(settings: Settings, *, is_worker: bool = False) -> Keyring | None:
    """Return the keys that the service checks, or None if it runs without keys.

    Parameters
    ----------
    is_worker : bool
        A worker may be started again while a key is in the file that asks an unknown router. It logs that, because
        it has to serve the other keys.

    Raises
    ------
    SettingsError
        If there are no keys and ``insecure`` was not set, or if others could reach the service without a key; if
        no valid key may ask for decisions; if a key asks a router that there is not; if the key file or its secret
        cannot be used.
    """
    if settings.insecure:
        _check_insecure(settings)
        return None
    if settings.keys is None:
        raise SettingsError(
            "no key file; make one with 'router-model keys create --file keys.toml --name gateway --role decide' and "
            "pass it as --keys keys.toml (ROUTER_KEYS); or, to try it out on this machine only, start with --insecure "
            "(ROUTER_INSECURE=true)"
        )
    if not settings.keys.is_file():
        raise SettingsError(
            f"{settings.keys}: there is no such key file; make it with 'router-model keys create "
            f"--file {settings.keys} --name gateway --role decide'"
        )
    keyring = Keyring.load(settings.keys, secret=read_secret(settings.keys), routers=tuple(settings.by_router))
    if astray := keyring.astray():
        if not is_worker:
            raise SettingsError(astray)
        logger.error("%s; until then its requests to 'auto' fail", astray)
    may_ask = {Role.DECIDE, Role.PROXY}
    if not any(key.roles & may_ask and key.revoked is None for key in keyring.all_keys):
        raise SettingsError(
            f"{settings.keys}: no valid key has the role decide or proxy, so nobody could ask for anything; make one "
            f"with 'router-model keys create --file {settings.keys} --name gateway --role decide'"
        )
    _warn_if_readable(settings.keys)
    # With the variable there need not be a file, and `stat` would fail.
    if not os.environ.get(ENVIRONMENT):
        _warn_if_readable(secret_path(settings.keys))
    return keyring


def _check_insecure(settings: Settings) -> None:
    if settings.keys is not None:
        raise SettingsError(f"--insecure and a key file ({settings.keys}); leave one of them out")
    if not is_loopback(settings.host):
        raise SettingsError(
            f"--insecure on {settings.host}, which others may reach; expected 127.0.0.1, ::1 or localhost; make a key "
            "with 'router-model keys create' and start with --keys instead"
        )
    logger.warning(
        "running without keys: everybody who can reach %s port %s may do everything", settings.host, settings.port
    )


def _warn_if_readable(path: Path) -> None:
    # That the group reads it is how a service's user gets a file of root's.
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o027:
        logger.warning("%s: others can read or change it (mode %03o); run: chmod o-rwx,g-w %s", path, mode, path)
