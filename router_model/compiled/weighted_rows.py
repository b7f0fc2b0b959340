"""A weighted sum of some rows of a matrix: what most of a decision's time goes into, at the speed of memory.

BLAS has it for all rows (matrix-vector products) and may wake threads for it, which costs concurrent callers
more than it gains one (docs/decisions/0003).
"""

import numpy as np
import numpy.typing as npt

from router_model.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def weighted_rows(values: FloatArray, rows: IntArray, matrix: FloatArray) -> FloatArray:
    """Return ``values @ matrix[rows]``, shape (n_columns,).

    Parameters
    ----------
    values, rows : shape (n,)
    matrix : shape (n_rows, n_columns)
    """
    return np.asarray(_weighted_rows(values, rows, matrix))


@compiled
def _weighted_rows(values, rows, matrix):
    n_columns = matrix.shape[1]
    total = np.zeros(n_columns, dtype=np.float32)
    whole = len(rows) // 4 * 4  # four rows at a time, as each time the sum is read and written
    for each in range(0, whole, 4):
        first, second = matrix[rows[each]], matrix[rows[each + 1]]
        third, fourth = matrix[rows[each + 2]], matrix[rows[each + 3]]
        a, b, c, d = values[each], values[each + 1], values[each + 2], values[each + 3]
        for column in range(n_columns):
            total[column] += a * first[column] + b * second[column] + c * third[column] + d * fourth[column]
    for each in range(whole, len(rows)):
        row, own = matrix[rows[each]], values[each]
        for column in range(n_columns):
            total[column] += own * row[column]
    return total
