"""Create a Python environment for a published package on first use, and keep it in a cache.

The versions that a package pins need not agree with ours, and a benchmark should not change what a user has installed.
So a package never goes into the user's environment. The settings of pip (an own index, a proxy) apply as usual.
"""

import logging
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.cache_folder import cache_folder

logger = logging.getLogger(__name__)

NO_INDEX = "no package index can be reached"

_INSTALL_LIMIT_S = 1800
# Settings of a user with which pip would not install into the environment.
_ELSEWHERE = ("PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER")
_NO_CONNECTION = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "ConnectionError(")


@dataclass(frozen=True, slots=True)
class PackageEnvironment:
    """A virtual environment with pinned packages.

    Attributes
    ----------
    name : str
    requirements : tuple of str
        Packages installed with their dependencies.
    bare : tuple of str
        Packages installed without dependencies, because they depend on far more than the modules used here import.
    """

    name: str
    requirements: tuple[str, ...]
    bare: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The environment's folder; other requirements or another Python have another folder."""
        made_of = "\n".join([*self.requirements, "--no-deps", *self.bare, sys.version, platform.platform()])
        digest = sha256(made_of.encode()).hexdigest()[:12]
        return cache_folder() / "benchmark" / f"{self.name}-{digest}"

    def python(self) -> Path:
        """Return the environment's Python; the first use creates the environment and installs the packages.

        Raises
        ------
        MethodUnavailableError
            If the environment cannot be created. The message is one line with the reason.
        """
        python = _python_of(self.folder)
        if not python.exists():
            if self.folder.exists():
                raise MethodUnavailableError(f"{self.folder} holds no working environment; delete it")
            try:
                self._make()
            except OSError as exc:
                raise MethodUnavailableError(f"its environment cannot be made in {self.folder.parent}: {exc}") from exc
        return python

    def _make(self) -> None:
        """Create it in a temporary folder and move it into place at the end, so that nobody sees half of it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        logger.info("installing %s into %s", ", ".join(self.requirements + self.bare), self.folder)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=f".{self.name}-") as scratch:
            made = Path(scratch) / "environment"
            _run([sys.executable, "-I", "-m", "venv", str(made)], "python -m venv")
            # Modules are compiled when imported, because most of the installed ones never are.
            options = ["--disable-pip-version-check", "--no-input", "--no-compile"]
            install = [str(_python_of(made)), "-I", "-m", "pip", "install", *options]
            if self.requirements:
                _run([*install, *self.requirements], "pip")
            if self.bare:
                _run([*install, "--no-deps", *self.bare], "pip")
            try:
                made.rename(self.folder)
            except OSError:
                if not _python_of(self.folder).exists():
                    raise
                logger.info("another process created %s first", self.folder)


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(command: Sequence[str], what: str) -> None:
    settings = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=settings, timeout=_INSTALL_LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise MethodUnavailableError(f"{what} did not finish within {_INSTALL_LIMIT_S} s") from exc
    if done.returncode != 0:
        raise MethodUnavailableError(f"{what}: {_reason(done.stderr or done.stdout, done.returncode)}")


def _reason(output: str, code: int) -> str:
    r"""Return the line of pip's output with the reason for a failure.

    Examples
    --------
    >>> _reason("WARNING: old\nERROR: no such version\nERROR: No matching distribution found for x==9", 1)
    'no such version'
    >>> _reason("WARNING: Retrying after NewConnectionError(...)\nERROR: no x==9 (from versions: none)", 1)
    'no package index can be reached'
    """
    if any(sign in output for sign in _NO_CONNECTION) and "(from versions: none)" in output:
        return NO_INDEX
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or [f"ended with code {code}"])[0]
