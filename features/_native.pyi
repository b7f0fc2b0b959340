from collections.abc import Callable

import numpy as np
import numpy.typing as npt

def describe(text: str, n_chars: int, page_of: Callable[[int], bytes], out: npt.NDArray[np.float32]) -> None: ...
def encode(
    table: npt.NDArray[np.int8],
    scale: npt.NDArray[np.float64],
    ids: npt.NDArray[np.int64],
    out: npt.NDArray[np.float32],
) -> None: ...
