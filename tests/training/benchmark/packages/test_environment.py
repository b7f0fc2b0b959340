import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.benchmark.packages.environment import PackageEnvironment


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel(folder: Path, name: str) -> Path:
    """Write the smallest wheel there is, of a package that depends on one that does not exist."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "WHERE = __file__\n")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: missing-dependency @ file:///nowhere\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_folder_changes_with_the_requirements_and_how_they_are_installed(cache):
    folders = {
        PackageEnvironment("rival", ("a==1",)).folder,
        PackageEnvironment("rival", ("a==2",)).folder,
        PackageEnvironment("rival", (), bare=("a==1",)).folder,
    }
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {cache / "benchmark"}


@pytest.mark.slow  # makes an environment
def test_environment_is_made_once_and_holds_what_was_asked_for(tmp_path):
    source = wheel(tmp_path, "rival_by_hand")
    environment = PackageEnvironment("rival", (), bare=(str(source),))
    python = environment.python()
    source.unlink()
    assert environment.python() == python  # there is nothing left to install it from
    done = subprocess.run(
        [python, "-I", "-c", "import rival_by_hand; print(rival_by_hand.WHERE)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert Path(done.stdout.strip()).is_relative_to(environment.folder), done.stderr
    here = subprocess.run([sys.executable, "-c", "import rival_by_hand"], capture_output=True, text=True, check=False)
    assert "No module named 'rival_by_hand'" in here.stderr


@pytest.mark.slow  # makes an environment
def test_environment_made_by_another_process_meanwhile_is_kept():
    environment = PackageEnvironment("rival", ())
    environment.python()
    (environment.folder / "of the other process").touch()
    environment._make()
    assert (environment.folder / "of the other process").exists()
    assert [entry.name for entry in environment.folder.parent.iterdir()] == [environment.folder.name]


@pytest.mark.slow  # makes an environment
def test_requirement_that_cannot_be_installed_is_a_reason_and_leaves_nothing(tmp_path):
    environment = PackageEnvironment("rival", (str(tmp_path / "rival-1.0-py3-none-any.whl"),))
    with pytest.raises(MethodUnavailableError, match="pip: .*rival-1.0-py3-none-any.whl") as raised:
        environment.python()
    assert "\n" not in str(raised.value)
    assert list(environment.folder.parent.iterdir()) == []


def test_cache_that_cannot_be_written_is_a_reason(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path / "file"))
    with pytest.raises(MethodUnavailableError, match="its environment cannot be made in .*file"):
        PackageEnvironment("rival", ()).python()


def test_folder_without_a_python_is_named():
    environment = PackageEnvironment("rival", ())
    (environment.folder / "half").mkdir(parents=True)
    with pytest.raises(MethodUnavailableError, match="holds no working environment; delete it"):
        environment.python()
