"""How like the logged prompts one prompt is: the kernel of `router_model.kernel`, without matrix products.

Terms that more than a fifth of the logged prompts have are rows of a dense array, which vectors add four times as fast
as an inverted list; the others are read from the inverted index. Embeddings stay in 32 bits: 16-bit integers take half
the time and move one probability in fifty by more than 0.001 (docs/decisions/0010).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from router_model.compiled.errors import NotCompilableError
from router_model.compiled.jit import compiled
from router_model.compiled.terms import Bag
from router_model.compiled.weighted_rows import weighted_rows
from router_model.evidence import EvidenceModel
from router_model.kernel import Kernel, SurfaceScale

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Array = np.ndarray[Any, np.dtype[Any]]

_COMMON_SHARE = 0.2  # of the logged prompts have a common term; measured, docs/decisions/0010
_MAX_COMMON = 768  # terms; bounds memory at 768 x n_bank floats


class Likeness(NamedTuple):
    """One prompt beside the logged ones.

    Attributes
    ----------
    kernel : float32 array, shape (n_bank,)
    nearest_embedding, nearest_bag : cosine of the nearest; -1 beside an empty bank
    """

    kernel: FloatArray
    nearest_embedding: float
    nearest_bag: float


@dataclass(frozen=True, slots=True)
class BagIndex:
    """The logged prompts' bags, by term.

    Attributes
    ----------
    common_row : int64 array, shape (n_terms,)
        Of a common term in `common`, -1 of others.
    common : float32 array, shape (n_common, n_bank)
    start, prompt, weight : the inverted index (CSR): where a term's list starts, its prompts and their weights
    """

    common_row: IntArray
    common: FloatArray
    start: Array
    prompt: Array
    weight: FloatArray

    @classmethod
    def of(cls, index: Any) -> "BagIndex":
        """Lay out an inverted index, a CSR array of shape (n_terms, n_bank)."""
        n_prompts = np.diff(index.indptr)
        commonest = np.argsort(-n_prompts, kind="stable")[:_MAX_COMMON]
        common = np.sort(commonest[n_prompts[commonest] > _COMMON_SHARE * index.shape[1]])
        common_row = np.full(index.shape[0], -1, dtype=np.int64)
        common_row[common] = np.arange(len(common))
        return cls(
            common_row,
            np.array(index[common].toarray(), dtype=np.float32, order="C"),
            np.array(index.indptr),
            np.array(index.indices),
            np.array(index.data, dtype=np.float32),
        )

    def cosines(self, bag: Bag) -> FloatArray:
        """Return the cosines of a prompt's bag with the logged ones, shape (n_bank,)."""
        rows = self.common_row[bag.terms]
        common, rare = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        found = weighted_rows(bag.weights[common], rows[common], self.common)
        _add_lists(found, bag.terms[rare], bag.weights[rare], self.start, self.prompt, self.weight)
        return found


@dataclass(frozen=True, slots=True)
class LikenessModel:
    """The bank's prompts, laid out for one query at a time.

    Attributes
    ----------
    embeddings : float32 array, shape (dimension, n_bank)
    bags : BagIndex
    logged_form : float32 array, shape (n_surface + 1, n_bank), see `router_model.kernel.by_feature`
    kernel, scale : as in `router_model.kernel.KernelHead`
    """

    embeddings: FloatArray
    bags: BagIndex
    logged_form: FloatArray
    kernel: Kernel
    scale: SurfaceScale

    @classmethod
    def of(cls, model: EvidenceModel) -> "LikenessModel":
        """Lay out the bank of an evidence model.

        Raises
        ------
        NotCompilableError
            If embeddings are sparse, or bags are dense.
        """
        embeddings: Any = model.embedding.index
        index: Any = model.bag.index
        if not isinstance(embeddings, np.ndarray) or not hasattr(index, "indptr"):
            raise NotCompilableError("expected dense embeddings and sparse bags of the logged prompts")
        return cls(
            embeddings=writable(embeddings),
            bags=BagIndex.of(index),
            logged_form=writable(model.kernel.logged_form),
            kernel=model.kernel.kernel,
            scale=model.kernel.scale,
        )

    def compare(self, embedding: FloatArray, bag: Bag, surface: FloatArray) -> Likeness:
        """Compare one prompt with all logged ones.

        Parameters
        ----------
        embedding : shape (dimension,)
        surface : shape (n_surface,)
        """
        cosines = weighted_rows(embedding, np.arange(len(embedding)), self.embeddings)
        bags = self.bags.cosines(bag)
        nearest = float(cosines.max(initial=-1.0)), float(bags.max(initial=-1.0))
        cosines *= self.kernel.embedding
        bags *= self.kernel.bag
        cosines += bags
        cosines += self._nearness(self.scale.form(surface[None])[0])
        cosines -= self.kernel.embedding + self.kernel.bag
        return Likeness(np.exp(cosines, out=cosines), *nearest)

    def _nearness(self, form: FloatArray) -> FloatArray:
        """Return minus half the squared distances of forms times the kernel's slope, shape (n_bank,)."""
        slope = np.float32(self.kernel.surface)
        own = np.append(slope * form, slope)
        rows = np.flatnonzero(own)
        nearness = weighted_rows(own[rows], rows, self.logged_form)
        nearness -= slope / 2 * (form @ form)
        return nearness


def writable(array: FloatArray) -> FloatArray:
    """Return an array in the one layout that functions are compiled for, and not a copy where it is in it already."""
    return np.require(array, dtype=np.float32, requirements=["C", "W"])


@compiled
def _add_lists(found, terms, weights, start, prompt, weight):
    """Add the weighted lists of some terms to what was found, in place."""
    for each in range(len(terms)):
        own = weights[each]
        for entry in range(start[terms[each]], start[terms[each] + 1]):
            found[prompt[entry]] += own * weight[entry]
