import re
from pathlib import Path

import pytest

from router_model import TableError

jupytext = pytest.importorskip("jupytext", reason="extra 'dev' is not installed")

FOLDER = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))


def test_there_are_six_questions_and_the_readme_has_all():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [source.name[:2] for source in SOURCES] == ["01", "02", "03", "04", "05", "06"]
    assert all(source.with_suffix(".ipynb").name in readme for source in SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_starts_from_one_path_and_is_small(source):
    setting = jupytext.read(source).cells[1].source
    assert len(re.findall(r'environ.get\("ROUTER_(?:TABLE|LOG)"', setting)) == 1
    assert source.with_suffix(".ipynb").stat().st_size < 100_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_missing_file_is_one_clear_sentence(source, monkeypatch, tmp_path):
    """The first two cells read it; nothing is trained or downloaded before that."""
    for name in ("ROUTER_TABLE", "ROUTER_LOG", "ROUTER_ARTIFACT"):
        monkeypatch.setenv(name, str(tmp_path / "gone.parquet"))
    code = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    with pytest.raises(TableError, match=r"gone.parquet: no such file. (?:'router-model import|Expected the URL)"):
        exec("\n".join(code[:2]), {})


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_was_made_from_its_source(source):
    """Else: ``make notebooks && cp build/notebooks/*.ipynb notebooks/``."""
    written, made = jupytext.read(source), jupytext.read(source.with_suffix(".ipynb"))
    assert [cell.source for cell in made.cells] == [cell.source for cell in written.cells]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_was_executed_and_holds_no_path_or_error(source):
    made = jupytext.read(source.with_suffix(".ipynb"))
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    shown = [output.get("data", {}) for cell in code for output in cell.outputs]
    assert any("image/svg+xml" in data for data in shown)
    assert "text/html" in shown[0] or "text/html" in shown[1], "the first cell with an output has the answer"
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert "/home/" not in text
