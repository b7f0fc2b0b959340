"""Compute all features of prompts that a predictor reads, and tokenise each prompt only once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_model.features.bag import Terms
from router_model.features.encoder import Encoder
from router_model.features.errors import EncoderError
from router_model.features.prompt import LoggedPrompt, Prompt, PromptLike
from router_model.features.request import FORM_NAMES, form_features
from router_model.features.word_pieces import TextBatch, tokenise
from router_model.summary import Summarised, Summary

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_LOG_CHARS = FORM_NAMES.index("log_chars")
_AT_ONCE = 4096  # prompts parsed and tokenised at once

TOOL_CHARS_A_PIECE = 4.0
"""Characters of the tools' JSON that count as one word piece. On `bfcl`, input tokens are then off by 5 to 24 %, and
were off by 56 to 70 % when tools did not count (docs/decisions/0040)."""


@dataclass(frozen=True, slots=True, repr=False)
class PromptFeatures(Summarised):
    """The features of n prompts; they do not depend on any model.

    Attributes
    ----------
    embedding : float32 array, shape (n, dimension), rows of unit length
    surface : float32 array, shape (n, len(FORM_NAMES))
        Of the text, and of the request around it (`router_model.features.request`).
    pieces : list of n int64 arrays (uint16 of many prompts, which takes a quarter of the memory), or Terms
        Word-piece ids in their order; of logged prompts the counts of terms, without their order.
    n_input_tokens : float64 array, shape (n,)
        Word pieces of the whole prompt; if it was clipped, scaled up from the part that was read. The tools that the
        request offers count, too.
    n_images : float64 array, shape (n,)
    max_output_tokens : float64 array, shape (n,)
        The most tokens that the request lets a model write; infinite if it sets no limit.
    """

    embedding: FloatArray
    surface: FloatArray
    pieces: list[IntArray | Terms]
    n_input_tokens: npt.NDArray[np.float64]
    n_images: npt.NDArray[np.float64]
    max_output_tokens: npt.NDArray[np.float64]

    def summary(self) -> Summary:
        """Return how many prompts there are, and how long they are."""
        pieces = self.n_input_tokens.mean() if len(self) else 0.0
        size = "x".join(map(str, self.embedding.shape[1:]))
        return Summary(
            f"PromptFeatures of {len(self):,} prompts: {pieces:,.0f} word pieces on average, {size} numbers each"
        )

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def log_chars(self) -> FloatArray:
        """``log(1 + characters)`` of each prompt's text, shape (n,)."""
        return self.surface[:, _LOG_CHARS]

    def take(self, rows: npt.NDArray[np.intp]) -> "PromptFeatures":
        """Return the features of some prompts, by their indices; of prompts in a row without a copy."""
        at = as_slice(rows)
        return PromptFeatures(
            embedding=self.embedding[at],
            surface=self.surface[at],
            pieces=[self.pieces[row] for row in rows],
            n_input_tokens=self.n_input_tokens[at],
            n_images=self.n_images[at],
            max_output_tokens=self.max_output_tokens[at],
        )

    @classmethod
    def concatenate(cls, parts: Sequence["PromptFeatures"]) -> "PromptFeatures":
        """Join the features of several lists of prompts."""
        return cls(
            embedding=np.concatenate([part.embedding for part in parts]),
            surface=np.concatenate([part.surface for part in parts]),
            pieces=[pieces for part in parts for pieces in part.pieces],
            n_input_tokens=np.concatenate([part.n_input_tokens for part in parts]),
            n_images=np.concatenate([part.n_images for part in parts]),
            max_output_tokens=np.concatenate([part.max_output_tokens for part in parts]),
        )

    def of_prompt(self, row: int) -> "PromptFeatures":
        """Return the features of one prompt."""
        return self if len(self) == 1 else self.take(np.array([row]))  # copies take a noticeable share of a decision


