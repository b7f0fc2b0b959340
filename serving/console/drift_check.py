"""Have ``router-model drift`` compare the log with the router that is served, in a process of its own.

The check reads a part of the log into memory and works for seconds, so it must not run within the service.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from router_model.errors import ArtifactError
from router_model.saved.artifact import named_folder
from router_model.serving.common.service_errors import InvalidRequestError, NotReadyError
from router_model.serving.common.settings import Settings
from router_model.serving.console.child_command import run_command

PERIODS: Final = ("1h", "1d", "7d")
MOST_SHOWN: Final = 40
"""Checks that are shown; those that found drift come first."""


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
    # The log's URL may have a password in it, so it goes by the environment.
    return _view(await run_command(settings, "drift", [str(folder), "--since", period], {"ROUTER_LOG": settings.log}))


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
