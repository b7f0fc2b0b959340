"""Outcome tables and logs of others become one canonical table.

Files → source records (`readers`) → rows of the schema (`adapters`, `batches`) → checked columns (`checks`) →
one Parquet file (`run`). What is special about a user's own tables is said in `options`, and noticed by `survey`.
"""

from training.importing.checks import CANONICAL_SCHEMA, check_batch, default_prompt_id
from training.importing.duplicates import find_duplicates
from training.importing.options import make_options
from training.importing.preview import Preview, preview_sources
from training.importing.problems import Problem
from training.importing.report import ImportReport, Progress
from training.importing.run import import_sources

__all__ = [
    "CANONICAL_SCHEMA",
    "ImportReport",
    "Preview",
    "Problem",
    "Progress",
    "check_batch",
    "default_prompt_id",
    "find_duplicates",
    "import_sources",
    "make_options",
    "preview_sources",
]
