"""MiniLM with weights of 8 bits, run by ONNX Runtime (extra ``onnx``): neither training nor serving needs torch.

``scripts/minilm_int8.py`` makes the file from all-MiniLM-L6-v2 (``make encoders`` runs it), and wheels that are built
after it contain the file. Its vectors differ a little from those of ``minilm``, so it is an encoder of its own, with a
hash of its own (docs/decisions/0065).
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from router_model.features.encoder import FloatArray, unit_rows
from router_model.features.errors import EncoderError
from router_model.install_line import install_line

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from router_model.features.word_pieces import TextBatch

DIMENSION = 384
_FIRST, _LAST = 101, 102  # the pieces [CLS] and [SEP]
_READ_PIECES = 254  # all-MiniLM-L6-v2 was trained with 256, and these two are among them


@dataclass(frozen=True, slots=True)
class OnnxEncoder:
    """MiniLM in ONNX Runtime, on one thread.

    Attributes
    ----------
    session : InferenceSession
        Takes word pieces, int64, shape (1, n); returns their mean vector, shape (1, `DIMENSION`).
    content_hash : str
        Digest of the file.
    """

    session: "InferenceSession"
    content_hash: str

    @classmethod
    def load(cls) -> "OnnxEncoder":
        """Read the file shipped with the package.

        Raises
        ------
        ImportError
            If the extra ``onnx`` is not installed.
        EncoderError
            If the file is missing or damaged.
        """
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError as exc:
            raise ImportError(f"encoder 'minilm-int8' needs onnxruntime: {install_line('onnx')}") from exc
        options = onnxruntime.SessionOptions()
        # A service decides many prompts at once, each in a thread of its own; more threads would spin.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        resource = files("router_model.features").joinpath("assets/minilm_int8.onnx")
        try:
            payload = resource.read_bytes()
        except FileNotFoundError as exc:
            raise EncoderError(
                f"{resource}: not there; 'make encoders' makes it in a checkout, with torch, "
                "and wheels that are built after that contain it"
            ) from exc
        try:
            session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
        except Exception as exc:
            # ONNX Runtime raises several unrelated types for a damaged file
            raise EncoderError(
                f"{resource}: MiniLM cannot be read ({exc}); make it again with 'make encoders'"
            ) from exc
        return cls(session=session, content_hash=f"sha256:{hashlib.sha256(payload).hexdigest()}")

    @property
    def name(self) -> str:
        """The name by which `router_model.features.load_encoder` finds this encoder."""
        return "minilm-int8"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def encode(self, batch: "TextBatch") -> FloatArray:
        """Return the sentence vectors, shape (n, dimension); zeros for an empty text.

        Texts are encoded one at a time. The scale of activations is that of everything encoded together, so a text's
        vector would depend on the others.
        """
        vectors = np.zeros((len(batch), DIMENSION), dtype=np.float32)
        for row, pieces in enumerate(batch.pieces):
            if len(pieces):
                with_ends = np.array([[_FIRST, *pieces[:_READ_PIECES], _LAST]], dtype=np.int64)
                vectors[row] = self.session.run(["vector"], {"pieces": with_ends})[0][0]
        return unit_rows(vectors)
