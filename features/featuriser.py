"""Compute all features of prompts that a predictor reads, and tokenise each prompt only once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.features.encoder import Encoder
from router_model.features.prompt import Prompt, PromptLike
from router_model.features.surface import surface_features
from router_model.features.word_pieces import tokenise

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PromptFeatures:
    """The features of n prompts; they do not depend on any model.

    Attributes
    ----------
    embedding : float32 array, shape (n, dimension), rows of unit length
    surface : float32 array, shape (n, len(SURFACE_NAMES))
    pieces : list of n int64 arrays
        Word-piece ids.
    n_input_tokens : float64 array, shape (n,)
        Word pieces of the whole prompt; if it was clipped, scaled up from the part that was read.
    n_images : float64 array, shape (n,)
    max_output_tokens : float64 array, shape (n,)
        The most tokens that the request lets a model write; infinite if it sets no limit.
    """

    embedding: FloatArray
    surface: FloatArray
    pieces: list[IntArray]
    n_input_tokens: npt.NDArray[np.float64]
    n_images: npt.NDArray[np.float64]
    max_output_tokens: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pieces)

    def take(self, rows: npt.NDArray[np.intp]) -> "PromptFeatures":
        """Return the features of some prompts, by their indices."""
        return PromptFeatures(
            embedding=self.embedding[rows],
            surface=self.surface[rows],
            pieces=[self.pieces[row] for row in rows],
            n_input_tokens=self.n_input_tokens[rows],
            n_images=self.n_images[rows],
            max_output_tokens=self.max_output_tokens[rows],
        )


def featurise(prompts: Sequence[PromptLike], encoder: Encoder) -> PromptFeatures:
    """Compute the features of prompts.

    Raises
    ------
    PromptError
        If one of them is neither text nor chat messages.
    """
    parsed = [Prompt.parse(prompt) for prompt in prompts]
    batch = tokenise([prompt.text for prompt in parsed])
    # Lists first, then one array of each: for a single prompt, each call of numpy takes a noticeable share of the time.
    lengths = zip(parsed, map(len, batch.pieces), strict=True)
    n_input_tokens = [n * max(prompt.n_chars / max(len(prompt.text), 1), 1.0) for prompt, n in lengths]
    return PromptFeatures(
        embedding=encoder.encode(batch),
        surface=surface_features(parsed),
        pieces=batch.pieces,
        n_input_tokens=np.array(n_input_tokens, dtype=np.float64),
        n_images=np.array([prompt.n_images for prompt in parsed], dtype=np.float64),
        max_output_tokens=np.array([prompt.max_output_tokens or np.inf for prompt in parsed], dtype=np.float64),
    )
