"""Keep embeddings on disk, so that a transformer encodes each text only once.

`cached` wraps an encoder and returns an encoder. A vector is stored under its text and the encoder's content hash. So
if a table has some new prompts, only these are encoded. The cache stores hashes of texts, not the texts. The static
encoder is faster than reading from disk, so it is not cached.

There is one SQLite file for each encoder, in ``embeddings`` of `router_model.training.cache_folder.cache_folder`. A
batch of texts is one transaction, so a killed process or Ctrl-C leaves only whole batches, and several processes may
write at once. Every vector has a checksum. If a file grows beyond about `MAX_BYTES`, the oldest vectors are deleted.
The folder may be deleted at any time.

Damaged vectors are dropped and computed again. If the cache cannot be used (no space, no permission), encoding goes on
without it. Both cases log one warning for each call.

The last digits of a transformer's vector depend on the texts that it was batched and padded with. The cache keeps the
vector that was computed first, so later runs get the same bits.
"""

import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from router_model.features import Encoder
from router_model.features.encoder import FloatArray
from router_model.features.word_pieces import TextBatch
from router_model.training.cache_folder import cache_folder

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 30
"""The most bytes for the vectors of one encoder: 650,000 vectors of MiniLM."""
TEXTS_AT_ONCE: Final = 128
"""Number of texts that are encoded between two transactions, which takes MiniLM about 5 s."""

Advance = Callable[[int, int], None]
Result = TypeVar("Result")

_FORMAT: Final = 1
_KEYS_AT_ONCE: Final = 500  # variables in a statement; SQLite allows 999 or more
_BUSY_LIMIT_S: Final = 60
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_TABLE: Final = "CREATE TABLE IF NOT EXISTS vectors (text BLOB NOT NULL UNIQUE, vector BLOB, checksum INTEGER)"


def cached(encoder: Encoder, *, folder: Path | None = None, advance: Advance = lambda _n_done, _n: None) -> Encoder:
    """Return an encoder that keeps its vectors on disk; the static encoder is returned unchanged.

    Parameters
    ----------
    encoder : Encoder
    folder : folder for the vectors; default: ``embeddings`` in the cache folder
    advance : called after each batch with the number of texts encoded so far and in all, without the cached ones
    """
    if encoder.name == "static":
        return encoder
    digest = hashlib.sha256(f"{_FORMAT}:{encoder.content_hash}".encode()).hexdigest()
    return CachedEncoder(encoder, (folder or cache_folder() / "embeddings") / f"{digest[:32]}.sqlite", advance)


@dataclass(frozen=True, slots=True)
class CachedEncoder:
    """An encoder that looks up texts on disk before it encodes them; see `cached`.

    Attributes
    ----------
    encoder : Encoder
        The wrapped encoder, which has the same name and content hash.
    file : Path
    advance : progress of a call, see `cached`
    """

    encoder: Encoder
    file: Path
    advance: Advance

    @property
    def name(self) -> str:
        """The name by which `router_model.features.load_encoder` finds this encoder."""
        return self.encoder.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.encoder.dimension

    @property
    def content_hash(self) -> str:
        """Digest of the weights that determine the vectors."""
        return self.encoder.content_hash

    def encode(self, batch: TextBatch) -> FloatArray:
        """Return a vector for each text, shape (n, dimension); known vectors are read, the others computed and kept."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in batch.texts]
        with closing(_Store(self.file, self.dimension)) as store:
            vectors = store.read(list(dict.fromkeys(keys)))
            first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in vectors}
            # Batches of texts of about the same length need the least padding.
            missing = sorted(first.values(), key=lambda row: (-len(batch.pieces[row]), row))
            for start in range(0, len(missing), TEXTS_AT_ONCE):
                rows = missing[start : start + TEXTS_AT_ONCE]
                encoded = self.encoder.encode(
                    TextBatch([batch.texts[row] for row in rows], [batch.pieces[row] for row in rows])
                )
                found = {keys[row]: vector for row, vector in zip(rows, encoded, strict=True)}
                store.write(found)
                vectors.update(found)
                self.advance(start + len(rows), len(missing))
        return np.array([vectors[key] for key in keys], dtype=np.float32).reshape(len(keys), store.dimension)


class _Store:
    """Vectors in a SQLite file; if the file cannot be used, no vector is found or kept."""

    def __init__(self, file: Path, dimension: int) -> None:
        self.file = file
        self.dimension = dimension
        self.connection: sqlite3.Connection | None = None
        self.warned = False
        self._attempt(lambda _: None, otherwise=None, connect=True)

    def close(self) -> None:
        """Close the file."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def read(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Return the stored vectors among some keys, by key."""
        known: dict[bytes, FloatArray] = {}
        n_damaged = 0
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            for key, blob, checksum in self._rows(keys[start : start + _KEYS_AT_ONCE]):
                if _is_sound(key, blob, checksum, self.dimension):
                    known[key] = np.frombuffer(blob, dtype="<f4")
                else:
                    n_damaged += 1
        if n_damaged:
            self._warn(f"{n_damaged} of its vectors are damaged; they are computed again")
        return known

    def write(self, vectors: dict[bytes, FloatArray]) -> None:
        """Store vectors in one transaction: all of them, or none if the process ends before."""
        blobs = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        rows = [(key, blob, zlib.crc32(key + blob)) for key, blob in blobs]
        most = MAX_BYTES // (4 * self.dimension + 100)

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                oldest = "SELECT max(rowid) - ? FROM vectors"
                connection.execute(f"DELETE FROM vectors WHERE rowid <= ({oldest})", (most,))  # noqa: S608  (constants)

        self._attempt(insert, otherwise=None)

    def _rows(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes, int]]:
        marks = ", ".join("?" * len(keys))
        query = f"SELECT text, vector, checksum FROM vectors WHERE text IN ({marks})"  # noqa: S608  (question marks)
        return self._attempt(lambda connection: connection.execute(query, keys).fetchall(), otherwise=[])

    def _attempt(
        self, operation: Callable[[sqlite3.Connection], Result], *, otherwise: Result, connect: bool = False
    ) -> Result:
        """Run an operation on the file and return its result; a damaged file is replaced by a new one first."""
        if self.connection is None and not connect:
            return otherwise
        try:
            return self._on_file(operation)
        except (sqlite3.Error, OSError) as exc:
            self.close()
            if not _says_damaged(exc):
                self._warn(f"not usable ({exc}); embeddings are computed and not kept")
                return otherwise
            self._warn(f"damaged ({exc}); a new cache is started")
        try:
            for suffix in ("", "-journal"):
                self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
            return self._on_file(operation)
        except (sqlite3.Error, OSError) as exc:
            logger.warning("embedding cache %s: cannot be created (%s); embeddings are not kept", self.file, exc)
            self.close()
            return otherwise

    def _on_file(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        if self.connection is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(self.file, timeout=_BUSY_LIMIT_S)
            self.connection.execute(_TABLE)
        return operation(self.connection)

    def _warn(self, what: str) -> None:
        if not self.warned:
            logger.warning("embedding cache %s: %s", self.file, what)
            self.warned = True


def _is_sound(key: bytes, blob: object, checksum: object, dimension: int) -> bool:
    return isinstance(blob, bytes) and len(blob) == 4 * dimension and zlib.crc32(key + blob) == checksum


def _says_damaged(exc: Exception) -> bool:
    """Return whether an error means a damaged file; the low byte of SQLite's extended codes is the plain code."""
    return isinstance(exc, sqlite3.Error) and getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
