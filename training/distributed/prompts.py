"""Features of prompts, and predictions for them, a chunk of prompts at a time on the engine in force."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.features import Encoder, load_encoder
from router_model.features.bag import Terms
from router_model.features.errors import EncoderError
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.features.prompt import PromptLike
from router_model.prediction_table import PredictionTable
from router_model.router import Router
from router_model.training.distributed.engine import engine_in_force, spread

Rows = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]

_AT_ONCE: Final = 4096  # prompts of a piece: about 2 MB of text, 6 MB of features, some seconds of work
_IN_BLOCK: Final = 16 * _AT_ONCE  # prompts whose features are kept at a time, where only predictions are wanted


def no_progress(done: int, total: int) -> None:
    """Show no progress."""


def blocks(n: int, progress: Progress = no_progress) -> Iterator[Rows]:
    """Yield the numbers from 0 to below n, so many at a time that features of the prompts fit memory.

    Parameters
    ----------
    progress : called with how many are done and with n, when the next ones are asked for

    >>> told = []
    >>> [len(rows) for rows in blocks(100_000, lambda *now: told.append(now))], told
    ([65536, 34464], [(0, 100000), (65536, 100000)])
    """
    for start in range(0, n, _IN_BLOCK):
        progress(start, n)
        yield np.arange(start, min(start + _IN_BLOCK, n))


def featurise_all(prompts: Sequence[PromptLike], encoder: Encoder) -> PromptFeatures:
    """Compute the features of prompts; see `router_model.features.featuriser.featurise`.

    Workers load the encoder by its name, and the vectors that a transformer computes there are not cached here.
    """
    if not engine_in_force().is_remote or len(prompts) <= _AT_ONCE or not _has_name(encoder):
        return featurise(prompts, encoder)
    pieces = (prompts[start : start + _AT_ONCE] for start in range(0, len(prompts), _AT_ONCE))
    return _joined(spread(_featurise, (encoder.name, encoder.content_hash), pieces), len(prompts))


def _joined(parts: Iterable[PromptFeatures], n: int) -> PromptFeatures:
    """Join features of n prompts in as little memory as `featurise` needs: pieces in 16 bits, embeddings in place."""
    embedding = none = np.empty((n, 0), dtype=np.float32)
    others: list[PromptFeatures] = []
    at = 0
    for part in parts:
        if not at:
            embedding = np.empty((n, part.embedding.shape[1]), dtype=part.embedding.dtype)
        embedding[at : at + len(part)] = part.embedding
        pieces: list[Any] = [one if isinstance(one, Terms) else one.astype(np.uint16) for one in part.pieces]
        others.append(replace(part, embedding=none[: len(part)], pieces=pieces))
        at += len(part)
    return replace(PromptFeatures.concatenate(others), embedding=embedding)


def predict_all(router: Router, features: PromptFeatures, quality_bar: float) -> PredictionTable:
    """Predict from features that were computed before; see `router_model.router.Router.predict_features`."""
    if not engine_in_force().is_remote or len(features) <= _AT_ONCE:
        return router.predict_features(features, quality_bar)
    pieces = _chunks(features)
    return PredictionTable.concatenate([*spread(_predict, (_without_prompts(router), quality_bar), pieces)])


def _has_name(encoder: Encoder) -> bool:
    """Whether `load_encoder` finds it; an encoder of the caller's own class is used where it is."""
    inner = getattr(encoder, "encoder", encoder)  # of a cache
    return type(inner).__module__.startswith("router_model.features.")


@cache
def _loaded(name: str) -> Encoder:
    return load_encoder(name)


def _featurise(encoder: tuple[str, str], prompts: Sequence[PromptLike]) -> PromptFeatures:
    name, content_hash = encoder
    loaded = _loaded(name)
    if loaded.content_hash != content_hash:
        raise EncoderError(
            f"encoder {name!r} is {loaded.content_hash[:19]} on a worker; expected {content_hash[:19]}, as it is here"
        )
    return featurise(prompts, loaded)


def _chunks(features: PromptFeatures) -> Iterator[PromptFeatures]:
    for start in range(0, len(features), _AT_ONCE):
        yield features.take(np.arange(start, min(start + _AT_ONCE, len(features))))


def _without_prompts(router: Router) -> Router:
    """Return the router without what predictions from features do not need: its training prompts and its encoder."""
    artifact = replace(router.artifact, seen_prompts=router.artifact.seen_prompts[:0], sketches=None, bank_prompts=None)
    return replace(router, artifact=artifact, encoder=load_encoder("static"))


def _predict(asked: tuple[Router, float], features: PromptFeatures) -> PredictionTable:
    router, quality_bar = asked
    return router.predict_features(features, quality_bar)
