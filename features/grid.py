"""Numbers on a grid, whose sums are the same in any order.

Processors add the terms of a sum in orders of their own, and floats then differ in the last bits. A booster that
splits there decides otherwise on another processor. Multiples of a power of two do not differ: as long as a sum stays
below 2**24 of its steps (float32) or 2**53 (float64), floats hold it, and every part of it, exactly. So what decisions
read is put on a grid before it is summed, and whoever sums says why the sum stays below (docs/decisions/0013).
"""

import numpy as np
import numpy.typing as npt

GRID_STEPS = 2**14
"""Steps in 1 of the grid of vectors of unit length: their entries are integers of 16 bits, their cosines of 30."""


def on_grid(values: npt.NDArray[np.floating], steps: int = GRID_STEPS) -> npt.NDArray[np.float32]:
    """Return the nearest multiples of ``1 / steps``, float32, which holds them exactly up to ``2**24 / steps``.

    Parameters
    ----------
    steps : a power of two

    Examples
    --------
    >>> on_grid(np.array([0.6, -0.8], dtype=np.float32)).tolist()  # 9830 and -13107 steps
    [0.5999755859375, -0.79998779296875]
    """
    return np.asarray(np.rint(values * values.dtype.type(steps)) / steps, dtype=np.float32)
