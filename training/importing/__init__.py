"""Convert outcome tables and logs of other tools into one table with our columns.

Files → source records (`readers`) → rows of the schema (`adapters`, `batches`) → checked columns (`checks`) →
one Parquet file (`run`). With `options` a user says how a table differs from ours. `survey` notices differences that
nobody mentioned.
"""

from router_model.training.importing.checks import CANONICAL_SCHEMA, check_batch, default_prompt_id
from router_model.training.importing.duplicates import find_duplicates
from router_model.training.importing.options import make_options
from router_model.training.importing.preview import Preview, preview_sources
from router_model.training.importing.problems import Problem
from router_model.training.importing.report import ImportReport, Progress
from router_model.training.importing.run import import_sources

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
