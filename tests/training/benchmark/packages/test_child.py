import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.benchmark.packages.child import run_adapter

PYTHON = Path(sys.executable)


def adapter(folder: Path, code: str) -> Path:
    path = folder / "fake_rival.py"
    path.write_text(code)
    return path


def test_adapter_is_called_with_the_folder_and_sees_neither_our_packages_nor_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    code = (
        "import os, pathlib, sys\n"
        "pathlib.Path(sys.argv[1], 'seen').write_text(repr((sys.flags.isolated, dict(os.environ))))"
    )
    run_adapter(PYTHON, adapter(tmp_path, code), tmp_path, time_limit_s=60)
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("(1, ")
    assert "canary" not in seen
    assert "PYTHONPATH" not in seen


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ValueError('no such knob')", "ended with code 1: ValueError: no such knob"),
        ("raise SystemExit('needs two models')", "ended with code 1: needs two models"),
        ("import sys; sys.exit(3)", "ended with code 3: it wrote nothing"),
        (
            "import atexit, sys\natexit.register(lambda: sys.stderr.write('  0%| | 0/9'))\nraise KeyError('x')",
            "ended with code 1: KeyError: 'x'",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with code -9: it wrote nothing"),
    ],
)
def test_adapter_that_fails_is_a_reason(tmp_path, code, reason):
    with pytest.raises(MethodUnavailableError, match=reason):
        run_adapter(PYTHON, adapter(tmp_path, code), tmp_path, time_limit_s=60)


def test_adapter_that_hangs_is_ended(tmp_path):
    code = (
        "import os, pathlib, sys, time\npathlib.Path(sys.argv[1], 'pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    with pytest.raises(MethodUnavailableError, match="gave no answer within 3 s"):
        run_adapter(PYTHON, adapter(tmp_path, code), tmp_path, time_limit_s=3)
    assert_ended(tmp_path / "pid")


@pytest.mark.slow
def test_adapter_is_ended_when_we_are_interrupted(tmp_path):
    """Another process runs the adapter and is sent what Ctrl-C sends, as soon as the adapter is there."""
    hanging = (
        "import os, pathlib, sys, time\npathlib.Path(sys.argv[1], 'pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    path = adapter(tmp_path, hanging)
    root = str(Path(__file__).parents[4])
    code = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from pathlib import Path\n"
        "from router_model.training.benchmark.packages.child import run_adapter\n"
        f"run_adapter(Path(sys.executable), Path({str(path)!r}), Path({str(tmp_path)!r}), time_limit_s=600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate()[1]
    assert_ended(tmp_path / "pid")


def test_python_that_does_not_exist_is_a_reason(tmp_path):
    with pytest.raises(MethodUnavailableError, match="cannot be started: .*nowhere"):
        run_adapter(tmp_path / "nowhere", adapter(tmp_path, ""), tmp_path, time_limit_s=60)


def assert_ended(pid: Path) -> None:
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.kill(int(pid.read_text()), 0)
