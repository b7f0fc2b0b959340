"""What the image leaves out, against what the service imports."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = (ROOT / "deploy/image/steps.sh").read_text()
LEFT_OUT = re.search(r"^PARTS_OF_TRAINING='([^']*)'", STEPS, flags=re.MULTILINE)[1].split()
TRAINING = ("training", "commands", "pages", "charts")
"""Folders that need polars, which is not in that image."""


def imported(text):
    """Yield the names that a module imports, with what it imports from them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_what_the_image_leaves_out_of_scipy_is_not_imported_by_what_it_runs():
    left_out = tuple(f"scipy.{part.removesuffix('.*so').replace('/', '.')}" for part in LEFT_OUT)
    assert "scipy.optimize" in left_out
    package = ROOT / "router_model"
    files = [one for one in package.rglob("*.py") if one.relative_to(package).parts[0] not in TRAINING]
    files += [*(ROOT / "serving").rglob("*.py"), *(ROOT / "features").rglob("*.py")]
    found = {(one.name, name) for one in files for name in imported(one.read_text()) if name.startswith("scipy.")}
    assert any(name.startswith("scipy.sparse") for _, name in found)
    assert not {(file, name) for file, name in found if f"{name}.".startswith(tuple(f"{one}." for one in left_out))}
