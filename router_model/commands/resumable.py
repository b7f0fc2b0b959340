"""A folder of numbered runs whose steps are done once each, however often the process is killed.

    lock                     held by the process that runs; says which one it is
    run-0001/
        state.json           the run's inputs, its finished steps, and what came of it
        export/, retrain/ …  what each finished step wrote
        .retrain.new/        what the step that was interrupted had written; removed when it is done again

A step writes into a folder with a temporary name, which is renamed when it is whole. Then `state.json` names the step,
with the hashes of what it read and of what it wrote. A step that is named with the same inputs, and whose files have
the same hash, is not done again. So a kill costs the step that was interrupted, and nothing else.

The lock is the kernel's (``flock``): that of a dead process is free.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from router_model.errors import RequestError
from router_model.saved.artifact import sync_folder
from router_model.training.files import file_sha256

STATE: Final = "state.json"
_LOCK: Final = "lock"
_PREFIX: Final = "run-"
_NUMBERED: Final = re.compile(rf"{_PREFIX}\d{{4,}}")


@dataclass(slots=True)
class Run:
    """One run.

    Attributes
    ----------
    folder : Path
    inputs : what the run was started with, as JSON types
    started : ISO 8601
    steps : name -> {"inputs": hashes, "output": hash, "at": ISO 8601}
    outcome : what came of it; None until it is finished
    """

    folder: Path
    inputs: dict[str, Any]
    started: str
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcome: dict[str, Any] | None = None

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return int(self.folder.name.removeprefix(_PREFIX))

    def step(self, name: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """Return the folder of a finished step; do the step first if it is not finished.

        Parameters
        ----------
        name : str
        inputs : hashes and settings of what the step reads, as JSON types
        make : writes the step's files into an empty folder
        """
        folder, beside = self.folder / name, self.folder / f".{name}.new"
        if self.has(name) and self.steps[name]["inputs"] == inputs:
            return folder
        for left in (beside, folder):
            shutil.rmtree(left, ignore_errors=True)
        beside.mkdir()
        make(beside)
        beside.rename(folder)
        self.steps[name] = {"inputs": dict(inputs), "output": tree_hash(folder), "at": now()}
        self.save()
        return folder

    def has(self, name: str) -> bool:
        """Return whether a step is finished, and its files are as it left them."""
        return name in self.steps and self.output(name) == tree_hash(self.folder / name)

    def output(self, name: str) -> str:
        """Return the hash of what a finished step wrote."""
        return str(self.steps[name]["output"])

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Note what came of the run."""
        self.outcome = dict(outcome)
        self.save()

    def save(self) -> None:
        """Write `state.json` in one step."""
        names = ("inputs", "started", "steps", "outcome")
        text = json.dumps({name: getattr(self, name) for name in names}, indent=1, ensure_ascii=False)
        beside = self.folder / f".{STATE}.new"
        with beside.open("w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / STATE)
        sync_folder(self.folder)


@dataclass(frozen=True, slots=True)
class Runs:
    """A folder of runs."""

    folder: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time work here.

        Raises
        ------
        RequestError
            If another process does.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / _LOCK).open("a+", encoding="utf-8") as lock:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.seek(0)
                    who = lock.read().strip() or "another process"
                    raise RequestError(
                        f"{self.folder}: {who} runs the loop here; wait until it has ended, or name another --state"
                    ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} of {socket.gethostname()}, since {now()},\n")
            lock.flush()
            yield
            lock.truncate(0)

    def all(self) -> list[Run]:
        """Return the runs, oldest first.

        Raises
        ------
        RequestError
            If a file of theirs is damaged.
        """
        found = []
        for folder in self.folder.glob(f"{_PREFIX}*"):
            if not (_NUMBERED.fullmatch(folder.name) and (folder / STATE).is_file()):
                continue  # not ours, or killed before the run had begun
            try:
                found.append(Run(folder, **json.loads((folder / STATE).read_text("utf-8"))))
            except (ValueError, TypeError, OSError) as exc:
                raise RequestError(f"{folder / STATE}: is damaged ({exc}); delete {folder}, and run it again") from exc
        return sorted(found, key=lambda run: run.number)

    def begin(self, inputs: Mapping[str, Any]) -> Run:
        """Return the last run if it has these inputs and is not finished, else a new one."""
        runs = self.all()
        if runs and runs[-1].outcome is None and runs[-1].inputs == inputs:
            return runs[-1]
        run = Run(self.folder / f"{_PREFIX}{runs[-1].number + 1 if runs else 1:04d}", dict(inputs), now())
        run.folder.mkdir(exist_ok=True)
        run.save()
        return run


def now() -> str:
    """Return the time, in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def tree_hash(folder: Path) -> str:
    """Return one hash of the names and contents of all files in a folder; of none if it does not exist."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder).as_posix()}\n{file_sha256(path)}\n".encode())
    return f"sha256:{found.hexdigest()}"
