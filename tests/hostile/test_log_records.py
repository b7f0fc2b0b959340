"""No text or number of a caller or a provider keeps another's record out of the log."""

import asyncio
import json
import math
import zlib
from dataclasses import replace
from random import Random

import pytest
from asked_log import opened
from faulty_store import FaultyStore
from log_records import attempt, decision, feedback, session
from starlette.datastructures import Headers

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.decision_log import rejects as rejects_module
from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.opening import open_spool, open_store
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.rejects import Rejects
from router_model.serving.decision_log.rows import ID_FIELD, Kind, batch_of, row_json, row_of
from router_model.serving.decision_log.spool import Segment, Spool
from router_model.serving.decision_log.store import RefusedError, Selection
from router_model.serving.decision_log.texts import bounded
from router_model.serving.formats.format import Surface
from router_model.serving.proxy.proxy_request import read_proxy_request

PATIENT_S = 20.0


def noise(n, alphabet, seed=1):
    """Return text that does not compress: an index sees its whole length."""
    return "".join(Random(seed).choices(alphabet, k=n))


WIDE = noise(1024, [chr(0x4E00 + n) for n in range(20_000)])
LONG = noise(60_000, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
HOSTILE = ["", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufffe", "\u202e\u0000", WIDE, LONG, "\\u0000", "'; --"]
HUGE = [2**63, -(2**63) - 1, 10**30]


def hostile_records():
    """Return records whose every text is hostile in turn, and whose every number is."""
    records = []
    for text in HOSTILE:
        # ids are unique, or else one record stands for all
        records += [
            decision(user_id=text, session_id=text, key_id=text, reason=text, surface=text, decision_id=f"d{text}"),
            decision(len(records), model=text, messages=text, prompt_sha256=text, excluded=((text, text),)),
            attempt(attempt_id=f"a{text}", decision_id=text, response_id=text, response_model=text),
            attempt(len(records), model=text, provider=text, finish_reason=text, error_type=text, key_id=text),
            feedback(
                feedback_id=f"f{text}", response_id=text, decision_id=text, source=text, metric=text, comment=text
            ),
            replace(session(key=f"s{text}"), model=text),
        ]
    records.append(attempt(attempt_id="megabytes", response_id=LONG * 80))  # 4.8 MB
    for number in HUGE:
        records.append(attempt(attempt_id=f"n{number}", status=number, input_tokens=number, reasoning_tokens=number))
    for number in (1e308, -1e308, math.inf, math.nan, 5e-324):
        records.append(attempt(attempt_id=f"n{number}", cost_usd=number, latency_s=number, budget_usd=number))
    return records


async def _kept(url, folder, records):
    """Put records into a log; return its counters once they are in the store, and the ids that are."""
    log = QueuedLog(open_store(url), open_spool(url, folder / "spool"), queue=20_000, flush_s=0.05)
    await log.start()
    for record in records:
        log.put(record)
    await log.flush(PATIENT_S)
    await log.close(PATIENT_S)
    async with opened(url) as store:
        found = [await store.read(*row_of(record)[:1], _id(record)) for record in records]
        return log.stats, await store.count(), found


def _id(record):
    kind, row = row_of(record)
    return row[ID_FIELD[kind]]


def test_every_record_arrives_whatever_is_in_it(log_url, tmp_path):
    """Hostile ones between ordinary ones; nothing is dropped, and each is found by its id."""
    records = [decision(900), *hostile_records(), decision(901)]
    stats, counts, found = asyncio.run(_kept(log_url, tmp_path, records))
    assert (stats.dropped, stats.rejected, stats.spool_depth) == (0, 0, 0)
    assert None not in found
    assert sum(counts.values()) == len({(row_of(one)[0], _id(one)) for one in records})


async def test_what_is_long_is_kept_by_its_hash_so_that_it_groups(log_url, tmp_path):
    """Two decisions of a user whose id has 3,072 bytes, one of another: deleting the first user leaves the other's."""
    other = WIDE[::-1]
    records = [decision(1, user_id=WIDE), decision(2, user_id=WIDE), decision(3, user_id=other)]
    await _kept(log_url, tmp_path, records)
    async with opened(log_url) as store:
        deleted = await store.delete(Selection(user_id=bounded(WIDE)))
    assert deleted[Kind.DECISION] == 2


async def test_a_limit_of_the_database_is_a_refusal_and_not_an_outage(new_database):
    """PostgreSQL says 54000 of an index entry that is too long; before, that counted as a store that is away."""
    kind, row = row_of(decision(1))
    async with opened(new_database()) as store:
        with pytest.raises(RefusedError, match="index row"):
            await store.write({kind: [row | {"user_id": LONG}]}, "direct")


GOOD = [row_json(*row_of(decision(n))) for n in (1, 2, 3)]
UNREADABLE = {
    "null": b"null",
    "no row": b'["decision",null]',
    "no pair": b'["decision"]',
    "numbers": b"[1,2,3]",
    "another version's kind": b'["shape",{"x":1}]',
    "kind of a list": b'[[],{"created_at":"2026-03-01T12:00:00Z"}]',
    "no time": b'["decision",{"decision_id":"d"}]',
    "time of a number": b'["decision",{"decision_id":"d","created_at":5}]',
    "time of another calendar": b'["decision",{"decision_id":"d","created_at":"yesterday"}]',
    "text of a number": b'["decision",{"decision_id":7,"created_at":"2026-03-01T12:00:00Z"}]',
    "count of a text": b'["attempt",{"attempt_id":"a","created_at":"2026-03-01T12:00:00Z","status":"ok"}]',
    "count of a flag": b'["attempt",{"attempt_id":"a","created_at":"2026-03-01T12:00:00Z","status":true}]',
    "no UTF-8": b'["decision",{"decision_id":"\xff\xfe"}]',
    "deep": b"[" * 100_000,
    "no id": b'["decision",{"created_at":"2026-03-01T12:00:00Z"}]',
}


def _checked(line):
    return b"%08x %s\n" % (zlib.crc32(line), line)


def test_lines_of_the_spool_that_hold_no_record_are_rejected_and_the_others_arrive(tmp_path):
    """A line of each kind between good ones, one with a wrong checksum, and one that a crash cut off."""
    url = f"sqlite+aiosqlite:///{tmp_path}/log.db"
    spool = open_spool(url, tmp_path / "spool")
    lines = [_checked(line) for bad in UNREADABLE.values() for line in (GOOD[0], bad, GOOD[1])]
    spool.folder.mkdir()
    path = spool.folder / f"{spool.tag}-{0:020d}-abc.spool"
    path.write_bytes(b"".join([*lines, b"00000000 null\n", _checked(GOOD[2]), _checked(GOOD[0])[:-9]]))
    segment, rejected = Segment.adopt(path), []
    for _ in range(2):  # as where the store is away the first time
        assert len(list(segment.rows(lambda line, _: rejected.append(line)))) == 2 * len(UNREADABLE) + 2
    assert len(rejected) == len(UNREADABLE) + 1  # the store refuses the one without an id
    segment.release()
    stats, counts, _ = asyncio.run(_kept(url, tmp_path, []))
    assert (counts[Kind.DECISION], counts[Kind.ATTEMPT]) == (3, 0)
    assert (stats.rejected, stats.dropped, stats.spool_depth) == (len(UNREADABLE) + 2, len(UNREADABLE) + 2, 0)
    written = [json.loads(line) for line in spool.rejects.path.read_text().splitlines()]
    assert len(written) == len(UNREADABLE) + 2
    assert all(one["reason"] and "record" in one for one in written)
    assert spool.rejects.path.stat().st_mode & 0o777 == 0o600


async def _write_to(gate, n):
    batch = batch_of(row_of(record) for i in range(n) for record in (decision(i), attempt(i)))
    return await gate.write(batch, "batch")


def test_one_bad_record_among_many_costs_few_writes_and_no_other_record(tmp_path):
    """2 of 1,000 rows are refused: halving finds each in 9 steps of two writes, beside the first ones."""
    store = FaultyStore()
    bad = {decision(77).decision_id, decision(300).decision_id}
    store.refuses = lambda row: row.get("decision_id") in bad and "messages" in row
    gate = StoreGate(store, Rejects(tmp_path / "rejects.jsonl"))
    assert asyncio.run(_write_to(gate, 500)) == 998
    assert (len(store.ids()), len(store.ids(Kind.ATTEMPT)), gate.rejects.n) == (498, 500, 2)
    assert len(store.names) < 45
    assert [json.loads(line)["kind"] for line in gate.rejects.path.read_text().splitlines()] == ["decision"] * 2


def test_a_store_that_is_away_rejects_nothing(tmp_path):
    store = FaultyStore()
    store.away = True
    gate = StoreGate(store, Rejects(tmp_path / "rejects.jsonl"))
    assert asyncio.run(_write_to(gate, 5)) is None
    assert (gate.rejects.n, gate.rejects.path.exists(), gate.available) == (0, False, False)


def test_the_rejects_file_is_bounded(tmp_path, monkeypatch):
    """100 rejected records of 70,000 characters: at most 1 MB is kept, the newest, and of each the beginning."""
    monkeypatch.setattr(rejects_module, "MOST_BYTES", 1_000_000)
    rejects = Rejects(tmp_path / "rejects.jsonl")
    for n in range(100):
        rejects.add_line(b"%d" % n + b"x" * 70_000, "why")
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["rejects.jsonl", "rejects.old"]
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    assert json.loads(files[0].read_text().splitlines()[-1])["record"].startswith("99")


def test_looking_a_record_up_passes_over_lines_that_hold_none(tmp_path):
    spool = Spool(tmp_path, "tag")
    spool.append(batch_of([row_of(decision(1))]))
    wanted = decision(1).decision_id
    spool.active.append([f'["decision","{wanted}"]'.encode(), f'"{wanted}"'.encode()])
    assert spool.find(Kind.DECISION, wanted)["decision_id"] == wanted
    assert spool.find(Kind.DECISION, "\ud800") is None
    spool.close()


@pytest.mark.parametrize("surface", [Surface.MESSAGES, Surface.CHAT])
def test_a_users_id_that_is_no_id_is_refused_at_the_door(surface):
    body = {"messages": [], "metadata": {"user_id": LONG}}
    with pytest.raises(InvalidRequestError, match=r"metadata.user_id: got 60000 characters; expected at most 1024"):
        read_proxy_request(surface, body, Headers({}), by_policy={"p": "default"}.get, most_s=1.0, ours=frozenset())
