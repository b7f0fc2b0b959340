"""The clients, pinned, each in an environment of its own; made on first use below ``build/clients``.

``python environments.py`` makes them all, two at a time.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "build" / "clients"
ADAPTERS: Final = Path(__file__).parent / "sdks"
INSTALL_S: Final = 600
AT_ONCE: Final = 2


class NotInstalledError(Exception):
    """Raised where an environment cannot be made."""


@dataclass(frozen=True)
class Environment:
    """Packages that are installed together.

    Attributes
    ----------
    packages : ``name==version`` of Python's, ``name@version`` of npm's
    """

    packages: tuple[str, ...]

    @property
    def is_node(self) -> bool:
        return "==" not in self.packages[0]

    @property
    def folder(self) -> Path:
        """Other packages or another Python have another folder."""
        made_of = "\n".join((*self.packages, sys.version))
        return FOLDER / sha256(made_of.encode()).hexdigest()[:12]

    @property
    def programs(self) -> Path:
        return self.folder / ("node_modules/.bin" if self.is_node else "bin")

    def version(self, package: str) -> str:
        """Return the pinned version of a package."""
        split = (one.rpartition("@" if self.is_node else "==") for one in self.packages)
        return next(version for name, _, version in split if name.partition("[")[0] == package)

    def make(self) -> None:
        """Install what is not there yet.

        Raises
        ------
        NotInstalledError
            If npm is not here, or the index cannot be reached.
        """
        done = self.folder / "done"
        if not done.exists():
            self._install()
            done.touch()
        if self.is_node:
            for program in ADAPTERS.glob("*.mjs"):  # beside its node_modules, where node looks for them
                shutil.copy(program, self.folder)

    def _install(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.is_node:
            (self.folder / "package.json").write_text(json.dumps({"private": True}))
            self._run("npm", "install", "--no-audit", "--no-fund", "--save-exact", *self.packages)
        else:
            self._run(sys.executable, "-m", "venv", "--without-pip", str(self.folder))
            self._run(*_installer(self.programs / "python"), "--quiet", *self.packages)

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        except FileNotFoundError as exc:
            raise NotInstalledError(f"{command[0]} is not here") from exc
        except subprocess.TimeoutExpired as exc:
            raise NotInstalledError(f"{Path(command[0]).name}: not within {INSTALL_S} s") from exc
        except subprocess.SubprocessError as exc:
            said = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
            raise NotInstalledError(f"{Path(command[0]).name}: {said[-1] if said else exc}") from exc


def _installer(python: Path) -> tuple[str, ...]:
    """Return what installs packages for another Python: uv if ``UV`` names it, else pip."""
    if uv := os.environ.get("UV"):
        return (uv, "pip", "install", "--python", str(python))
    return (
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--disable-pip-version-check",
        "--no-compile",
    )


SDKS = Environment(
    (
        "openai==3.57.0",
        "anthropic==2.14.0",
        "google-genai==3.6.1",
        "openrouter==1.3.84",
        "openai-agents==0.24.0",
        "pydantic-ai-slim[openai]==2.68.0",
        "langchain-openai==1.7.4",
    )
)
OLDER_SDKS = Environment(("llama-index-llms-openai-like==0.8.1", "litellm==1.110.2"))
"""These need an older package ``openai``."""
JAVASCRIPT = Environment(("ai@6.0.325", "@ai-sdk/openai@3.0.141", "@openrouter/sdk@1.3.19"))
AIDER = Environment(("aider-chat==0.86.2",))
CODEX = Environment(("@openai/codex@0.171.0",))
CLAUDE = Environment(("@anthropic-ai/claude-code@2.1.197",))  # newer ones need Node 22, as does ai 7
GEMINI = Environment(("@google/gemini-cli@0.61.0",))
OPENCODE = Environment(("opencode-ai@1.18.33",))
ALL: Final = (SDKS, OLDER_SDKS, JAVASCRIPT, AIDER, CODEX, CLAUDE, GEMINI, OPENCODE)


def install(environments: Iterable[Environment]) -> dict[Environment, str]:
    """Make environments, some at a time; return those that cannot be made, with the reason."""
    needed = list(dict.fromkeys(environments))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        reasons = pool.map(_reason, needed)
        return {one: reason for one, reason in zip(needed, reasons, strict=True) if reason}


def _reason(environment: Environment) -> str:
    try:
        environment.make()
    except NotInstalledError as exc:
        return str(exc)
    return ""


if __name__ == "__main__":
    for environment, reason in install(ALL).items():
        print(f"{', '.join(environment.packages)}: not installed: {reason}")
