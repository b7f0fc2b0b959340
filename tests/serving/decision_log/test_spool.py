"""The spool: what is on the disk stays readable, and belongs to one process."""

import logging
import os

import pytest
from log_records import BEGAN, attempt, decision, session

from router_model.serving.decision_log import spool as spool_module
from router_model.serving.decision_log.rows import Kind, batch_of, record_of, row_of
from router_model.serving.decision_log.spool import Segment, Spool


def batch(*records):
    return batch_of(map(row_of, records))


def records(segment):
    return [record_of(*row) for row in segment.rows()]


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path, "tag")
    yield made
    made.close()


def test_records_are_read_as_they_were(spool):
    spool.append(batch(decision(2), decision(1)))
    spool.append(batch(attempt(1), session()))
    assert records(spool.active) == [decision(2), decision(1), attempt(1), session()]
    assert spool.depth == 4


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_line_that_was_cut_off_is_skipped_and_counted(spool, tmp_path, caplog, cut):
    spool.append(batch(decision(1), decision(2)))
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[:-cut])
    with caplog.at_level(logging.WARNING):
        spool.adopt()
        assert records(spool.sealed[0]) == [decision(1)]
    assert "1 damaged lines skipped (cut off by a crash)" in caplog.text


def test_a_flipped_bit_spoils_one_record(spool, tmp_path):
    spool.append(batch(decision(1), decision(2), decision(3)))
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"small", b"smell", 1)
    path.write_bytes(b"".join(lines))
    spool.adopt()
    assert records(spool.sealed[0]) == [decision(1), decision(3)]


def test_what_a_newer_version_wrote_is_skipped_and_said(spool, caplog):
    spool.append(batch(decision(1)))
    spool.active.append([b'["shape",{"x":1}]', b'["decision",{"created_at":"2026-03-01T12:00:00Z"}]'])
    assert [row.get("decision_id") for _, row in spool.active.rows()] == [decision(1).decision_id, None]
    assert "a record that this version cannot read is skipped" in caplog.text


def test_a_segment_belongs_to_one(spool, tmp_path):
    """The second process adopts it when the first lets go."""
    other = Spool(tmp_path, "tag")
    spool.append(batch(decision(1)))
    assert (other.adopt(), other.n_waiting_elsewhere()) == (0, 1)
    spool.close()
    assert (other.adopt(), other.n_waiting_elsewhere(), spool.adopt()) == (1, 0, 0)
    other.close()


def test_another_log_in_the_folder_is_left_alone(spool, tmp_path):
    other = Spool(tmp_path, "other")
    other.append(batch(decision(1)))
    other.close()
    assert spool.adopt() == 0


def test_a_segment_that_is_gone_meanwhile_is_not_adopted(tmp_path):
    segment = Segment.make(tmp_path, "tag")
    path = segment.path
    segment.remove()
    assert Segment.adopt(path) is None


def test_a_full_disk_leaves_whole_lines(spool, monkeypatch):
    """A write that took 10 bytes only is undone; the next one finds a clean end."""
    spool.append(batch(decision(1)))
    monkeypatch.setattr(spool_module.os, "writev", lambda file, parts: os.write(file, b"".join(parts)[:10]))
    with pytest.raises(OSError, match="10 of .* bytes were written; is the disk full"):
        spool.append(batch(decision(2)))
    monkeypatch.undo()
    spool.append(batch(decision(3)))
    assert records(spool.active) == [decision(1), decision(3)]


def test_large_segments_are_closed(spool, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 100)
    for n in range(3):
        spool.append(batch(decision(n)))
    assert (spool.active, [segment.n_records for segment in spool.sealed]) == (None, [1, 1, 1])


def test_the_last_of_several_is_found(spool):
    spool.append(batch(session(n=1, model="old"), decision(1)))
    spool.seal()
    spool.append(batch(session(n=2, model="new")))
    assert spool.find(Kind.SESSION, "sess")["model"] == "new"
    assert spool.find(Kind.DECISION, decision(1).decision_id)["created_at"] == decision(1).created_at > BEGAN
    assert spool.find(Kind.DECISION, "sess") is None


def test_files_are_for_their_owner_only(spool):
    """They hold prompts."""
    spool.append(batch(decision(1)))
    assert spool.active.path.stat().st_mode & 0o777 == 0o600
