"""Import each source into a table of its own, in one folder: partitions of a table that is too large for one import.

Sources do not depend on each other here, so the engine in force (`router_model.training.distributed.engine`) may import
them on several machines, from and to any place that fsspec knows. What one import of all of them would see is left to
the commands that read the partitions: a pair of prompt and model in two sources is refused there.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from router_model.errors import TableError
from router_model.training.distributed.engine import spread
from router_model.training.distributed.places import fetch, files_at, is_uri, put
from router_model.training.importing.output import rejects_path
from router_model.training.importing.report import ImportReport
from router_model.training.importing.run import import_sources
from router_model.training.importing.sources import KNOWN_SUFFIXES, expand_sources


def is_folder(out: str) -> bool:
    """Return whether ``--out`` names a folder of partitions: a URI, or a path that ends with a slash.

    >>> is_folder("s3://bucket/outcomes"), is_folder("outcomes/"), is_folder("outcomes.parquet")
    (True, True, False)
    """
    return is_uri(out) or out.endswith("/")


def import_partitions(sources: Sequence[str], out: str, **options: Any) -> list[ImportReport]:
    """Import each file of the sources into a partition in the folder `out`; earlier ones of the same name are replaced.

    Parameters
    ----------
    sources : files, folders and patterns, of this machine or as URIs
    out : folder, or its URI
    options : as of `router_model.training.importing.import_sources`

    Returns
    -------
    A report of each partition, in the order of the files; names in it are those within `out`.

    Raises
    ------
    TableError
        If there is nothing to import, or one of the sources cannot be imported; other partitions may be written then.
    """
    found = [file for source in sources for file in _files(source)]
    named = [(file, f"part-{number:05}.parquet") for number, file in enumerate(found)]
    try:
        return [*spread(_import, (out, options), named)]
    except OSError as exc:
        raise TableError(f"{', '.join(sources)}: cannot be copied to {out} ({type(exc).__name__}: {exc})") from exc


def _files(source: str) -> list[str]:
    if not is_uri(source):
        return [str(path) for path in expand_sources([source])]
    found = files_at(source, KNOWN_SUFFIXES)
    if not found:
        raise TableError(f"{source}: got no file to import there, expected files ending in {', '.join(KNOWN_SUFFIXES)}")
    return found


def _import(target: tuple[str, Mapping[str, Any]], piece: tuple[str, str]) -> ImportReport:
    (out, options), (source, name) = target, piece
    with tempfile.TemporaryDirectory(prefix="router-import-") as folder:
        file = fetch(source, Path(folder)) if is_uri(source) else Path(source)
        part = Path(folder) / name
        report = import_sources([file], part, **options)
        for written in (part, rejects_path(part)):
            if written.exists():
                put(written, out)
    return replace(report, out=Path(name), rejects=report.rejects and Path(report.rejects.name))