def as_slice(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp] | slice:
    """Return indices that follow each other as a slice, whose rows numpy does not copy; others as they are.

    >>> as_slice(np.array([3, 4, 5])), as_slice(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5]))
    """
    if len(rows) and rows[0] >= 0 and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def featurise(prompts: Sequence[PromptLike], encoder: Encoder) -> PromptFeatures:
    """Compute the features of prompts; those of a `LoggedPrompt` were computed when it was logged.

    Raises
    ------
    PromptError
        If one of them is neither text nor chat messages.
    EncoderError
        If one of them was logged with another encoder.
    """
    if any(isinstance(prompt, LoggedPrompt) for prompt in prompts):
        return _of_log(prompts, encoder)
    if len(prompts) > _AT_ONCE:
        return _in_parts(prompts, encoder)
    parsed = [Prompt.parse(prompt) for prompt in prompts]
    batch = tokenise([prompt.text for prompt in parsed])
    return _features_of(parsed, batch, encoder.encode(batch))


def _in_parts(prompts: Sequence[PromptLike], encoder: Encoder) -> PromptFeatures:
    """Compute the features of many prompts some at a time, because their lists of pieces would take most memory."""
    texts: list[str] = []
    pieces: list[IntArray] = []
    parts: list[PromptFeatures] = []
    none = np.empty((_AT_ONCE, 0), dtype=np.float32)
    for start in range(0, len(prompts), _AT_ONCE):
        parsed = [Prompt.parse(prompt) for prompt in prompts[start : start + _AT_ONCE]]
        batch = tokenise([prompt.text for prompt in parsed]).compact()
        parts.append(_features_of(parsed, batch, none[: len(parsed)]))
        texts += batch.texts
        pieces += batch.pieces
    return replace(PromptFeatures.concatenate(parts), embedding=encoder.encode(TextBatch(texts, pieces)))


def _features_of(parsed: Sequence[Prompt], batch: TextBatch, embedding: FloatArray) -> PromptFeatures:
    # Lists first, then one array of each: for a single prompt, each call of numpy takes a noticeable share of the time.
    lengths = zip(parsed, map(len, batch.pieces), strict=True)
    n_input_tokens = [
        n * max(prompt.n_chars / max(len(prompt.text), 1), 1.0) + prompt.tools.json_chars / TOOL_CHARS_A_PIECE
        for prompt, n in lengths
    ]
    return PromptFeatures(
        embedding=embedding,
        surface=form_features(parsed),
        pieces=[*batch.pieces],
        n_input_tokens=np.array(n_input_tokens, dtype=np.float64),
        n_images=np.array([prompt.n_images for prompt in parsed], dtype=np.float64),
        max_output_tokens=np.array([prompt.max_output_tokens or np.inf for prompt in parsed], dtype=np.float64),
    )


def _of_log(prompts: Sequence[PromptLike], encoder: Encoder) -> PromptFeatures:
    """Return the features of prompts, where some or all were logged without their texts."""
    logged = {row: prompt for row, prompt in enumerate(prompts) if isinstance(prompt, LoggedPrompt)}
    other = next((one.encoder for one in logged.values() if not encoder.content_hash.startswith(one.encoder)), None)
    if other is not None:
        raise EncoderError(
            f"prompts were logged as features by the encoder {other}, and the encoder {encoder.name!r} here is "
            f"{encoder.content_hash[: len(other)]}; name the encoder of the service that logged them (--encoder)"
        )
    parts = [_logged_features([*logged.values()])]
    with_text = [row for row in range(len(prompts)) if row not in logged]
    if with_text:
        parts.append(featurise([prompts[row] for row in with_text], encoder))
    joined = PromptFeatures.concatenate(parts)
    return joined.take(np.argsort(np.array([*logged, *with_text])))


def _logged_features(prompts: Sequence[LoggedPrompt]) -> PromptFeatures:
    return PromptFeatures(
        embedding=np.stack([prompt.embedding for prompt in prompts]),
        surface=np.stack([prompt.surface for prompt in prompts]),
        pieces=[Terms(prompt.term_codes, prompt.term_counts) for prompt in prompts],
        n_input_tokens=np.array([prompt.n_input_tokens for prompt in prompts], dtype=np.float64),
        n_images=np.array([prompt.needs.n_images for prompt in prompts], dtype=np.float64),
        max_output_tokens=np.array([prompt.needs.max_output_tokens or np.inf for prompt in prompts], dtype=np.float64),
    )
