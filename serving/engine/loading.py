"""Load routers for a service that goes on deciding meanwhile.

A router that comes beside one that serves is first tried in a separate process (`router_model.serving.engine.trial`),
because a crash there does not end the service. What routers have in common, the encoder or the whole content, is held
once.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from router_model.catalog import Catalog
from router_model.errors import ArtifactError, RouterModelError
from router_model.features import Encoder, FeatureError, load_encoder
from router_model.router import Router
from router_model.saved.artifact import Artifact, load_artifact, read_manifest, sealed
from router_model.serving.common.lean_memory import give_back_memory
from router_model.serving.common.settings import Settings
from router_model.serving.engine.lane import DeadlineMissedError
from router_model.serving.engine.self_check import check_router
from router_model.serving.engine.trial import try_artifact
from router_model.starter import start

LOAD_DEADLINE_S = 240.0
"""For the trial and for the loading."""
_KNOWN = 16
"""Artifacts that need no other trial, as one goes back and forth between them."""

_log = logging.getLogger(__name__)


class Loader:
    """Loads, tries and checks routers; it blocks for seconds, and may be used by several threads.

    Parameters
    ----------
    settings : Settings
        Its catalog and encoder replace the routers' own.
    neighbours : callable
        Returns the routers that the service's other engines have now: what is equal in them is held once.
    """

    def __init__(self, settings: Settings, neighbours: Callable[[], Iterable[Router]] = tuple) -> None:
        self._settings = settings
        self._neighbours = neighbours
        self._known: deque[str] = deque(maxlen=_KNOWN)

    def load(self, folder: Path, *, beside: Sequence[Router] = ()) -> Router:
        """Load a router, and see that it decides.

        Parameters
        ----------
        folder : of the artifact; of a starter, its catalog
        beside : routers that are in use; without any, as at the start, nothing is tried, as a crash could end nothing

        Raises
        ------
        ArtifactError, CatalogError, FeatureError
            If it cannot be served.
        """
        artifact = self._started(folder) if self._settings.starts else self._verified(folder, tried=bool(beside))
        same = next((one for one in beside if one.artifact.content_hash == artifact.content_hash), None)
        if same is not None:
            artifact = same.artifact  # the same content need not be held twice
        router = Router.assemble(artifact, self._encoder(artifact, beside), catalog=self._settings.catalog)
        check_router(router)
        give_back_memory()
        return router

    def _verified(self, folder: Path, *, tried: bool) -> Artifact:
        """Read an artifact; before, try it if it is to be."""
        if tried:
            self._try(folder)
        artifact = load_artifact(folder)
        if tried and artifact.content_hash not in self._known:
            # The folder changed after the trial, so this content has not been tried.
            raise ArtifactError(f"{folder}: changed while it was being tried; it is tried again")
        self._known.append(artifact.content_hash)
        return artifact

    @staticmethod
    def _started(catalog: Path) -> Artifact:
        """Make a starter. It is not tried: its files are the package's own, and checked when they are read."""
        started = start(Catalog.load(catalog))
        _log.info("no artifact, so a starter decides, which %s", started.why)
        return sealed(started.artifact)

    def _try(self, folder: Path) -> None:
        """Try an artifact in a separate process, unless it is one that was loaded or tried before."""
        if read_manifest(folder)["content_hash"] in self._known:
            return
        catalog, encoder = self._settings.catalog, self._settings.encoder
        self._known.append(try_artifact(folder, catalog=catalog, encoder=encoder))

    def _encoder(self, artifact: Artifact, beside: Sequence[Router]) -> Encoder:
        for router in (*beside, *self._neighbours()):
            if router.encoder.content_hash == artifact.encoder_hash:
                return router.encoder  # the same encoder need not be loaded and held twice
        if self._settings.encoder is None:
            return artifact.load_encoder()
        encoder = load_encoder(self._settings.encoder)
        artifact.check_encoder(encoder)
        return encoder


def in_words(exc: Exception) -> str:
    """Say why a router was not loaded, without what only a developer understands."""
    if isinstance(exc, DeadlineMissedError):
        return f"it was not loaded within {LOAD_DEADLINE_S:.0f} s"
    return str(exc) if isinstance(exc, RouterModelError | FeatureError | ImportError) else type(exc).__name__
