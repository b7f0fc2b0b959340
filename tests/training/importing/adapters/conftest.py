"""Files as a tool writes them go through a whole import."""

import json
from typing import NamedTuple

import polars as pl
import pytest

from router_model.training.importing import import_sources


class Imported(NamedTuple):
    rows: list[dict]
    skipped: dict[str, int]
    formats: set[str]

    def column(self, name):
        return [row[name] for row in self.rows]


def _text(content):
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(json.dumps, content))
    return json.dumps(content)


@pytest.fixture
def imported(tmp_path):
    """Write files into a folder and import it: lists as JSON lines, other objects as JSON."""
    folder = tmp_path / "sources"

    def run(files, **options):
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(_text(content), encoding="utf-8")
        report = import_sources([folder], tmp_path / "o.parquet", **options)
        rows = pl.read_parquet(tmp_path / "o.parquet").rows(named=True)
        for row in rows:
            row["extra"] = json.loads(row["extra"] or "{}")
            row["messages"] = row["messages"] and json.loads(row["messages"])
        return Imported(rows, dict(report.skipped), set(report.formats.values()))

    return run
