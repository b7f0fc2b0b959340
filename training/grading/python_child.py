"""Run a user's grading function for `python_checks`: a line of JSON in, a line of JSON out.

This file is run as a program by the user's Python, without the project.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import sys
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_MOST_BYTES = 64 * 1024 * 1024
_MOST_CHARS = 200


def main(path: str, function: str, memory_mb: str, folder: str) -> None:
    """Import the function, then answer every line of the standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the function prints is no answer
    limit(int(memory_mb) * 1024 * 1024)
    leave_network()
    os.environ["HOME"] = os.environ["TMPDIR"] = folder

    def say(**said: object) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    try:
        sys.path.insert(0, str(Path(path).parent))
        grade = getattr(importlib.import_module(Path(path).stem), function)
    except BaseException as exc:  # noqa: BLE001  (the parent says it)
        say(error=f"cannot be imported ({shown(exc)})")
        return
    say(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        row = {**asked["row"], "tool_calls": asked["tool_calls"]}
        try:
            value = grade(asked["answer"], asked["reference"], row)
            # Numbers of other libraries have a method that returns one of Python's.
            value = value.item() if hasattr(value, "item") else value
            json.dumps(value)
        except Exception as exc:  # noqa: BLE001  (one row fails, the next is asked)
            say(error=shown(exc))
        else:
            say(value=value)


def limit(n_bytes: int) -> None:
    """Bound memory and the size of files, and leave no core dump."""
    for kind, most in (
        (resource.RLIMIT_AS, n_bytes),
        (resource.RLIMIT_FSIZE, _MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a lower limit is in force, or the system has none
            resource.setrlimit(kind, (most, most))


def leave_network() -> None:
    """Move to a network without connections; where that is not allowed, refuse to connect inside Python."""
    try:
        moved = ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK) == 0
    except (OSError, AttributeError):  # another system than Linux
        moved = False
    if not moved:
        sys.addaudithook(refuse_connections)


def refuse_connections(event: str, _: tuple[object, ...]) -> None:
    """Refuse to connect, to look names up and to send to an address."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"}:
        raise PermissionError("a grading function has no network")


def shown(exc: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(exc).__name__}: {exc}".splitlines()[0][:_MOST_CHARS]


if __name__ == "__main__":
    main(*sys.argv[1:])
