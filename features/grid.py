"""Round numbers to a grid (multiples of a power of two), so that their sums are the same in any order.

Processors add the terms of a sum in different orders, and the last bits of a float sum depend on the order. If a
booster's threshold lies between two such sums, the same prompt is decided differently on two processors. Sums of grid
numbers do not differ: while a sum stays below 2**24 steps (float32) or 2**53 steps (float64), floats hold it and all
its partial sums exactly. So the inputs of decisions are put on a grid before they are summed. The code that sums says
why its sums stay below the limit (docs/decisions/0013).
"""

import numpy as np
import numpy.typing as npt

GRID_STEPS = 2**14
"""Steps per unit of the grid for vectors of unit length: entries are integers of 16 bits, and cosines of 30 bits."""


def on_grid(values: npt.NDArray[np.floating], steps: int = GRID_STEPS) -> npt.NDArray[np.float32]:
    """Round to multiples of ``1 / steps``; float32 holds these exactly up to ``2**24 / steps``.

    Parameters
    ----------
    steps : a power of two

    Examples
    --------
    >>> on_grid(np.array([0.6, -0.8], dtype=np.float32)).tolist()  # 9830 and -13107 steps
    [0.5999755859375, -0.79998779296875]
    """
    return np.asarray(np.rint(values * values.dtype.type(steps)) / steps, dtype=np.float32)
