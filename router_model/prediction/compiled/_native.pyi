from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]

PROCESSORS: tuple[str, ...]

class Forest:
    def __new__(cls, arrays: dict[str, Array], /) -> Self: ...
    def mean_score(self, columns: FloatArray, scores: npt.NDArray[np.float64], processor: str, /) -> None: ...

class Predictor:
    def __new__(cls, arrays: dict[str, Array], forests: tuple[Forest | None, ...], processor: str, /) -> Self: ...
    def predict(
        self,
        pieces: IntArray,
        starts: IntArray,
        embedding: FloatArray,
        surface: FloatArray,
        out: FloatArray,
        below: int,
        above: int,
        share: float,
        /,
    ) -> None: ...
    def evidence(
        self, pieces: IntArray, starts: IntArray, embedding: FloatArray, surface: FloatArray, out: FloatArray, /
    ) -> None: ...
