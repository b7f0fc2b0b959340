"""The keyring's secret, which every hash of a key depends on.

It comes from the environment, or from a separate file next to the key file (``keys.toml`` -> ``keys.toml.secret``) that
is made with the first key. So a key file alone, from a backup or a repository, is useless to whoever finds it.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from router_model.serving.access.keys import key_hash
from router_model.serving.common.service_errors import SettingsError

ENVIRONMENT: Final = "ROUTER_KEYS_SECRET"
MIN_LENGTH: Final = 32


def secret_path(key_file: Path) -> Path:
    """Return the path of the secret of a key file."""
    return key_file.with_name(f"{key_file.name}.secret")


def read_secret(key_file: Path) -> bytes:
    """Return the secret of a key file, from the environment or else from the file next to it.

    Raises
    ------
    SettingsError
        If neither has a secret, or the secret is too short.
    """
    if from_environment := os.environ.get(ENVIRONMENT):
        return _checked(from_environment.encode(), f"environment variable {ENVIRONMENT}")
    path = secret_path(key_file)
    try:
        return _checked(path.read_bytes(), str(path))
    except FileNotFoundError as exc:
        raise SettingsError(
            f"{key_file}: its secret is missing: neither {ENVIRONMENT} is set nor is there a file {path}; bring it "
            "along with the key file (without it none of its keys can be checked), or make new keys in a new file"
        ) from exc
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read ({exc.strerror}); expected the secret of {key_file}") from exc


def read_or_make_secret(key_file: Path) -> bytes:
    """Return the secret of a key file, made now if there is none; the caller holds the key file's lock."""
    path = secret_path(key_file)
    if not os.environ.get(ENVIRONMENT):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return read_secret(key_file)
        except OSError as exc:
            raise SettingsError(f"{path}: cannot be written ({exc.strerror}); set {ENVIRONMENT} instead") from exc
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(MIN_LENGTH).encode() + b"\n")
            file.flush()
            # Before the key file is written: without their secret none of its keys could be checked.
            os.fsync(file.fileno())
    return read_secret(key_file)


def secret_check(secret: bytes) -> str:
    """Return a digest that tells two secrets apart without revealing them; the key file contains it."""
    return key_hash(b"router-model keyring", secret).hex()[:16]


def check_secret(check: str | None, secret: bytes, *, origin: Path) -> None:
    """Refuse a secret that the keys of a file were not made with; `check` is None in an empty file."""
    if check is not None and check != secret_check(secret):
        raise SettingsError(
            f"{origin}: its keys were made under another secret; set {ENVIRONMENT}, or bring {secret_path(origin)}, "
            "to what it was when they were created"
        )


def _checked(text: bytes, origin: str) -> bytes:
    # The file ends in a line break, which is not part of the secret.
    secret = text.strip()
    if len(secret) < MIN_LENGTH:
        raise SettingsError(
            f"{origin}: the secret has {len(secret)} characters; expected at least {MIN_LENGTH} random ones, such as "
            "from: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return secret
