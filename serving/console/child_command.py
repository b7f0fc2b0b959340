"""Run a command of ``router-model`` in a process of its own: what needs training, which the service does not import.

The service goes on meanwhile. A command ends with its deadline, and one runs at a time.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.common.settings import Settings

DEADLINE_S: Final = 600.0
_SAID_AT_MOST: Final = 400
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
    environment = {**os.environ, "ROUTER_LOG_SPOOL": str(settings.log_spool), **variables}
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), DEADLINE_S)
    except TimeoutError:
        raise NotReadyError(
            f"'router-model {words[0]}' took more than {DEADLINE_S:.0f} s and was ended; take a shorter period, or run "
            "it elsewhere"
        ) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")
