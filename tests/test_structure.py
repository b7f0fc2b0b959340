"""The way of imports runs downhill: no more circles, levels and crumbs than are recorded here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import structure
import value_types

MOST = {  # package: depth, circles, short files for one; lower a number where the project falls below it
    "router_model": (15, 0, 4),
    "features": (7, 0, 3),  # `patterns` is the short reference of a part in C
    "training": (18, 0, 19),  # what is sent to workers, and imports into partitions, are concepts of their own
    # 21: the doctor stands above the server, whose address it tries, and the engines of several routers stand between
    # an engine and those who ask it
    "serving": (21, 0, 11),
}
MOST_TYPES = {"decision": 24, "chat": 55, "table": 88}  # what `value_types` counts; lower a number where it falls


def test_no_package_is_deeper_has_more_circles_or_more_short_files_for_one():
    found = structure.structure()
    assert set(found) == set(MOST)
    for package, room in found.items():
        counted = (room.depth, len(room.circles), len(room.serving_one))
        names = [*map(" <-> ".join, room.circles), *room.serving_one]
        assert all(n <= most for n, most in zip(counted, MOST[package], strict=True)), (package, counted, names)


@pytest.mark.slow
def test_a_request_and_a_table_meet_no_more_types_than_before():
    # In a process of its own, because services that other tests leave running make objects, too.
    found = subprocess.run(
        [sys.executable, value_types.__file__], capture_output=True, text=True, check=True, timeout=300
    ).stdout
    counts = {way: int(n) for way, n in re.findall(r"^(\w+): (\d+) types", found, re.MULTILINE)}
    assert counts.keys() == MOST_TYPES.keys()
    assert all(n <= MOST_TYPES[way] for way, n in counts.items()), found


def test_small_project_is_counted_by_hand(tmp_path):
    """late -> app -> deep.low -> deep.lower; then lower imports app, inside a function."""
    written = {
        "router_model/__init__.py": "",
        "router_model/app.py": "from router_model.deep import low\nfrom router_model.deep.low import anything\n",
        "router_model/late.py": "def f():\n    import router_model.app\n",
        "router_model/deep/__init__.py": "",
        "router_model/deep/low.py": "from .lower import name\nfrom . import lower\n",
        "router_model/deep/lower.py": "from importlib import import_module\nimport numpy.random\n",
        "serving/server.py": "import importlib\nimportlib.import_module('router_model.late')\n" + "\n" * 80,
    }
    for name, text in written.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    graph = structure.import_graph(structure.source_files(tmp_path))
    assert graph == {
        "router_model": set(),
        "router_model.app": {"router_model.deep.low"},
        "router_model.late": {"router_model.app"},
        "router_model.deep": set(),
        "router_model.deep.low": {"router_model.deep.lower"},
        "router_model.deep.lower": set(),
        "router_model.serving.server": {"router_model.late"},
    }
    room = structure.structure(tmp_path)["router_model"]
    assert (room.modules, room.depth, room.circles) == (4, 4, ())
    low, lower = "router_model.deep.low", "router_model.deep.lower"
    assert room.serving_one == ("router_model.app", low, lower, "router_model.late")

    (tmp_path / "router_model/deep/lower.py").write_text("def f():\n    from router_model import app\n")
    rooms = structure.structure(tmp_path)
    assert rooms["router_model"].circles == (("router_model.app", low, lower),)
    assert rooms["router_model"].depth == 2  # a circle counts as one level, and late is above it
    assert rooms["serving"].circles == ()


def test_every_file_that_the_list_of_faults_names_is_there():
    tests = Path(__file__).parent
    table = (tests / "README.md").read_text("utf-8").partition("## Faults")[2]
    named = re.findall(r"`([\w/*]+\.(?:py|sh))`", table)
    assert len(named) > 50
    assert [name for name in named if not list(tests.rglob(name))] == []
