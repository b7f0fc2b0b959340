"""Make a release: `python scripts/release.py VERSION` writes version and changelog, `make release` builds and checks.

Building refuses a tree with changes that are not committed. It builds source distribution and wheel twice, each time
from a fresh copy of the commit, and refuses if one byte differs. It installs the wheel into a clean environment of
every supported Python on this machine, and writes the hashes, the changelog's section and the bill of materials beside
the two files.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "release"
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED = "## [Unreleased]\n"
_EMPTY = f"{_UNRELEASED}\n### Added\n\n### Changed\n\n### Fixed\n"
WRITTEN = {
    "pyproject.toml": (1, r'(\[project\]\nname = "[^"]*"\nversion = ")[^"]*(")'),
    "deploy/helm/router-model/Chart.yaml": (2, r'(?m)^((?:appVersion|version): "?)[\d.]+("?)$'),
}
"""Where the version is written, how often, and how; everything else asks the installed package for it."""


class ReleaseError(Exception):
    """Raised where a release cannot be made; the message says why."""


def prepare(version: str, day: str, *, root: Path = ROOT) -> None:
    """Write the version into `WRITTEN`, and let what is unreleased in the changelog be this version's.

    Raises
    ------
    ReleaseError
        If the version is not a number of three parts, is there already, nothing is unreleased, or a file of `WRITTEN`
        does not have its versions; nothing is written then.
    """
    if _VERSION.fullmatch(version) is None:
        raise ReleaseError(f"got {version!r}; expected a version such as 0.2.0")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text()
    if f"## [{version}]" in text:
        raise ReleaseError(f"{changelog.name} has a section {version} already; expected a new version")
    before, heading, after = text.partition(_UNRELEASED)
    new, next_heading, rest = after.partition("\n## [")
    new = re.sub(r"(?m)^### .*\n\s*(?=^### |\Z)", "", new).strip()  # without headings that have nothing below them
    if not heading or not new:
        raise ReleaseError(f"{changelog.name} has nothing under '{_UNRELEASED.strip()}'; write there what is new")
    texts = {changelog: f"{before}{_EMPTY}\n## [{version}] - {day}\n\n{new}\n{next_heading}{rest}"}
    for name, (n, pattern) in WRITTEN.items():
        texts[root / name], n_found = re.subn(pattern, rf"\g<1>{version}\g<2>", (root / name).read_text())
        _check_number(name, n_found, n)
    for path, written in texts.items():
        path.write_text(written)


def written_versions(root: Path = ROOT) -> set[str]:
    """Return the versions that are written in `WRITTEN`; there should be one.

    Raises
    ------
    ReleaseError
        If a file does not have its versions.
    """
    versions = set()
    for name, (n, pattern) in WRITTEN.items():
        found = [*re.finditer(pattern, (root / name).read_text())]
        _check_number(name, len(found), n)
        versions |= {one[0].removeprefix(one[1]).removesuffix(one[2]) for one in found}
    return versions


def _check_number(name: str, n_found: int, n: int) -> None:
    if n_found != n:
        raise ReleaseError(
            f"{name}: found {n_found} places of the version, expected {n}; mend the file, or its pattern in WRITTEN of "
            "scripts/release.py"
        )


def section(version: str, changelog: str) -> str:
    """Return what the changelog says of a version.

    Raises
    ------
    ReleaseError
        If it says nothing.
    """
    found = re.search(rf"(?ms)^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog)
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section {version}; 'python scripts/release.py {version}' makes it")
    return f"{found[1].strip()}\n"


def build() -> None:
    """Build the version of pyproject.toml into ``build/release``, and check it.

    Raises
    ------
    ReleaseError
        If the tree is not clean, two builds differ, or the wheel does not work.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if (written := written_versions()) != {version}:
        raise ReleaseError(
            f"{' and '.join(WRITTEN)} have the versions {', '.join(sorted(written))}; make them {version}"
        )
    notes = section(version, (ROOT / "CHANGELOG.md").read_text())
    if changed := _said("git", "status", "--porcelain"):
        raise ReleaseError(f"the tree has changes that are not committed; commit or remove them:\n{changed}")
    when = _said("git", "log", "-1", "--format=%ct")
    shutil.rmtree(OUT, ignore_errors=True)
    first, second = (_built(OUT / name, when) for name in ("dist", "again"))
    if first != second:
        differ = sorted(name for name in first if first[name] != second.get(name))
        raise ReleaseError(f"two builds of one commit differ in {', '.join(differ)}")
    shutil.rmtree(OUT / "again")
    wheel = next((OUT / "dist").glob("*.whl"))
    checked = [python for python in PYTHONS if _works(python)]
    for python in checked:
        _say(f"checking {wheel.name} with {python}")
        path = shutil.which(python) or python
        _run("sh", "tests/check_wheel.sh", env={"PYTHON": path, "WHEEL": str(wheel)})
    if not checked:
        raise ReleaseError(f"none of {', '.join(PYTHONS)} is here, so nothing was checked")
    (OUT / "notes.md").write_text(notes)
    _run("make", "sbom")
    shutil.copy(ROOT / "build" / "sbom.cdx.json", OUT)
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(first.items()))
    (OUT / "dist" / "SHA256SUMS").write_text(sums)
    _say(f"{version}: built twice, the same bytes; checked with {', '.join(checked)}; in build/release:\n{sums}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _built(out: Path, when: str) -> dict[str, str]:
    """Build from a fresh copy of the commit; return the hash of each file."""
    with tempfile.TemporaryDirectory() as folder:
        _run("git", "clone", "--quiet", "--no-local", str(ROOT), f"{folder}/source")
        command = (sys.executable, "-m", "build", "--outdir", str(out), f"{folder}/source")
        _run(*command, env={"SOURCE_DATE_EPOCH": when}, quiet=True)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in out.iterdir()}


def _works(python: str) -> bool:
    """Tell whether a Python is here: a manager's stand-in for one that is not installed fails."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0  # noqa: S603


def _said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _run(*command: str, env: dict[str, str] | None = None, quiet: bool = False) -> None:
    done = subprocess.run(command, cwd=ROOT, env=os.environ | (env or {}), capture_output=quiet, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ReleaseError(
            f"{' '.join(command[:4])} failed{':' if quiet else ''} {done.stderr or ''}{done.stdout or ''}"
        )


def main() -> None:
    """Prepare the version that is named, or build the one that is there."""
    try:
        if len(sys.argv) > 1:
            prepare(sys.argv[1], f"{datetime.now(UTC):%Y-%m-%d}")
            _say(f"wrote version {sys.argv[1]}; look at CHANGELOG.md, commit, and 'make release'")
        else:
            build()
    except ReleaseError as exc:
        sys.exit(f"error: {exc}")


if __name__ == "__main__":
    main()
