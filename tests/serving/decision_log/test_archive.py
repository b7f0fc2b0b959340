"""Archives of a log in a folder and over S3's API (moto's server): whole days once, and errors that say what to do."""

import io
import itertools
import os
from datetime import UTC, datetime, timedelta

import fsspec
import polars as pl
import pytest
from asked_log import asked, written
from command_line import run_command
from http_thread import LocalServer, QuietHandler, answering
from log_records import attempt, decision, feedback

from router_model.commands.log_source import read_log
from router_model.errors import TableError
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.archive import archive_log, fetch_archive
from router_model.serving.decision_log.rows import batch_of, row_of
from router_model.serving.decision_log.store import Period

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 5, 1, tzinfo=UTC)
"""The 1st, 2nd and 3rd are over for more than a day."""


@pytest.fixture(scope="module")
def s3():
    """The address of a server of S3's API."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="extra 's3' is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def place(request, monkeypatch, tmp_path):
    """URI of an empty archive: of a folder, or of a bucket, with what the environment says of it."""
    if request.param == "file":
        return f"file://{tmp_path}/outcomes"
    reach(monkeypatch, request.getfixturevalue("s3"))
    bucket = f"bucket{next(_buckets)}"
    files(f"s3://{bucket}").mkdir(bucket)
    return f"s3://{bucket}/outcomes"


_buckets = itertools.count()


def reach(monkeypatch, address, *, key="key"):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    if key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def files(place):
    """Return the file system of a place, with nothing remembered."""
    found, _ = fsspec.url_to_fs(place, skip_instance_cache=True)
    return found


@pytest.fixture
def log(tmp_path):
    """A log of four days, with three decisions each; the last day is not settled yet."""
    url = f"sqlite:///{tmp_path}/log.db"
    records = []
    for n in range(12):
        when = FIRST + (n // 3) * DAY + timedelta(minutes=n)
        records += [decision(n, created_at=when), attempt(n, created_at=when)]
    late = feedback(0, 1.0, created_at=FIRST + timedelta(hours=30)), feedback(1, 1.0, created_at=FIRST + 2 * DAY)
    written(url, *records, *late)
    return url


def archived(url, place, period=Period()):  # noqa: B008  (it is frozen)
    return asked(url, lambda store: archive_log(store, place, period, now=NOW))


def test_each_day_is_written_once_and_the_same_whenever_it_is_written(log, place, tmp_path):
    """A report of the 1st comes on the 3rd, when that day is settled: it does not count. One of 30 hours does."""
    first = archived(log, place, Period(until=FIRST + DAY))
    assert [day.day for day in first.written] == [1, 2]
    before = {path: files(place).cat(path) for path in files(place).find(place)}
    written(log, feedback(2, 0.0, created_at=NOW))
    second = archived(log, place)
    assert ([day.day for day in second.there], [day.day for day in second.written]) == ([1, 2], [3])
    assert {path: files(place).cat(path) for path in before} == before
    gone = f"{place}/day=2026-03-01/outcomes.parquet"
    files(place).rm(gone)
    assert [day.day for day in archived(log, place).written] == [1]
    assert files(place).cat(gone) == before[gone.partition("://")[2]]
    assert fetch_archive(place, tmp_path / "log.parquet", Period()) == 3
    table = pl.read_parquet(tmp_path / "log.parquet")
    assert table.height == 9
    assert table.sort("prompt_id")["quality"].to_list() == [1.0] + 8 * [None]


def test_an_object_that_is_cut_off_is_written_again_and_not_read(log, place, tmp_path):
    archived(log, place)
    cut = f"{place}/day=2026-03-02/outcomes.parquet"
    whole = files(place).cat(cut)
    files(place).pipe(cut, whole[:1000])
    with pytest.raises(
        TableError, match=r"day=2026-03-02/outcomes.parquet: this is not a whole Parquet file \(1,000 b"
    ):
        fetch_archive(place, tmp_path / "log.parquet", Period())
    assert [day.day for day in archived(log, place).written] == [2]
    assert files(place).cat(cut) == whole


def test_a_part_of_an_archive_is_read_by_its_time(log, place):
    archived(log, place)
    table = read_log(place, since=FIRST + DAY, until=FIRST + 2 * DAY)
    assert table["timestamp"].dt.day().unique().to_list() == [2]
    with pytest.raises(TableError, match="there is no day=YYYY-MM-DD/outcomes.parquet of this time"):
        read_log(place, since=FIRST + 30 * DAY)


def test_days_of_other_versions_and_days_that_were_only_begun(log, place, tmp_path):
    """A column that the first day lacks, and a folder whose table was never written."""
    archived(log, place)
    second = f"{place}/day=2026-03-02/outcomes.parquet"
    made = io.BytesIO()
    pl.read_parquet(files(place).cat(second)).with_columns(later=pl.lit("a")).write_parquet(made)
    files(place).pipe(second, made.getvalue())
    files(place).makedirs(f"{place}/day=2026-03-04")
    assert fetch_archive(place, tmp_path / "log.parquet", Period()) == 3
    table = pl.read_parquet(tmp_path / "log.parquet")
    assert table.group_by("later").len().sort("later")["later"].to_list() == [None, "a"]
    assert read_log(place, since=NOW - 2 * DAY)["timestamp"].dt.day().unique().to_list() == [3]


def test_one_record_of_1970_is_not_followed_by_days_without_end(log, place):
    written(log, decision(9, created_at=datetime(1970, 1, 2, tzinfo=UTC)))
    report = archived(log, place)
    assert len(report.written) == 3
    assert len(report.empty) <= 2


def test_the_command_writes_the_days_that_are_over(log, place, tmp_path):
    done = run_command(
        "log", "archive", "--log", log, "--spool", tmp_path / "spool", "--to", place, "--until", "2026-03-05"
    )
    assert done.returncode == 0, done.stderr
    assert f"Wrote 4 days with 12 rows to {place}; 0 were there, 0 have no row" in done.stdout


def test_a_parquet_log_on_object_storage_is_archived_there_too(place):
    log = f"parquet:{place.replace('outcomes', 'log')}"

    async def write(store):
        await store.write(batch_of([row_of(decision(0, created_at=FIRST)), row_of(attempt(0, created_at=FIRST))]), "a")

    asked(log, write)
    assert [day.day for day in archived(log, place).written] == [1]
    assert read_log(place)["prompt_id"].to_list() == [decision(0).decision_id]


@pytest.mark.slow
def test_no_bucket_and_no_key_are_said(log, s3, monkeypatch):
    reach(monkeypatch, s3)
    with pytest.raises(SettingsError, match="s3://nowhere/x: there is no bucket 'nowhere'; make it, or check its name"):
        archived(log, "s3://nowhere/x")
    reach(monkeypatch, s3, key=None)
    with pytest.raises(OSError, match="NoCredentialsError: .* Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        archived(log, "s3://nowhere/x")


ANSWERS = {
    "the store refuses the key, or its rights are too few": (403, "AccessDenied", "Access Denied"),
    "another region: set AWS_DEFAULT_REGION": (
        400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("expected", ANSWERS)
def test_refusals_of_the_store_say_what_to_look_at(log, monkeypatch, expected):
    pytest.importorskip("s3fs", reason="extra 's3' is not installed")
    status, code, message = ANSWERS[expected]

    class Handler(QuietHandler):
        def do_GET(self):
            self.send(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", "application/xml")

        do_HEAD = do_PUT = do_GET  # noqa: N815  (the names that http.server calls)

    server = LocalServer(Handler)
    with answering(server):
        reach(monkeypatch, server.url)
        with pytest.raises(OSError, match=expected):
            archived(log, "s3://bucket/x")


def test_an_archive_gives_the_rows_of_one_router(tmp_path):
    url, place = f"sqlite:///{tmp_path}/log.db", f"file://{tmp_path}/outcomes"
    records = [decision(n, created_at=FIRST, router=router) for n, router in enumerate((None, "code", "default"))]
    written(url, *records)
    archived(url, place)
    for router, ids in (("code", [1]), ("default", [0, 2]), (None, [0, 1, 2])):
        rows = read_log(place, router=router)
        assert sorted(rows["prompt_id"]) == [decision(n).decision_id for n in ids]
