"""Run `router-model` in the process of the test: imports are paid once, not in every test.

What a process of its own shows (signals, exit, what is imported) is tested with `subprocess`.
"""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from router_model.cli import main


@dataclass(frozen=True)
class Finished:
    """What a finished command left, by the names of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments: object, stdin: str | None = None) -> Finished:
    """Call the command's entry point with these arguments, as the console script does."""
    typed = ["router-model", *map(str, arguments)]
    given = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8")
    with (
        patch.object(sys, "argv", typed),
        patch.object(sys, "stdin", given),
        redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)) as out,
        redirect_stderr(io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)) as err,
    ):
        try:
            main()
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        else:
            code = 0
        return Finished(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
