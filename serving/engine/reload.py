"""Hot reload: load and verify a new artifact while the old one serves, then swap them in one step.

Loading runs in a separate thread, so that deciding goes on. While something is served, a new artifact is first tried
in a separate process (`router_model.serving.engine.trial`). An artifact that cannot be loaded, does not decide, or
kills that process, is refused: the old one stays, which is said once a version. Decisions in flight finish with the
router they began with.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from router_model.catalog import Catalog
from router_model.errors import ArtifactError, RouterModelError
from router_model.features import FeatureError
from router_model.levels import Levels
from router_model.router import Router
from router_model.saved.artifact import MANIFEST
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.service_errors import ReloadRefusedError
from router_model.serving.common.settings import Settings
from router_model.serving.engine.artifact_source import Sighting, source_of
from router_model.serving.engine.default_plan import DefaultPlan, default_plan
from router_model.serving.engine.lane import Lane
from router_model.serving.engine.loading import LOAD_DEADLINE_S, Loader, in_words

_log = logging.getLogger(__name__)

_THAT_DECIDE = (
    "default_plan",
    "explore_share",
    "explore_max_p_drop",
    "explore_max_cost_ratio",
    "session_ttl_s",
    "session_cache_ttl_s",
)
_N_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Served:
    """The router and plan that decide now; replaced as a whole.

    Attributes
    ----------
    router : Router or None
        None: only the default plan can be answered.
    default_plan : DefaultPlan
    policy_version : str
    written_at : float or None
        When the artifact was written, in seconds since 1970; None without one.
    loaded_at : float
        Seconds since 1970.
    """

    router: Router | None
    default_plan: DefaultPlan
    policy_version: str
    written_at: float | None = None
    loaded_at: float = field(default_factory=time.time)

    @property
    def artifact(self) -> str:
        """Content hash of the router; empty without a router."""
        return "" if self.router is None else self.router.artifact.content_hash

    @property
    def safe_model(self) -> str | None:
        """The model that unfamiliar prompts go to; None without one."""
        return None if self.router is None else self.router.artifact.safe_model

    @property
    def usual_information(self) -> Mapping[str, float] | None:
        """What an answer of an announced model usually tells of its level; None without such models."""
        announced = None if self.router is None else self.router.announced
        return None if announced is None else announced.usual_information


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The result of a reload.

    Attributes
    ----------
    changed : bool
        Whether something else decides now.
    artifact, policy_version : str
        Of what decides now.
    """

    changed: bool
    artifact: str
    policy_version: str


