"""Outcome tables and logs of others become one canonical table.

Files → source records (`readers`) → rows of the schema (`adapters`) → checked columns
(`checks`) → one Parquet file (`run`).
"""

from training.importing.checks import CANONICAL_SCHEMA, check_batch, default_prompt_id
from training.importing.duplicates import find_duplicates
from training.importing.problems import Problem
from training.importing.report import ImportReport, Progress
from training.importing.run import import_sources

__all__ = [
    "CANONICAL_SCHEMA",
    "ImportReport",
    "Problem",
    "Progress",
    "check_batch",
    "default_prompt_id",
    "find_duplicates",
    "import_sources",
]
