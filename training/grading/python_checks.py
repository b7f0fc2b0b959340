"""The grader ``python``: a function of the user's own, ``grade(answer, reference, row)``, in a process with limits.

It returns True, False, a number from 0 to 1, or None if it cannot tell. The process answers one row after the other.
One that crashes or takes too long is started again for the next row, and the row counts as not graded, not as wrong.
The option ``errors=0`` says otherwise, for functions that run what a model wrote.

The process has no variables of the environment but ``PATH`` and ``LANG``, a folder of its own, and limits on time,
memory and the size of files. It has no network: where the kernel allows it, none at all; elsewhere connecting is
refused inside Python, which stops mistakes, but not a program that means harm. This is no place for code that you do
not trust.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from router_model.errors import RequestError
from router_model.training.grading.answers import Answer, Grade, not_graded

_CHILD: Final = Path(__file__).with_name("python_child.py")
_START_S: Final = 60.0
"""Time to start and to import the user's file; libraries that it imports may be slow."""
_MOST_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class PythonCheck:
    """Grades with a function in a file.

    Attributes
    ----------
    path : Path
    function : str
    timeout_s : float
        Seconds for one answer.
    memory_mb : int
        Megabytes of address space.
    on_error : float or None
        Quality of an answer on which the function fails; None means not graded.
    """

    path: Path
    function: str = "grade"
    timeout_s: float = 10.0
    memory_mb: int = 2048
    on_error: float | None = None

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise RequestError(f"--by python: {self.path}: no such file; expected one with 'def {self.function}(…)'")

    @property
    def name(self) -> str:
        """The file and the function."""
        return f"python:{self.path.name}:{self.function}"

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer.

        Raises
        ------
        RequestError
            If the file cannot be imported, or has no such function.
        """
        process: _Process | None = None
        grades = []
        with tempfile.TemporaryDirectory(prefix="router-grade-") as folder:
            try:
                for answer in answers:
                    process = process or _Process(self, folder)
                    grade, is_usable = self._grade(process, answer)
                    grades.append(grade)
                    if not is_usable:
                        process.stop()
                        process = None
            finally:
                if process is not None:
                    process.stop()
        return grades

    def _grade(self, process: "_Process", answer: Answer) -> tuple[Grade, bool]:
        """Return the grade of one answer, and whether the process can go on."""
        question = {"answer": answer.final_text, "tool_calls": answer.tool_calls, "reference": answer.reference}
        said = process.ask({**question, "row": dict(answer.row)}, self.timeout_s)
        if said is None:
            return self._failed(f"the function took more than {self.timeout_s:g} s"), False
        if "crashed" in said:
            return self._failed(f"the function's process ended ({said['crashed']})"), False
        if "error" in said:
            return self._failed(f"the function raised {said['error']}"), True
        return _grade_of(said["value"]), True

    def _failed(self, reason: str) -> Grade:
        return not_graded(reason) if self.on_error is None else Grade(self.on_error)


def _grade_of(value: Any) -> Grade:
    if value is None:
        return not_graded("the function returned None")
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        return not_graded("the function returned something else than True, False, None or a number from 0 to 1")
    return Grade(float(value))


class _Process:
    """The process that holds the user's function."""

    def __init__(self, check: PythonCheck, folder: str) -> None:
        arguments = [check.path.resolve(), check.function, check.memory_mb, folder]
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `stop`)
        self._process = subprocess.Popen(  # noqa: S603  (the user's own function)
            [sys.executable, "-I", _CHILD, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
            env=kept,
            start_new_session=True,
        )
        self._asked, self._said = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._read = b""
        ready = self._answer(_START_S)
        if ready is None or "error" in ready or "crashed" in ready:
            said = ready or {"error": f"importing it took more than {_START_S:g} s"}
            self.stop()
            raise RequestError(f"--by python: {check.path}: {said.get('error') or said.get('crashed')}")

    def ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """Return what the function says, or None if it takes too long."""
        with contextlib.suppress(BrokenPipeError):  # a process that has ended says so below
            self._asked.write(json.dumps(question, default=str).encode() + b"\n")
            self._asked.flush()
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> dict[str, Any] | None:
        until = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._said, selectors.EVENT_READ)
            while b"\n" not in self._read:
                if not selector.select(max(until - time.monotonic(), 0)):
                    return None
                piece = os.read(self._said.fileno(), 65536)
                if not piece:
                    return {"crashed": self._how_it_ended()}
                self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(self._errors.tell() - 2000, 0))
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return ": ".join([how, *(line[:_MOST_CHARS] for line in last)])

    def stop(self) -> None:
        """End the process and what it started."""
        for pipe in (self._asked, self._said):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()
