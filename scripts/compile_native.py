"""Compile the extension modules in place: ``python scripts/compile_native.py``.

The C compiler is ``CC``, or else ``cc``, ``gcc`` or ``clang``, or else that of the package ``ziglang``. The build hook
of the package (``hatch_build.py``) calls this, too. The modules use Python's stable ABI, so one build serves every
Python from 3.11 on.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (_ROOT / "router_model" / "features", _ROOT / "router_model" / "prediction" / "compiled")
"""Each has its C sources in ``native``, and gets a module of its own beside them."""
_NAME = "_native.abi3.so"
_FLAGS = (
    *("-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden"),
    "-ffp-contract=off",  # results must not depend on whether a processor fuses a product with a sum
    "-fwrapv",  # odd numbers of a caller give odd results, and nothing undefined
)


class CompileError(Exception):
    """Raised if a module cannot be compiled; the message says why."""


def system_compiler() -> list[str]:
    """Return the command of the C compiler, without ziglang's; empty if there is none."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    return next(([name] for name in ("cc", "gcc", "clang") if shutil.which(name)), [])


def compile_native(*extra: str) -> list[Path]:
    """Compile the modules, with more options for the compiler; return their paths.

    Raises
    ------
    CompileError
        The modules that were there are removed then: those of other sources must not answer.
    """
    try:
        return [_compiled(folder, *extra) for folder in FOLDERS]
    except CompileError:
        for folder in FOLDERS:
            (folder / _NAME).unlink(missing_ok=True)
        raise


def _compiled(folder: Path, *extra: str) -> Path:
    if os.name == "nt":
        raise CompileError("the extension modules are not compiled on Windows")
    command = system_compiler()
    if not command and importlib.util.find_spec("ziglang") is None:
        raise CompileError("no C compiler was found: install one, or set CC")
    command = command or [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-mcpu=baseline",
    ]  # by default it is for this processor
    module = folder / _NAME
    made = module.with_suffix(f".{os.getpid()}")  # another build may run at the same time
    command += [*_FLAGS, *extra, f"-I{sysconfig.get_path('include')}", *map(str, sorted(folder.glob("native/*.c")))]
    command += ["-lm", "-o", str(made)]
    command += ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as exc:
        raise CompileError(f"{command[0]} cannot be run ({exc})") from exc
    if done.returncode:
        raise CompileError(f"{shlex.join(command[:2])} failed: {done.stderr.strip() or done.stdout.strip()}")
    made.replace(module)
    return module


if __name__ == "__main__":
    try:
        print(*compile_native(*sys.argv[1:]), sep="\n")  # noqa: T201
    except CompileError as exc:
        sys.exit(str(exc))
