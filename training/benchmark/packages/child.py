"""Run an adapter in a process of its own, with a time limit and without the user's API keys.

The process ends when the benchmark ends.
"""

import os
import re
import subprocess
from pathlib import Path

from router_model.training.benchmark.method import MethodUnavailableError

# The variables that a process needs to run. API keys are not passed on, because the package is not ours.
_PASSED_ON = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PATH", "SYSTEMROOT", "TEMP",
    "TMP", "TMPDIR",
)  # fmt: skip

_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")


def run_adapter(python: Path, adapter: Path, folder: Path, *, time_limit_s: float) -> None:
    """Run an adapter on the task in a folder.

    The adapter is called as a file, isolated (``python -I``): neither our packages nor the user's can be imported.

    Raises
    ------
    MethodUnavailableError
        If the adapter does not end in time, or ends with an error. The message has the last line that it wrote.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"HF_HUB_OFFLINE": "1"}
    written = folder / "stderr.txt"
    with written.open("wb") as stderr:
        try:
            # subprocess.run kills the process on a time-out and on any other exception, including KeyboardInterrupt.
            done = subprocess.run(  # noqa: S603
                [str(python), "-I", str(adapter), str(folder)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                cwd=folder, env=environment, timeout=time_limit_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise MethodUnavailableError(f"its process gave no answer within {time_limit_s:g} s") from exc
        except OSError as exc:
            raise MethodUnavailableError(f"its process cannot be started: {exc}") from exc
    if done.returncode != 0:
        raise MethodUnavailableError(f"its process ended with code {done.returncode}: {_reason(written)}")


def _reason(path: Path) -> str:
    """Return the last line that names an error, else the last line; a progress bar may write after a traceback."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or ["it wrote nothing"])[-1]
