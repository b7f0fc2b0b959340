"""Sketches of training prompts, by which near duplicates of them are recognised without their texts.

A sketch has `N_BINS` numbers of 16 bits: in each bin, the least hash of the prompt's rare shingles (one-permutation
MinHash: Li, Owen & Zhang 2012). The share of equal bins estimates how alike two prompts are. A text cannot be restored
from its sketch. But whoever has the router can test whether a guessed prompt, or nearly that prompt, was among them.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

N_BINS: Final = 64
EMPTY: Final = 2**16 - 1
"""The number of a bin that no shingle falls into."""


@dataclass(frozen=True, slots=True)
class TextSketches:
    """Sketches of n prompts.

    Attributes
    ----------
    minima : uint16 array, shape (n, N_BINS)
    common : uint64 array, sorted
        Hashes of shingles that many prompts have, from their templates. They are left out of the sketches.
    """

    minima: npt.NDArray[np.uint16]
    common: npt.NDArray[np.uint64]

    def check(self) -> None:
        """Check types and shapes of loaded sketches.

        Raises
        ------
        ValueError
        """
        if self.minima.dtype != np.uint16 or self.minima.ndim != 2 or self.minima.shape[1] != N_BINS:  # noqa: PLR2004
            raise ValueError(f"sketches: {self.minima.dtype} {self.minima.shape}; expected uint16 (n, {N_BINS})")
        if self.common.dtype != np.uint64 or self.common.ndim != 1 or not (self.common[1:] > self.common[:-1]).all():
            raise ValueError("the common shingles are not ascending hashes of 64 bits")

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by the names under which they are saved."""
        return {"sketches.minima": self.minima, "sketches.common": self.common}

    @classmethod
    def pop(cls, arrays: dict[str, npt.NDArray[Any]]) -> "TextSketches | None":
        """Take the sketches out of saved arrays; None for an older router without them.

        Raises
        ------
        ValueError
        """
        if "sketches.minima" not in arrays and "sketches.common" not in arrays:
            return None
        if "sketches.minima" not in arrays or "sketches.common" not in arrays:
            raise ValueError("only one of sketches.minima and sketches.common is there; expected both or none")
        found = cls(arrays.pop("sketches.minima"), arrays.pop("sketches.common"))
        found.check()
        return found
