from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="extra 'dev' is not installed")

FOLDER = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))


def test_there_are_notebooks():
    assert SOURCES


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
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert "/home/" not in text
