"""The columns of an outcome table, which serving writes, importers produce and training reads.

One record is the outcome of one model on one prompt. This module fixes the names, kinds and units of the columns. It
does not fix how the table is stored. If a model did not answer a prompt, the table has no record for that pair. An
outcome has a single quality number: if several graders disagree, combine their grades before.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCHEMA_VERSION: Final = 1
"""Increased by one if a column is renamed, removed or changes its meaning, but not if a column is added."""

DECISION_LOG: Final = "decision log"
"""The `source` of rows that ``router-model log export`` writes: they know one model's outcome of each prompt."""


class ColumnKind(StrEnum):
    """The kind of values that a column holds."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    TIME = "time"
    MESSAGES = "messages"
    JSON_OBJECT = "json_object"
    JSON_LIST = "json_list"


@dataclass(frozen=True, slots=True)
class OutcomeColumn:
    """One column of an outcome table.

    Attributes
    ----------
    name : str
    kind : ColumnKind
    unit : str
        Unit or range of the values; empty if there is none.
    description : str
    required : bool
        Whether training needs the column (single qualities may be missing). One of `prompt`, `messages` and
        `prompt_features` is enough, so none of them is marked.
    """

    name: str
    kind: ColumnKind
    unit: str
    description: str
    required: bool = False


OUTCOME_COLUMNS: Final = (
    OutcomeColumn("prompt_id", ColumnKind.TEXT, "", "Same for all models asked the same prompt"),
    OutcomeColumn("prompt", ColumnKind.TEXT, "", "The prompt's text"),
    OutcomeColumn("messages", ColumnKind.MESSAGES, "", "JSON list of chat messages, role and content"),
    OutcomeColumn("prompt_features", ColumnKind.TEXT, "", "Sealed features of a prompt that a log kept without text"),
    OutcomeColumn("tools", ColumnKind.JSON_LIST, "", "JSON list of the tools that the request offers"),
    OutcomeColumn("response_format", ColumnKind.JSON_OBJECT, "", "JSON object of the request, as in a chat body"),
    OutcomeColumn("max_output_tokens", ColumnKind.COUNT, "tokens", "The most that the request let the model write"),
    OutcomeColumn("turn_type", ColumnKind.TEXT, "", "Kind of an agent's call: work, title, summary and so on"),
    OutcomeColumn("model", ColumnKind.TEXT, "", "The candidate model", required=True),
    OutcomeColumn("quality", ColumnKind.NUMBER, "0 to 1", "How good the answer was", required=True),
    OutcomeColumn("input_tokens", ColumnKind.COUNT, "tokens", "Tokens read, cached ones included"),
    OutcomeColumn("output_tokens", ColumnKind.COUNT, "tokens", "Tokens written, reasoning included"),
    OutcomeColumn("cost_usd", ColumnKind.NUMBER, "USD", "What the call cost"),
    OutcomeColumn("latency_s", ColumnKind.NUMBER, "s", "From the request to the end of the answer"),
    OutcomeColumn("propensity", ColumnKind.NUMBER, "above 0, to 1", "Probability of this model being chosen"),
    OutcomeColumn("task", ColumnKind.TEXT, "", "Benchmark, subject or application"),
    OutcomeColumn("timestamp", ColumnKind.TIME, "UTC", "When the call was made"),
    OutcomeColumn("session_id", ColumnKind.TEXT, "", "Conversation the call belongs to"),
    OutcomeColumn("source", ColumnKind.TEXT, "", "Where the record comes from"),
    OutcomeColumn("judge", ColumnKind.TEXT, "", "Who graded the answer; empty for your own graders"),
    OutcomeColumn("extra", ColumnKind.JSON_OBJECT, "", "JSON object of columns this schema does not know"),
)
"""The columns of an outcome table, in order."""

OUTCOME_COLUMN_NAMES: Final = tuple(column.name for column in OUTCOME_COLUMNS)
"""Names of `OUTCOME_COLUMNS`, in order."""
