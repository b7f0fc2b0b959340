"""Find out whether records will be kept: in the log's store, and in the spool while it is away."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from router_model.errors import RouterModelError
from router_model.serving.common.masking import masked_url
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.opening import NONE, PARQUET, open_log, open_store
from router_model.serving.decision_log.store import StoreError
from router_model.serving.doctor.finding import Finding, Level

_WITHIN_S: Final = 5.0
_SEGMENTS: Final = "*.spool"


def log_findings(settings: Settings) -> Iterator[Finding]:
    """Examine the log and its spool; an existing log is opened, and neither made nor migrated."""
    if settings.log == NONE:
        yield Finding("log", Level.WARNING, "none is kept: nothing can be learned, measured or audited", "give --log")
        return
    yield _store(settings)
    yield _spool(settings.log_spool)


def _store(settings: Settings) -> Finding:
    shown = masked_url(settings.log)
    try:
        open_log(settings)
        file = _file(settings.log)
        if file is not None and not file.exists():
            return _to_be_made(file)
        if file is not None and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
            do = f"let the service's user write it and its folder: chown {file} {file.parent}, or give another --log"
            return Finding("log", Level.ERROR, f"this user may not write {file} and its folder", do)
        asyncio.run(_open(settings.log))
    except (SettingsError, ImportError) as exc:
        return Finding("log", Level.ERROR, str(exc), "the service does not start like this: correct --log")
    except (StoreError, RouterModelError, OSError, TimeoutError) as exc:
        said = str(exc) or f"no answer within {_WITHIN_S:.0f} s"
        do = "start the database, or correct the address and password; until then records go to the spool"
        if _file(settings.log) is not None:
            do = "see whether this is the file that the service writes; until it is, records go to the spool"
        return Finding("log", Level.WARNING, f"{shown} cannot be reached: {said}", do)
    return Finding("log", Level.GOOD, f"{shown} answers")


async def _open(url: str) -> None:
    from router_model.serving.decision_log.database_errors import database_failures  # noqa: PLC0415
    from router_model.serving.decision_log.schema import check_version  # noqa: PLC0415
    from router_model.serving.decision_log.sql_store import SqlStore  # noqa: PLC0415  (a log in Parquet needs no SQL)

    store = open_store(url)
    try:
        async with asyncio.timeout(_WITHIN_S):
            if isinstance(store, SqlStore):  # opening it would migrate its tables, which is the service's to do
                with database_failures("read"):
                    async with store.reading() as connection:
                        await connection.run_sync(check_version)
            else:
                await store.open(create=False)
    finally:
        await store.close()


def _file(url: str) -> Path | None:
    """Return the file or folder of a log on this machine; None of others."""
    if url.startswith(PARQUET):
        return None if "://" in url else Path(url.removeprefix(PARQUET))
    return Path(url.partition("///")[2].partition("?")[0]) if url.startswith("sqlite") else None


def _to_be_made(path: Path) -> Finding:
    folder = _nearest(path.parent)
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding("log", Level.GOOD, f"{path} is made at the first start")
    do = f"let the service's user write there: chown {folder}, or give another --log"
    return Finding("log", Level.ERROR, f"{path} is not there and cannot be made: this user may not write {folder}", do)


def _spool(folder: Path) -> Finding:
    if folder.exists() and not folder.is_dir():
        said = f"{folder} is a file, so records are lost while the log is away"
        return Finding("spool", Level.ERROR, said, "give a folder as --log-spool")
    nearest = _nearest(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        do = f"let the service's user write {nearest}, or give another --log-spool"
        said = f"this user may not write {nearest}: records are lost while the log is away"
        return Finding("spool", Level.ERROR, said, do)
    waiting = [path.stat().st_size for path in folder.glob(_SEGMENTS)] if folder.is_dir() else []
    if sum(waiting):
        said = f"{len(waiting)} segments with {sum(waiting) / 1e6:.1f} MB wait in {folder}"
        do = "see that the log answers and a service runs: it brings them there by itself"
        return Finding("spool", Level.WARNING, said, do)
    return Finding("spool", Level.GOOD, f"{folder} can be written, and nothing waits in it")


def _nearest(folder: Path) -> Path:
    """Return the nearest folder above that exists."""
    whole = folder.absolute()
    return next(one for one in (whole, *whole.parents) if one.is_dir())
