import numpy as np
import polars as pl
import pytest
from command_line import run_command

from router_model import TableError
from router_model.training.distributed.partitions import partitions_of
from router_model.training.table.frames import sha256_of
from router_model.training.table.outcomes import read_outcomes


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """The rows of `table` as two days, a hidden file and one of another kind beside them."""
    root, rows = tmp_path_factory.mktemp("partitions"), pl.read_parquet(table)
    for day, part in (("day=2026-11-28", rows[:700]), ("day=2026-11-29", rows[700:])):
        (root / day).mkdir()
        part.write_parquet(root / day / "outcomes.parquet")
    (root / ".unfinished.parquet").write_text("half")
    (root / "notes.txt").write_text("")
    return root


@pytest.mark.parametrize("form", ["{0}", "{0}/day=*/outcomes.parquet", "file://{0}", "file://{0}/*/*.parquet"])
def test_partitions_are_the_table_of_all_their_rows(form, folder, table):
    """The 234th prompt has rows in both days."""
    found, whole = read_outcomes(form.format(folder)), read_outcomes(table)
    assert found.prompt_ids == whole.prompt_ids
    assert found.prompts == whole.prompts
    assert np.array_equal(found.quality, whole.quality, equal_nan=True)


def test_memory_of_this_process_is_a_place_too(folder, table):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.put(str(folder / "day=2026-11-28"), "/partitions/first", recursive=True)
    assert partitions_of("memory://partitions") == ["memory:///partitions/first/outcomes.parquet"]
    assert len(read_outcomes("memory://partitions")) == len(set(pl.read_parquet(table)["prompt_id"][:700]))


def test_hash_follows_the_content(folder, tmp_path):
    before = sha256_of(folder)
    assert sha256_of(f"file://{folder}") == before
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    assert sha256_of(tmp_path) != before


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"quality": [1.0, 7.0]}, r"part-2\.parquet.* row 2\b.*7"),
        ({"model": ["a", "a"]}, "got 'p' with model 'a' again"),
        ({"prompt": None}, r"part-2\.parquet: column prompt \(or messages\) missing"),
    ],
)
def test_faults_name_their_file(columns, match, tmp_path):
    good = {"prompt_id": ["p", "q"], "prompt": ["x", "y"], "model": ["a", "b"], "quality": [1.0, 0.0]}
    other = {name: values for name, values in {**good, **columns}.items() if values is not None}
    if "model" in columns:
        other["prompt_id"] = ["p", "r"]  # p and a are in the first file, too
    pl.DataFrame(good).write_parquet(tmp_path / "part-1.parquet")
    pl.DataFrame(other).write_parquet(tmp_path / "part-2.parquet")
    with pytest.raises(TableError, match=match):
        read_outcomes(tmp_path)


def test_a_damaged_or_unknown_place_is_named(tmp_path):
    with pytest.raises(TableError, match="no Parquet file in it"):
        read_outcomes(f"file://{tmp_path}/nothing")
    with pytest.raises(TableError, match="nowhere://x: "):
        read_outcomes("nowhere://x")
    (tmp_path / "part.parquet").write_text("half")
    with pytest.raises(TableError, match=r"part\.parquet: not a readable Parquet file"):
        read_outcomes(tmp_path)


def test_import_writes_a_partition_of_each_file(tmp_path):
    """Two files with two rows each, one with a bad grade; both partitions together are a table to train on."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.csv").write_text("prompt,model,quality\nx,m,1\ny,m,0\n")
    (raw / "b.jsonl").write_text('{"prompt": "z", "model": "m", "quality": 1}\n{"prompt": "w", "model": "m"}\n')
    typed = ("import", f"file://{raw}", "--out", f"file://{tmp_path}/out", "--engine", "local")
    done = run_command(*typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Wrote 2 partitions" in done.stdout
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["part-00000.parquet", "part-00001.parquet"]
    assert read_outcomes(tmp_path / "out").prompts == ["x", "y", "z", "w"]
    assert run_command("import", f"file://{tmp_path}/none", "--out", f"{tmp_path}/out/").returncode == 2
