"""What docs/python.md tells to type works; the slow test trains as it says, the other begins with the shared router."""

import re
import shutil
from pathlib import Path

import pytest
from simulated_world import CATALOG

pytest.importorskip("vl_convert", reason="extra 'report' is not installed")

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(table, tmp_path, monkeypatch):
    shutil.copy(table, tmp_path / "outcomes.parquet")
    (tmp_path / "catalog.toml").write_text(CATALOG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(blocks, known):
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), known)
    return known


def test_the_page_has_five_examples_that_begin_with_a_training():
    assert len(BLOCKS) == 5
    assert "trained = train(" in BLOCKS[0]
    assert "RouterEstimator(" in BLOCKS[-1]


@pytest.mark.slow
def test_measuring_looking_and_comparing_work_as_the_page_says(folder, trained):
    shutil.copytree(trained.path, folder / "my-router")
    known = run(BLOCKS[1:4], {"router": trained.router})
    assert known["measured"].by_task.keys() == {"code"}
    assert known["found"].share_different == 0
    assert repr(known["worth"]).startswith("<Report on ")
    assert "<script" not in (folder / "report.html").read_text(encoding="utf-8")
    assert known["worth"].plot()._repr_svg_()
    with pytest.raises(ValueError, match="expected a table or a log, got neither"):
        known["report"](trained.router)
    assert (folder / "frontier.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_whole_page_works():
    pytest.importorskip("sklearn", reason="extra 'sklearn' is not installed")
    known = run(BLOCKS, {})
    assert known["trained"].artifact == Path("my-router")
    assert known["search"].best_params_["max_quality_loss"] in {0.0, 0.05}
