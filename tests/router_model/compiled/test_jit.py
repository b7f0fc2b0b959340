import os
import subprocess
import sys

import llvmlite.binding as llvm
import numba
import pytest

from router_model.prediction.compiled.jit import compiled

PROGRAM = "import numba, router_model.prediction.compiled.jit; print(numba.config.CPU_FEATURES)"


def features_said(**settings):
    """Return what a process chooses that has no settings of numba's but these."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=others | settings, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.slow
def test_only_processors_that_do_not_slow_down_use_512_bits():
    wide = bool(llvm.get_host_cpu_features().get("avx512vbmi2"))
    assert features_said().endswith("-prefer-256-bit") == wide


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("NUMBA_CPU_FEATURES", "+sse2", "+sse2"), ("NUMBA_CPU_NAME", "generic", "")],
)
@pytest.mark.slow
def test_the_users_settings_come_first(name, value, expected):
    assert features_said(**{name: value}) == expected


def test_without_a_folder_to_write_to_functions_are_compiled_and_not_kept(monkeypatch):
    njit = numba.njit

    def only_uncached(function=None, *, cache=False, **options):  # numba calls it with a function itself
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", only_uncached)
    assert compiled(lambda x: x + 1)(1) == 2
