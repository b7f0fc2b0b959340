"""The default encoder: the mean of the token vectors of a text, read from a fixed table.

``python scripts/static_table.py`` distils the table from all-MiniLM-L6-v2. It puts every word piece through the
transformer on its own, reduces the vectors by PCA and gives frequent pieces less weight (the idea of model2vec, with
the smooth inverse frequency of Arora et al. 2017). The vectors are stored as int8, with one scale for each row.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_tensors

from router_model.features.compiled import native_module
from router_model.features.encoder import FloatArray, unit_rows
from router_model.features.errors import EncoderError
from router_model.features.word_pieces import N_WORD_PIECES, TextBatch

_native = native_module()
_TEXTS_AT_ONCE = 4096  # bounds memory: sums are of float64
_AT_ONCE = 128  # pieces summed at once, so that their vectors fit into a core's cache


@dataclass(frozen=True, slots=True)
class StaticEncoder:
    """Averages the shipped token vectors; takes about 0.05 ms for a tokenised prompt.

    Attributes
    ----------
    table : int8 array, shape (N_WORD_PIECES, dimension)
    scale : float64 array, shape (N_WORD_PIECES,)
        A piece's vector is its row of `table` times its `scale`. Scales are multiples of a step, and the largest has at
        most 2**30 steps, so that sums of 2**16 pieces are exact.
    content_hash : str
        Digest of the shipped file.
    """

    table: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float64]
    content_hash: str

    @classmethod
    def load(cls) -> "StaticEncoder":
        """Read the table shipped with the package.

        Raises
        ------
        EncoderError
            If the file is missing or damaged.
        """
        resource = files("router_model.features").joinpath("assets/static_table.safetensors")
        try:
            payload = resource.read_bytes()
            tensors = load_tensors(payload)
            table, scale = tensors["table"], tensors["scale"].astype(np.float32)
        except Exception as exc:
            # safetensors raises several unrelated types for a damaged file
            raise EncoderError(
                f"{resource}: the static encoder's table cannot be read ({exc}); reinstall router-model"
            ) from exc
        if table.dtype != np.int8 or len(table) != N_WORD_PIECES or scale.shape != (N_WORD_PIECES,):
            raise EncoderError(
                f"{resource}: expected int8 rows for {N_WORD_PIECES} word pieces; got {table.dtype} {table.shape}"
            )
        return cls(table=table, scale=_in_steps(scale), content_hash=f"sha256:{hashlib.sha256(payload).hexdigest()}")

    @property
    def name(self) -> str:
        """The name by which `router_model.features.load_encoder` finds this encoder."""
        return "static"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.table.shape[1])

    def encode(self, batch: TextBatch) -> FloatArray:
        """Return the mean token vector of each text, scaled to unit length, shape (n, dimension)."""
        vectors = np.empty((len(batch), self.dimension), dtype=np.float32)
        if _native is not None:
            for vector, ids in zip(vectors, batch.pieces, strict=True):
                _native.encode(self.table, self.scale, np.asarray(ids, dtype=np.int64), vector)  # of many: uint16
            return vectors
        for start in range(0, len(batch), _TEXTS_AT_ONCE):
            some = batch.pieces[start : start + _TEXTS_AT_ONCE]
            sums = np.zeros((len(some), self.dimension))
            for row, ids in enumerate(some):
                if len(ids):
                    sums[row] = self._sum(ids)
            vectors[start : start + len(some)] = unit_rows(sums)
        return vectors

    def _sum(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the sum of pieces' vectors, shape (dimension,).

        All sums are exact. So repeated pieces can be counted first, and the order does not matter. Matrix products of
        BLAS are not used, because they would wake threads for long texts (docs/decisions/0003).
        """
        scale = self.scale.take(ids)
        if len(ids) > _AT_ONCE:
            ids, counts = np.unique(ids, return_counts=True)
            scale = self.scale.take(ids) * counts
        total = np.zeros(self.dimension)
        for start in range(0, len(ids), _AT_ONCE):
            rows = self.table.take(ids[start : start + _AT_ONCE], axis=0).astype(np.float64)
            total += np.einsum("i,ij->j", scale[start : start + _AT_ONCE], rows)
        return total


def _in_steps(scale: FloatArray) -> npt.NDArray[np.float64]:
    """Return scales rounded to 2**-30 of the power of two above the largest."""
    _, exponent = np.frexp(scale.max())
    return np.asarray(np.ldexp(np.rint(np.ldexp(scale.astype(np.float64), 30 - exponent)), exponent - 30))
