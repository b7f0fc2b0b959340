"""Have ``router-model drift`` compare the log with the router that is served, in a process of its own.

The check reads a part of the log into memory and works for seconds, so it must not run within the service. It ends with
its deadline, and there is one at a time.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from router_model.errors import ArtifactError
from router_model.saved.artifact import named_folder
from router_model.serving.common.service_errors import InvalidRequestError, NotReadyError
from router_model.serving.common.settings import Settings

PERIODS: Final = ("1h", "1d", "7d")
MOST_SHOWN: Final = 40
"""Checks that are shown; those that found drift come first."""
_DEADLINE_S: Final = 300.0
_SAID_AT_MOST: Final = 400
_TOLD: Final = (0, 1)
"""Exit statuses of a check that was made: nothing has drifted, or something has."""
_running: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class DriftView:
    """What the check found.

    Attributes
    ----------
    n_calls, n_graded : int
    n_checks, n_drifted : int
    findings : of ``router-model drift --json``, at most `MOST_SHOWN`
    advice : what to do, each once
    """

    n_calls: int
    n_graded: int
    n_checks: int
    n_drifted: int
    findings: Sequence[Mapping[str, Any]]
    advice: Sequence[str]


async def check_drift(settings: Settings, period: str) -> DriftView:
    """Check the log of a period until now.

    Parameters
    ----------
    period : one of `PERIODS`

    Raises
    ------
    InvalidRequestError
        If there is no such period, or neither a log nor a trained router to compare.
    NotReadyError
        If the check failed, took too long, or one is made already.
    """
    if period not in PERIODS:
        raise InvalidRequestError(f"period: got {period[:32]!r}; expected one of {', '.join(PERIODS)}", param="period")
    if settings.artifact is None or settings.log == "none":
        raise InvalidRequestError("drift needs a trained router and a log; this service lacks one of them")
    try:
        folder = await asyncio.to_thread(named_folder, settings.artifact)
    except ArtifactError as exc:
        raise NotReadyError(str(exc)) from exc
    if _running:
        raise NotReadyError("the log is being checked already; wait for that")
    _running.add(period)
    try:
        return _view(await _in_child(settings, [str(folder), "--since", period]))
    finally:
        _running.clear()


async def _in_child(settings: Settings, arguments: Sequence[str]) -> Mapping[str, Any]:
    command = [sys.executable, "-P", "-m", "router_model", "drift", "--json", *arguments]
    command += [] if settings.catalog is None else ["--catalog", str(settings.catalog)]
    command += [] if settings.encoder is None else ["--encoder", settings.encoder]
    # The log's URL may have a password in it, so it goes by the environment.
    environment = os.environ | {"ROUTER_LOG": settings.log, "ROUTER_LOG_SPOOL": str(settings.log_spool)}
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), _DEADLINE_S)
    except TimeoutError:
        raise NotReadyError(
            f"the check took more than {_DEADLINE_S:.0f} s and was ended; take a shorter period, or run "
            "'router-model drift' elsewhere"
        ) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode not in _TOLD:
        last = err.decode(errors="replace").strip().rpartition("\n")[2][-_SAID_AT_MOST:]
        raise NotReadyError(f"the check failed: {last}")
    said: Mapping[str, Any] = json.loads(out.splitlines()[-1])
    return said


def _view(report: Mapping[str, Any]) -> DriftView:
    findings = sorted(report["findings"], key=lambda one: not one["drifted"])
    drifted = [one for one in findings if one["drifted"]]
    return DriftView(
        n_calls=report["n_calls"],
        n_graded=report["n_graded"],
        n_checks=len(findings),
        n_drifted=len(drifted),
        findings=findings[:MOST_SHOWN],
        advice=list(dict.fromkeys(one["advice"] for one in drifted)),
    )
