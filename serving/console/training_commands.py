"""Run ``router-model drift`` and ``promote``, which need training, as processes of their own: the service imports none.

The service goes on meanwhile. A command ends with its deadline, and one runs at a time. `promote` publishes what passes
its gate, so the checks here are those of the command line, and no others.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router_model.errors import ArtifactError
from router_model.saved.artifact import named_folder
from router_model.serving.common.service_errors import InvalidRequestError, NotReadyError
from router_model.serving.common.settings import Settings
from router_model.serving.console.place_view import Action, PlaceView

_DEADLINE_S: Final = 600.0
_SAID_AT_MOST: Final = 400
COMPARED_LOG: Final = "ROUTER_COMPARED_LOG"
"""What names the log to ``promote``, as its command line can be read by everybody on this machine."""
_running: Final[set[str]] = set()


async def run_command(
    settings: Settings, name: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return what a command prints as JSON.

    Parameters
    ----------
    settings : its catalog, encoder and spool are the command's, too
    name : of a command with ``--json``
    arguments : what everybody on this machine may read
    variables : of its environment, what nobody may

    Raises
    ------
    NotReadyError
        If it failed, took too long, or another one runs.
    """
    if _running:
        raise NotReadyError(f"'router-model {min(_running)}' runs for the console already; wait until it has ended")
    _running.add(name)
    try:
        status, out, err = await _ended(settings, [name, "--json", *arguments], variables)
    finally:
        _running.clear()
    said = out.splitlines()
    try:  # a check that was not passed ends with status 1, and prints what was found
        found: Mapping[str, Any] = json.loads(said[-1]) if said else {}
    except ValueError:
        found = {}
    if not found:
        last = err.strip().rpartition("\n")[2][-_SAID_AT_MOST:]
        raise NotReadyError(f"'router-model {name}' failed with status {status}: {last}")
    return found


async def _ended(settings: Settings, words: Sequence[str], variables: Mapping[str, str]) -> tuple[int | None, str, str]:
    command = [sys.executable, "-P", "-m", "router_model", *words]
    command += [] if settings.catalog is None else ["--catalog", str(settings.catalog)]
    command += [] if settings.encoder is None else ["--encoder", settings.encoder]
    own = {name: value for name, value in os.environ.items() if name != COMPARED_LOG}  # asked for it, or not at all
    environment = {**own, "ROUTER_LOG_SPOOL": str(settings.log_spool), **variables}
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), _DEADLINE_S)
    except TimeoutError:
        raise NotReadyError(
            f"'router-model {words[0]}' took more than {_DEADLINE_S:.0f} s and was ended; take a shorter period, or "
            "run it elsewhere"
        ) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")


# --- drift ------------------------------------------------------------------------------------------------

DRIFT_PERIODS: Final = ("1h", "1d", "7d")
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


async def check_drift(settings: Settings, period: str, *, router: str | None = None) -> DriftView:
    """Check the log of a period until now.

    Parameters
    ----------
    period : one of `DRIFT_PERIODS`
    router : the name of the router whose decisions count; None: all

    Raises
    ------
    InvalidRequestError
        If there is no such period, or neither a log nor a trained router to compare.
    NotReadyError
        If the check failed, took too long, or one is made already.
    """
    if period not in DRIFT_PERIODS:
        raise InvalidRequestError(
            f"period: got {period[:32]!r}; expected one of {', '.join(DRIFT_PERIODS)}", param="period"
        )
    if settings.artifact is None or settings.log == "none":
        raise InvalidRequestError("drift needs a trained router and a log; this service lacks one of them")
    try:
        folder = await asyncio.to_thread(named_folder, settings.artifact)
    except ArtifactError as exc:
        raise NotReadyError(str(exc)) from exc
    # The log's URL may have a password in it, so it goes by the environment.
    arguments = [str(folder), "--since", period, *_of(router)]
    return _view(await run_command(settings, "drift", arguments, {"ROUTER_LOG": settings.log}))


def _of(router: str | None) -> list[str]:
    return [] if router is None else ["--router", router]


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


# --- the gate of a promotion -------------------------------------------------------------------------------

PERIODS: Final = ("1d", "7d", "30d")
NO_LOG: Final = "none"
"""Instead of a period: the log is not asked."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """What challenger and champion can be compared on.

    Attributes
    ----------
    table : Path or None
        Of held-out outcomes (``--promotion-table``).
    has_log : bool
    """

    table: Path | None
    has_log: bool

    @classmethod
    def of(cls, settings: Settings) -> "AtHand":
        """Return what the settings name."""
        return cls(settings.promotion_table, settings.log != "none")

    @property
    def cannot_be_checked(self) -> str:
        """Say which checks cannot be made, and why; '' if all can."""
        if self.table is not None:
            return ""
        if self.has_log:
            return (
                "No held-out table is named (--promotion-table), so certificates are not tested, and the log alone "
                "tells whether the challenger is better. It must hold judged answers, and choices that were drawn "
                "(--explore-share, or a challenger in the mode explore); else the promotion is refused"
            )
        return (
            "There is neither a held-out table (--promotion-table) nor a log, so nothing compares the two: gain, leak "
            "audit, calibration and certificates cannot be checked, and the promotion is refused unless you force it"
        )


@dataclass(frozen=True, slots=True)
class Passage:
    """What came of the gate.

    Attributes
    ----------
    is_promoted : bool
    sentence : str
    checks : ``name``, ``status`` (``passed``, ``failed``, ``not checked``) and what was ``said`` of each
    """

    is_promoted: bool
    sentence: str
    checks: Sequence[Mapping[str, Any]]


async def promote(
    settings: Settings, place: PlaceView, *, period: str, reason: str, is_forced: bool, router: str | None = None
) -> Passage:
    """Let the challenger be the champion if it passes the gate.

    Parameters
    ----------
    place : with a challenger
    period : one of `PERIODS`, or `NO_LOG`
    reason : for the history
    is_forced : promote it though checks fail; the history names them
    router : the name of the router whose decisions count; None: all

    Raises
    ------
    InvalidRequestError
        If there is no such period.
    NotReadyError
        If the gate could not be passed through: the log has no calls of this time, a file is damaged, it took too long.
    """
    if period not in (*PERIODS, NO_LOG):
        expected = ", ".join((*PERIODS, NO_LOG))
        raise InvalidRequestError(f"period: got {period[:32]!r}; expected one of {expected}", param="period")
    hand, folder = AtHand.of(settings), Path(place.folder)
    arguments = [str(folder / place.target(Action.PROMOTE)), "--to", str(folder), "--reason", reason, "--no-track"]
    arguments += [] if hand.table is None else ["--table", str(hand.table)]
    variables = {}
    if hand.has_log and period != NO_LOG:
        arguments += ["--since", period, *_of(router)]
        variables[COMPARED_LOG] = settings.log
    said = await run_command(settings, "promote", arguments + ["--force"] * is_forced, variables)
    return Passage(said["promoted"], said["sentence"], said["checks"])
