"""In processes of their own: what is imported here is imported for all tests."""

import subprocess
import sys

import pytest

HEAVY = ("pandas", "pyarrow", "sklearn")
NEEDED = ("lightgbm", "scipy.optimize", *HEAVY)


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def test_the_service_needs_none_of_them_nor_lightgbm_and_they_can_be_imported_afterwards(trained):
    """What serves is imported, and a router is loaded and decides; the first explanation imports LightGBM alone."""
    for later in HEAVY:
        pytest.importorskip(later)
    program = (
        "import sys; from router_model.serving.common.lean_imports import import_lightgbm_alone as alone,"
        "import_lightgbm_if_needed as ready; ready();"
        "import router_model.serving.app, router_model.serving.preflight; from router_model.router import Router;"
        f"Router.load({str(trained.path)!r}).route('hello');"
        f"print([name for name in {NEEDED!r} if name in sys.modules]); alone();"
        f"print('lightgbm' in sys.modules, [name for name in {HEAVY!r} if name in sys.modules]);"
        f"import {', '.join(HEAVY)}"
    )
    assert said(program) == "[]\nTrue []"


def test_what_is_there_already_stays_and_is_known_to_lightgbm_which_is_imported_once():
    pytest.importorskip("pandas")
    program = (
        "import pandas, sys, router_model.serving.common.lean_imports as lean; lean.import_lightgbm_alone();"
        "import lightgbm.compat as compat; print(sys.modules['pandas'] is pandas, compat.PANDAS_INSTALLED);"
        "before = set(sys.modules); lean.import_lightgbm_alone(); print(set(sys.modules) - before)"
    )
    assert said(program) == "True True\nset()"
