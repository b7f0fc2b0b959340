"""Prompts as a log keeps them without their texts: the features that a predictor learns from, sealed with a key.

A record has all that training reads of a prompt: the embedding in 8 bits, the counts of its terms (word pieces and
pairs of neighbours) without their order, the surface features, token counts, and what the request needs. Whoever can
read a record can read the words of its prompt, and which word follows which. To hash the terms with a key would not
change that: beside an embedding in clear, most of them can be told from records alone (docs/decisions/0029). So a
record is encrypted as a whole (Fernet: AES in CBC mode with a message authentication code).

A sealed record is one line of text: ``rf1.<id of the key>.<Fernet token>``.
"""

import hashlib
import os
import secrets
import struct
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from router_model.features.bag import count_terms
from router_model.features.encoder import unit_rows
from router_model.features.errors import FeatureError
from router_model.features.featuriser import PromptFeatures
from router_model.features.prompt import LoggedPrompt, Prompt
from router_model.features.request import FORM_NAMES
from router_model.features.surface import SURFACE_NAMES

KEY_VARIABLE: Final = "ROUTER_LOG_KEY"
"""The environment variable with the path of the key file."""
VERSION: Final = "rf1"

_HASH_BYTES: Final = 8  # of the encoder's content hash
_HEAD: Final = struct.Struct(f"<{_HASH_BYTES}s4sQddIIIHII")
_NEEDS: Final = ("has_system", "has_tools", "wants_json", "has_audio", "has_files")
_MOST_COUNTED: Final = 2**16 - 1
_LARGEST: Final = 2**32 - 1
_INT8_STEPS: Final = 127
_N_SURFACE: Final = {
    hashlib.sha256(" ".join(FORM_NAMES[:n]).encode()).digest()[:4]: n for n in (len(SURFACE_NAMES), len(FORM_NAMES))
}
"""Hash of the names of the surface features, and their number. Records of prompts without tools have those of the text
alone, as older releases wrote them. A release with other features cannot use a record, and must notice it."""
_KEY_BYTES: Final = 32
_MAX_BYTES: Final = 1 << 20  # of an unpacked record; a prompt of `MAX_ENCODED_CHARS` has 100 kB at most


# --- one record ------------------------------------------------------------------------------------------


def pack(features: PromptFeatures, prompt: Prompt, *, text_hash: int, encoder_hash: str) -> bytes:
    """Return the record of one prompt, compressed and not yet sealed.

    Parameters
    ----------
    features : of this prompt alone
    prompt : what was featurised; its text is not read
    text_hash : `router_model.saved.artifact.prompt_hash` of the text
    encoder_hash : content hash of the encoder
    """
    (embedding,), (surface,), (pieces,) = features.embedding, features.surface, features.pieces
    codes, counts = count_terms(pieces)
    if not surface[len(SURFACE_NAMES) :].any():
        surface = surface[: len(SURFACE_NAMES)]
    steps = embedding * (_INT8_STEPS / max(float(np.abs(embedding).max(initial=0.0)), 1e-12))
    head = _HEAD.pack(
        bytes.fromhex(encoder_hash.removeprefix("sha256:"))[:_HASH_BYTES],
        next(known for known, n in _N_SURFACE.items() if n == len(surface)),
        text_hash,
        features.n_input_tokens[0],
        features.max_output_tokens[0],
        prompt.n_images,
        prompt.n_turns,
        min(prompt.n_chars, _LARGEST),
        sum(getattr(prompt, need) << bit for bit, need in enumerate(_NEEDS)),
        len(embedding),
        len(codes),
    )
    arrays = (
        surface.astype("<f4"),
        np.rint(steps).astype("i1"),
        codes.astype("<u4"),
        np.minimum(counts, _MOST_COUNTED).astype("<u2"),
    )
    return zlib.compress(head + b"".join(array.tobytes() for array in arrays))


def unpack(record: bytes) -> LoggedPrompt:
    """Read a record of `pack`.

    Raises
    ------
    FeatureError
        If it is damaged, or was written by a release with other surface features.
    """
    try:
        content = zlib.decompressobj().decompress(record, _MAX_BYTES)
        encoder, surface_hash, text_hash, n_tokens, limit, n_images, n_turns, n_chars, needs, dimension, n_terms = (
            _HEAD.unpack_from(content)
        )
    except (zlib.error, struct.error) as exc:
        raise FeatureError(f"logged features are damaged ({exc}); expected a record of {VERSION}") from exc
    n_surface = _N_SURFACE.get(surface_hash)
    if n_surface is None:
        raise FeatureError(
            "features were logged by a release with other surface features; use that release, or leave the rows out"
        )
    sizes = (4 * n_surface, dimension, 4 * n_terms, 2 * n_terms)
    if _HEAD.size + sum(sizes) != len(content):
        raise FeatureError(f"logged features are damaged: {len(content)} bytes; expected {_HEAD.size + sum(sizes)}")
    ends = _HEAD.size + np.cumsum(sizes)
    surface, embedding, codes, counts = (
        np.frombuffer(content[end - size : end], dtype=dtype)
        for end, size, dtype in zip(ends, sizes, ("<f4", "i1", "<u4", "<u2"), strict=True)
    )
    flags: dict[str, Any] = {need: bool(needs >> bit & 1) for bit, need in enumerate(_NEEDS)}
    return LoggedPrompt(
        encoder=f"sha256:{encoder.hex()}",
        text_hash=text_hash,
        embedding=unit_rows(embedding.astype(np.float32)[None])[0],
        surface=np.pad(surface.astype(np.float32), (0, len(FORM_NAMES) - n_surface)),
        term_codes=codes.astype(np.int64),
        term_counts=counts.astype(np.int64),
        n_input_tokens=n_tokens,
        needs=Prompt(
            text="",
            n_chars=n_chars,
            n_turns=n_turns,
            n_images=n_images,
            max_output_tokens=None if np.isinf(limit) else int(limit),
            **flags,
        ),
    )


