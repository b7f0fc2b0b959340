"""Look at a canary, and stop it where it is shown to be worse.

`judge` is one look; the command `router-model canary` and every service that serves the place do the same. A service
looks in a child process of low priority, so that neither its event loop nor its memory notice (`CanaryWatch`). What a
look found lies in the place (`STATE`). So of several workers one looks, and all know. Several looks at once do no harm:
the pointer is removed once.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from router_model.errors import ArtifactError, RouterModelError
from router_model.saved.place import Challenger, Mode, Place
from router_model.sequential.canary import Finding, Limits, Sessions, examine
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.settings import Settings, variable

STATE: Final = "canary.json"
"""The file of a place that says what the last look found."""
REASON: Final = "canary stopped: "
"""How the history's reason begins."""
_DEADLINE_S: Final = 300.0
_REST: Final = 20
"""Between two looks a service waits at least so many times as long as a look took."""
_CHILD: Final = """
import os
os.nice(10)
from router_model.serving.common.lean_imports import import_lightgbm_alone
import_lightgbm_alone()
from router_model.serving.engine.canary import main
raise SystemExit(main())
"""
"""What a look runs, with the priority and the imports that a service can spare."""
_SAID_AT_MOST: Final = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """What a look found.

    Attributes
    ----------
    challenger : Challenger
    checked_at : datetime
    n_canary, n_others : sessions
    findings : one a metric
    stopped_now : whether this look removed the pointer
    """

    challenger: Challenger
    checked_at: datetime
    n_canary: int
    n_others: int
    findings: tuple[Finding, ...]
    stopped_now: bool = False

    @property
    def stopped_by(self) -> Finding | None:
        """The finding that stops the canary; None if it goes on."""
        return next((one for one in self.findings if one.shown == "worse"), None)

    @property
    def says(self) -> str:
        """The verdict in a sentence."""
        worse = self.stopped_by
        if worse is not None:
            return f"{worse.metric}: {worse.says}"
        shown = [f"{one.metric} is {one.shown}" for one in self.findings if one.shown in ("better", "not worse")]
        n = f"{self.n_canary:,} of {self.n_canary + self.n_others:,} sessions are the canary's"
        return f"goes on: {n}; {', '.join(shown) if shown else 'nothing is shown yet'}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; bounds that are not known are null."""
        worse = self.stopped_by
        return {
            **json.loads(self.challenger.as_line()),
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "n_canary": self.n_canary,
            "n_others": self.n_others,
            "stopped_by": None if worse is None else worse.metric,
            "stopped_now": self.stopped_now,
            "says": self.says,
            "findings": [
                {name: _finite(value) for name, value in asdict(finding).items()} for finding in self.findings
            ],
        }


def judge(
    place: Place, challenger: Challenger, sessions: Sessions, limits: Limits, *, stop: bool = True
) -> CanaryReport:
    """Examine the sessions, write down what they show, and stop the canary if it is worse.

    Parameters
    ----------
    place : Place
    challenger : in mode canary; the one that the sessions are of, which alone is stopped
    stop : False only looks, and writes nothing

    Raises
    ------
    ArtifactError
        If the canary is worse and the place cannot be written.
    """
    report = CanaryReport(
        challenger,
        datetime.now(UTC),
        sessions.n_canary,
        len(sessions.is_canary) - sessions.n_canary,
        examine(sessions, challenger.share, limits),
    )
    if not stop:
        return report
    # Before the pointer goes: a worker that finds none must find out here why.
    with suppress(OSError):  # only the status of other workers needs it
        _write(place.folder / STATE, report.as_dict())
    if report.stopped_by is None:
        return report
    return replace(report, stopped_now=place.stop_challenge(f"{REASON}{report.says}", only=challenger))


def running_canary(place: Place) -> Challenger | None:
    """Return the challenger of a place if it is a canary that can be compared: some sessions are the champion's.

    Raises
    ------
    ArtifactError
        If the pointer is damaged.
    """
    challenger = place.challenger
    return challenger if challenger is not None and challenger.mode is Mode.CANARY and challenger.share < 1 else None


def last_stop(place: Place) -> dict[str, Any] | None:
    """Return the history's entry if the last challenge of a place was a canary that was stopped by what it did."""
    entries = [entry for entry in place.history() if "challenge" in entry.get("action", "")]
    last = entries[-1] if entries else {}
    return last if str(last.get("reason", "")).startswith(REASON) else None