class Reloader:
    """Holds the router that is served, and replaces it.

    Parameters
    ----------
    settings : Settings
    loader : Loader
    on_swap : called after something else has begun to decide
    name : what the log calls the router
    """

    def __init__(
        self,
        settings: Settings,
        loader: Loader,
        *,
        on_swap: Callable[[], None] = lambda: None,
        name: str = DEFAULT_ROUTER,
    ) -> None:
        self._settings = settings
        self._of = "" if name == DEFAULT_ROUTER else f"router {name}: "
        self._loader = loader
        self._on_swap = on_swap
        self._source = source_of(settings)
        self._lane = Lane("router-loader", deadline_s=LOAD_DEADLINE_S)
        self._turn = asyncio.Lock()
        self._served: Served | None = None
        self._tried: tuple[object, ...] | None = None
        self._refused: str | None = None
        self._said: tuple[str, tuple[object, ...] | None] | None = None
        self._swaps = self._refusals = 0

    @property
    def served(self) -> Served | None:
        """The router and plan that decide now; None before the start."""
        return self._served

    @property
    def status(self) -> dict[str, Any]:
        """The loaded artifact, the number of loads, and the artifact that is refused now."""
        served = self._served
        return {
            "artifact": "" if served is None else served.artifact,
            "policy_version": "" if served is None else served.policy_version,
            "written_at": None if served is None else served.written_at,
            "loaded_at": None if served is None else served.loaded_at,
            "swaps": self._swaps,
            "refusals": self._refusals,
            "refused": self._refused,
        }

    async def start(self, *, may_wait: bool = False) -> None:
        """Load the artifact; without one, or if it is refused, serve the default plan.

        Parameters
        ----------
        may_wait : bool
            Without a default plan, too, go on without a router until there is one that can be served.

        Raises
        ------
        ArtifactError
            If it cannot be served, the settings name no default plan, and it may not wait.
        """
        if self._source is not None:
            try:
                await self.reload()
            except ReloadRefusedError as exc:
                if not (self._settings.default_plan or may_wait):
                    raise ArtifactError(exc.message) from exc
            else:
                return
        plan = default_plan(self._settings.default_plan, catalog=self._catalog_alone())
        self._served = Served(None, plan, policy_version(self._settings, None))

    async def watch(self) -> None:
        """Look for a new artifact again and again, for ever; return at once if the settings name none."""
        while self._source is not None:
            await asyncio.sleep(self._settings.reload_every_s)
            try:
                await self.reload(only_if_new=True)
            except ReloadRefusedError:
                continue  # `_refuse` has logged and counted it
            except Exception:  # noqa: BLE001 - whatever it is, deciding goes on with what is served
                _log.exception("looking for a new artifact failed; the old one stays in use")

    async def reload(self, *, only_if_new: bool = False) -> Reloaded:
        """Load what the source names now, and serve it if it is another one.

        Parameters
        ----------
        only_if_new : bool
            Do nothing if it looks as it did the last time, whatever came of it then.

        Raises
        ------
        ReloadRefusedError
            If it cannot be served. What was served before still is.
        """
        source = self._source
        if source is None:
            return self._reloaded(changed=False)
        # One at a time: the watch and an operator's reload would otherwise load the same artifact twice.
        async with self._turn:
            sighting: Sighting | None = None
            try:
                # In the loader's thread, because files may be on a slow network.
                sighting = await self._lane.run(source.look)
                if only_if_new and sighting.version == self._tried:
                    return self._reloaded(changed=False)
                router = await self._lane.run(self._load, sighting)
            except Exception as exc:
                raise self._refuse(sighting, exc) from exc
            self._tried, self._refused, self._said = sighting.version, None, None
            return self._adopt(router, _written_at(sighting.folder))

    def shift_levels(self, artifact: str, levels: Levels | None) -> None:
        """Let an artifact's models be predicted at other levels, if it is the one that is served."""
        served = self._served
        if served is None or served.router is None or served.artifact != artifact or served.router.levels == levels:
            return
        router = replace(served.router, levels=levels)
        self._served = replace(served, router=router, policy_version=policy_version(self._settings, router))
        _log.info("%slevels of models: %s", self._of, "as trained" if levels is None else dict(levels.shifts))

    def close(self) -> None:
        """Let the thread end."""
        self._lane.close()

    def _load(self, sighting: Sighting) -> Router:
        """Load and check a router; runs in the loader's thread."""
        now = None if self._served is None else self._served.router
        return self._loader.load(sighting.folder, beside=() if now is None else (now,))

    def _adopt(self, router: Router, written_at: float | None) -> Reloaded:
        now = None if self._served is None else self._served.router
        if now is not None and now.artifact.content_hash == router.artifact.content_hash:
            router = replace(router, levels=now.levels)
        version = policy_version(self._settings, router)
        if self._served is not None and self._served.policy_version == version:
            return self._reloaded(changed=False)
        plan = default_plan(self._settings.default_plan, router.artifact, router.catalog)
        self._served = Served(router, plan, version, written_at)  # the swap
        self._swaps += 1
        self._on_swap()
        shown = router.artifact.content_hash, version, len(router.models)
        _log.info("%sserving %s, policy %s, %d models", self._of, *shown)
        return self._reloaded(changed=True)

    def _refuse(self, sighting: Sighting | None, exc: Exception) -> ReloadRefusedError:
        reason, version = in_words(exc), None if sighting is None else sighting.version
        if self._served is None or self._served.router is None:
            what = "the artifact was refused"
        else:
            what = "the new artifact was refused; the service goes on with what it served before"
        if (reason, version) != self._said:
            self._refusals += 1
            _log.error("%s%s: %s", self._of, what, reason)
        self._refused, self._said = reason, (reason, version)
        # a fault of the files stays until they change, so trying again would be in vain; other errors may pass
        self._tried = version if isinstance(exc, RouterModelError | FeatureError) else None
        return ReloadRefusedError(f"{what}: {reason}")

    def _reloaded(self, *, changed: bool) -> Reloaded:
        served = self._served
        if served is None:
            return Reloaded(changed, "", "")
        return Reloaded(changed, served.artifact, served.policy_version)

    def _catalog_alone(self) -> Catalog | None:
        """Return the settings' catalog, for a service that has no router yet; None if they name none."""
        try:
            return None if self._settings.catalog is None else Catalog.load(self._settings.catalog)
        except RouterModelError as exc:
            _log.warning("the default plan has no prices and capabilities: %s", exc)
            return None


def _written_at(source: Path) -> float | None:
    """Return when an artifact's manifest, or the catalog of a starter, was written; None if it is gone again."""
    try:
        return (source if source.is_file() else source / MANIFEST).stat().st_mtime
    except OSError:
        return None


def policy_version(settings: Settings, router: Router | None) -> str:
    """Return the name of what decides: of the artifact, the prices and every setting that choices depend on.

    Two decisions of one name would have been the same on the same request, or had the same propensities.
    """
    artifact = "" if router is None else router.artifact.content_hash
    catalog = "" if router is None else router.catalog.dump()
    said: list[Any] = [artifact, catalog, {name: getattr(settings, name) for name in _THAT_DECIDE}]
    if router is not None and router.levels is not None:
        levels = router.levels
        said.append({model: shift.log_odds for model, shift in levels.shifts.items()})
        # The errors of announced models' levels decide, too.
        said.extend({model: shift.error} for model, shift in levels.shifts.items() if model in levels.announced)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_N_DIGITS]