# --- keys ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogKeys:
    """The keys of a key file: the first one seals, and each of them opens what it sealed.

    Attributes
    ----------
    origin : where they come from, for messages
    keys : base64 of 32 random bytes each, the newest first
    """

    origin: str
    keys: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<LogKeys of {self.origin}: {', '.join(self._ciphers)}>"  # never a key

    @classmethod
    def read(cls, path: Path) -> "LogKeys":
        """Read a key file: one key a line, as `new_key_file` writes it.

        Raises
        ------
        FeatureError
            If it cannot be read, or holds something else.
        ImportError
            If the package ``cryptography`` is missing.
        """
        try:
            lines = path.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as exc:
            raise FeatureError(
                f"{path}: the key file cannot be read ({exc}); make one with 'router-model log new-key {path}'"
            ) from exc
        found = cls(str(path), tuple(lines))
        try:
            known = len(found._ciphers)
        except ValueError:
            known = 0
        if not known:
            raise FeatureError(
                f"{path}: expected a key in each line (base64 of {_KEY_BYTES} bytes), as 'router-model log new-key' "
                "writes it"
            )
        return found

    @property
    def key_id(self) -> str:
        """The id of the key that seals; it says nothing about the key."""
        return next(iter(self._ciphers))

    def seal(self, record: bytes) -> str:
        """Encrypt a record."""
        token: bytes = self._ciphers[self.key_id].encrypt(record)
        return f"{VERSION}.{self.key_id}.{token.decode()}"

    def open(self, sealed: str) -> bytes:
        """Decrypt a record.

        Raises
        ------
        FeatureError
            If it was sealed with another key, is damaged, or is of another version.
        """
        key_id, token = _parts(sealed)
        if key_id not in self._ciphers:
            raise FeatureError(
                f"features were sealed with the key {key_id}; {self.origin} has {', '.join(self._ciphers)}. "
                "Add that key's line to the file"
            )
        try:
            record: bytes = self._ciphers[key_id].decrypt(token)
        except _fernet().InvalidToken as exc:
            raise FeatureError(
                f"features of the key {key_id} are damaged: they were changed after they were sealed"
            ) from exc
        return record

    @cached_property
    def _ciphers(self) -> dict[str, Any]:
        return {_key_id(key): _fernet().Fernet(key) for key in self.keys}


def keys_for(sealed: Sequence[str]) -> LogKeys:
    """Read the key file that the environment names, to open sealed records.

    Raises
    ------
    FeatureError
        If the environment names none; the message says with which key the records were sealed.
    """
    path = os.environ.get(KEY_VARIABLE)
    if not path:
        raise FeatureError(
            f"the table has features of {len(sealed):,} prompts, sealed with the key {_parts(sealed[0])[0]}; set "
            f"{KEY_VARIABLE} to the key file of the service that logged them (--log-key)"
        )
    return LogKeys.read(Path(path))


def open_prompts(sealed: Sequence[str]) -> list[LoggedPrompt]:
    """Open sealed records with the keys that the environment names.

    Raises
    ------
    FeatureError
        If there is no key, another key, or a record is damaged.
    """
    if not sealed:
        return []
    keys = keys_for(sealed)
    return [unpack(keys.open(one)) for one in sealed]


def new_key_file(path: Path) -> LogKeys:
    """Write a new key into a file that only its owner can read.

    If there is a key file already, the new key becomes its first line, and the old ones stay to open what they sealed.

    Raises
    ------
    FeatureError
        If the file holds something else, or cannot be written.
    """
    old = LogKeys.read(path).keys if path.exists() else ()
    made = replace(LogKeys(str(path), ()), keys=(urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode(), *old))
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("".join(f"{key}\n" for key in made.keys))
        new.replace(path)
    except OSError as exc:
        raise FeatureError(f"{path}: the key file cannot be written ({exc.strerror or exc})") from exc
    return made


def is_sealed(text: str) -> bool:
    """Return whether a text has the form of a sealed record."""
    version, *rest = text.split(".")
    return version == VERSION and len(rest) == len(("key id", "token")) and all(rest)


def _parts(sealed: str) -> tuple[str, str]:
    if not is_sealed(sealed):
        raise FeatureError(f"got {sealed[:20]!r}; expected features as the decision log keeps them ({VERSION}.…)")
    _, key_id, token = sealed.split(".")
    return key_id, token


def _key_id(key: str) -> str:
    return hashlib.sha256(b"router-model log key\0" + key.encode()).hexdigest()[:8]


def _fernet() -> ModuleType:
    try:
        from cryptography import fernet  # noqa: PLC0415  (only logs with features need it)
    except ImportError as exc:
        raise ImportError("features in logs need the package cryptography: pip install cryptography") from exc
    return fernet
