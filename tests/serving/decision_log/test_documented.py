"""What docs/decision-log.md says of the tables."""

import re
import sqlite3
from dataclasses import fields
from pathlib import Path

import pytest
from asked_log import written
from log_records import attempt, decision, feedback

from router_model.serving.decision_log.log_records import LoggedCandidate
from router_model.serving.decision_log.rows import FIELDS, Kind
from router_model.serving.decision_log.tables import TABLES

TEXT = (Path(__file__).parents[3] / "docs" / "decision-log.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("## Asking it with SQL")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", Kind)
def test_every_column_is_documented(kind):
    row = re.search(rf"^\| `{TABLES[kind].name}` \|(.*)\|$", SECTION, flags=re.MULTILINE)
    known = set(FIELDS[kind]) | ({each.name for each in fields(LoggedCandidate)} if kind is Kind.DECISION else set())
    assert row is not None
    assert set(re.findall(r"`([a-z_0-9]+)`", row[1])) == known


def test_the_queries_say_what_they_promise(tmp_path):
    """Three decisions at 0.001 USD expected; two calls of 0.002 USD; scores of two."""
    records = [*map(decision, range(3)), *map(attempt, range(2)), *map(feedback, range(2))]
    written(f"sqlite:///{tmp_path}/log.db", *records)
    per_day, reasons = re.search(r"```sql\n(.*?)```", SECTION, flags=re.DOTALL)[1].split(";\n")[:2]
    with sqlite3.connect(tmp_path / "log.db") as database:
        ((day, model, decisions, expected, reported, quality),) = database.execute(per_day)
        assert list(database.execute(reasons)) == [("cheapest_above_bar", 3, 0)]
    assert (day, model, decisions) == ("2026-03-01", "small", 3)
    assert (expected, reported) == (pytest.approx(0.003), pytest.approx(0.004))
    assert quality == pytest.approx((feedback(0).score + feedback(1).score) / 2)
    database.close()