def _write(path: Path, said: Mapping[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(said, ensure_ascii=False) + "\n", "utf-8")
    beside.replace(path)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- in a service ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class CanaryWatch:
    """Looks at the canary of the place that is served, again and again.

    Attributes
    ----------
    settings : Settings
    router : str
        What the log calls the router whose place it is.
    n_looks, n_failed : of this worker
    stops : how often this worker stopped a canary, by metric
    """

    settings: Settings
    router: str = DEFAULT_ROUTER
    n_looks: int = 0
    n_failed: int = 0
    stops: dict[str, int] = field(default_factory=dict)
    _running: bool = False
    _found: dict[str, Any] | None = None
    _error: str | None = None

    @property
    def status(self) -> dict[str, Any] | None:
        """What the last look found, whichever worker's it was; None where no canary has run."""
        if not self._running and self._found is None and not self.n_looks + self.n_failed:
            return None
        counts = {"looks": self.n_looks, "failed": self.n_failed, "stops": dict(self.stops)}
        return {"running": self._running, "error": self._error, **counts, "found": self._found}

    async def watch(self) -> None:
        """Look for ever; return at once if the settings name no router."""
        while self.settings.artifact is not None:
            began = time.monotonic()
            try:
                looked = await self.look()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the next look may do better
                looked = True
                self._failed(str(exc) if isinstance(exc, RouterModelError) else repr(exc))
            rest = _REST * (time.monotonic() - began) if looked else 0.0
            await asyncio.sleep(max(self.settings.canary_every_s, rest))

    async def look(self) -> bool:
        """Look, unless there is no canary or another worker has just looked; return whether it did.

        Raises
        ------
        ArtifactError
            If the pointer is damaged, or the child process failed.
        """
        artifact = self.settings.artifact
        place = None if artifact is None else await asyncio.to_thread(Place.at, artifact)
        challenger = None if place is None else await asyncio.to_thread(running_canary, place)
        found = None if place is None else await asyncio.to_thread(_state, place)
        self._running = challenger is not None
        if place is None or challenger is None:
            self._error = None
            self._found = found if found is not None and found["stopped_by"] is not None else None
            return False
        if found is not None and _is_about(found, challenger) and self._is_fresh(found):
            self._found = found
            return False
        if self.settings.log == "none":
            raise ArtifactError("without a log nobody sees what the canary does; give --log, or stop the canary")
        self.n_looks += 1
        self._found = found = await self._in_child(place)
        self._error = None
        self._running = found["stopped_by"] is None
        if found["stopped_now"]:
            metric = found["stopped_by"]
            self.stops[metric] = self.stops.get(metric, 0) + 1
            _log.error("canary %s stopped: %s", challenger.router, found["says"])
        return True

    def _is_fresh(self, known: Mapping[str, Any]) -> bool:
        age_s = (datetime.now(UTC) - datetime.fromisoformat(known["checked_at"])).total_seconds()
        return age_s < self.settings.canary_every_s

    async def _in_child(self, place: Place) -> dict[str, Any]:
        # The log's URL may have a password in it, so it goes by the environment.
        environment = os.environ | {variable("log"): self.settings.log}
        # -P: modules in the folder where the service was started must not be imported instead of installed ones.
        command = [sys.executable, "-P", "-c", _CHILD, str(place.folder)]
        command += ["--router", self.router, "--window-s", str(self.settings.canary_window_s)]
        for name, value in asdict(limits_of(self.settings)).items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        child = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(child.communicate(), _DEADLINE_S)
        except TimeoutError:
            raise ArtifactError(f"a look at the canary took more than {_DEADLINE_S:.0f} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            last = err.decode(errors="replace").strip()[-_SAID_AT_MOST:]
            raise ArtifactError(f"a look at the canary failed (exit status {child.returncode}): {last}")
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        return said

    def _failed(self, why: str) -> None:
        self.n_failed += 1
        if why != self._error:
            _log.error("the canary was not looked at, so nothing stops it: %s", why)
        self._error = why


def limits_of(settings: Settings) -> Limits:
    """Return what a canary may do."""
    return Limits(
        settings.canary_alpha, settings.canary_quality_loss, settings.canary_cost_rise, settings.canary_latency_rise
    )


def _state(place: Place) -> dict[str, Any] | None:
    """Return what the last look found; None if there was none, or it cannot be read."""
    try:
        found = json.loads((place.folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "stopped_by" in found and "checked_at" in found else None


def _is_about(known: Mapping[str, Any], challenger: Challenger) -> bool:
    said: dict[str, Any] = json.loads(challenger.as_line())
    return all(known.get(name) == value for name, value in said.items())


async def look(place: Place, router: str, log: str, limits: Limits, window: timedelta) -> CanaryReport | None:
    """Read the log and judge the canary; None if there is none by now."""
    from router_model.serving.decision_log.canary_sessions import canary_sessions  # noqa: PLC0415  (loads polars)
    from router_model.serving.decision_log.opening import open_store  # noqa: PLC0415

    challenger = running_canary(place)
    if challenger is None:
        return None
    store = open_store(log)
    try:
        await store.open(create=False)
        sessions = await canary_sessions(store, challenger, router=router, now=datetime.now(UTC), window=window)
    finally:
        await store.close()
    return judge(place, challenger, sessions, limits)


def main() -> int:
    """Look once, and print what was found as a line of JSON: the child process of `CanaryWatch`."""
    parser = argparse.ArgumentParser(description="Look at the canary of a place once.")
    parser.add_argument("place", type=Path)
    parser.add_argument("--router", required=True)
    parser.add_argument("--window-s", type=float, required=True)
    for one in fields(Limits):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, required=True)
    given = parser.parse_args()
    limits = Limits(*(getattr(given, one.name) for one in fields(Limits)))
    try:
        report = asyncio.run(
            look(
                Place(given.place),
                given.router,
                os.environ[variable("log")],
                limits,
                timedelta(seconds=given.window_s),
            )
        )
    except RouterModelError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  how the parent is told
        return 1
    said = {"stopped_by": None, "stopped_now": False, "says": "no canary"} if report is None else report.as_dict()
    print(json.dumps(said))  # noqa: T201  how the parent is told
    return 0
