"""Values whose arrays begin at boundaries of memory, also after they were sent.

Dask puts the buffers of a message one after the other, so arrays that are read from it may begin anywhere. Compiled
code refuses such arrays. Buffers are sent apart from the value here, and those that begin elsewhere are copied where
they arrive.
"""

import pickle
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

_BOUNDARY = 16
_WITH_BUFFERS = 5  # protocol of pickle; Dask uses 4 for some messages


class Aligned:
    """Carries a value from one process to another.

    Examples
    --------
    >>> sent = pickle.dumps(Aligned(np.arange(3.0)), protocol=5)
    >>> pickle.loads(sent).value
    array([0., 1., 2.])
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Send buffers apart from the value where the protocol can; else within, where each gets memory of its own."""
        buffers: list[pickle.PickleBuffer] = []
        if int(protocol) < _WITH_BUFFERS:
            return _received, (pickle.dumps(self.value, protocol=_WITH_BUFFERS), buffers)
        head = pickle.dumps(self.value, protocol=_WITH_BUFFERS, buffer_callback=buffers.append)
        return _received, (head, buffers)


def _received(head: bytes, buffers: Sequence[Any]) -> Aligned:
    return Aligned(pickle.loads(head, buffers=[at_boundary(each) for each in buffers]))  # noqa: S301  (of our own engine)


def at_boundary(buffer: Any) -> npt.NDArray[np.uint8]:
    """Return the bytes of a buffer, copied if they do not begin at a boundary."""
    found = np.frombuffer(buffer, dtype=np.uint8)
    return found if found.ctypes.data % _BOUNDARY == 0 else found.copy()
