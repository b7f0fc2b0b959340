"""Count how the project's modules import each other: `python tests/support/structure.py` prints the table.

Every import is counted, also those inside functions, in ``if TYPE_CHECKING`` and through `importlib.import_module`
with a literal name: where they lead is what a reader has to know. What a package's ``__init__`` does when one of its
modules is imported is left out.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "router_model"
FOLDERS = ("features", "training", "serving")
"""Packages that are counted by themselves; the rest of `PROJECT` is counted as its root."""
SHORT = 80
"""Lines. A shorter file that serves one neighbour alone could stand in that neighbour."""

Graph = Mapping[str, AbstractSet[str]]


@dataclass(frozen=True)
class Room:
    """What is counted of one package.

    Attributes
    ----------
    modules : files, without ``__init__`` files
    depth : modules on the longest way down from one import to the next; modules of a circle count as one
    circles : groups of modules that import each other, each sorted
    serving_one : files under `SHORT` lines that exactly one module of the project imports
    """

    modules: int
    depth: int
    circles: tuple[tuple[str, ...], ...]
    serving_one: tuple[str, ...]


def source_files(root: Path = ROOT) -> dict[str, Path]:
    """Return the file of each module by its name, e.g. ``router_model.serving.app``."""
    found = {}
    for folder in (PROJECT, *FOLDERS):
        prefix = (PROJECT,) if folder == PROJECT else (PROJECT, folder)
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            if folder == PROJECT and parts[0] in FOLDERS:
                continue  # links to the other folders, which some versions of Python follow
            found[".".join((*prefix, *parts)).removesuffix(".__init__")] = path
    return found


def imported(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the full name of everything that a module imports, with the names that it takes from there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) + is_package - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) == "import_module" and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which modules each module imports; a name that is no module belongs to the module that defines it."""
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text("utf-8"))
        named = imported(tree, module, is_package=path.name == "__init__.py")
        found = {next((name for name in (full, full.rpartition(".")[0]) if name in files), "") for full in named}
        graph[module] = found - {"", module}
    return graph


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """Return the groups of modules that reach each other (Tarjan), lower groups first; one module is a group, too."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    groups = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for other in sorted(graph[module]):
            if other not in order:
                visit(other)
            if other in path:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == order[module]:
            start = path.index(module)
            groups.append(tuple(sorted(path[start:])))
            del path[start:]

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return groups


def depth(graph: Graph) -> int:
    """Return the number of modules on the longest way down."""
    below: dict[str, int] = {}
    for group in circles(graph):
        under = (below[other] for module in group for other in graph[module] if other not in group)
        below.update(dict.fromkeys(group, 1 + max(under, default=0)))
    return max(below.values(), default=0)


def short_files_for_one(files: Mapping[str, Path], graph: Graph) -> list[str]:
    """Return the modules under `SHORT` lines that exactly one other module imports."""
    importers = Counter(other for others in graph.values() for other in others)
    short = (module for module, path in files.items() if len(path.read_text("utf-8").splitlines()) < SHORT)
    return [module for module in short if importers[module] == 1 and files[module].name != "__init__.py"]


def package_of(module: str) -> str:
    """Return which package a module is counted in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else PROJECT


def structure(root: Path = ROOT) -> dict[str, Room]:
    """Count every package of the project."""
    files = source_files(root)
    graph = import_graph(files)
    whole = [group for group in circles(graph) if len(group) > 1]
    short = short_files_for_one(files, graph)
    return {package: _room(package, files, graph, whole, short) for package in (PROJECT, *FOLDERS)}


def _room(
    package: str, files: Mapping[str, Path], graph: Graph, whole: Iterable[tuple[str, ...]], short: Iterable[str]
) -> Room:
    within = {module for module in files if package_of(module) == package}
    return Room(
        modules=sum(files[module].name != "__init__.py" for module in within),
        depth=depth({module: graph[module] & within for module in within}),
        circles=tuple(group for group in whole if within & set(group)),
        serving_one=tuple(module for module in short if module in within),
    )


def main() -> None:
    """Print the table, then the names behind its numbers."""
    rooms = structure()
    print(f"{'':14}{'modules':>8}{'depth':>8}{'circles':>9}{'short files for one':>21}")
    for package, room in rooms.items():
        print(f"{package:14}{room.modules:8}{room.depth:8}{len(room.circles):9}{len(room.serving_one):21}")
    if "--names" in sys.argv[1:]:
        for package, room in rooms.items():
            print(f"\n{package}")
            for group in room.circles:
                print("  circle:", " <-> ".join(group))
            for module in room.serving_one:
                print("  short, for one:", module)
    else:
        print("\n--names: which modules these are")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main()
