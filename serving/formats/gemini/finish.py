"""The reasons why Gemini stops: ``finishReason`` and ``promptFeedback.blockReason``."""

from typing import Final

from router_model.serving.formats.format import OF_GOOGLE

UNSPECIFIED: Final = frozenset(
    {"", "FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED"}
)
FILTERED: Final = OF_GOOGLE
"""A filter withheld the answer, or the rest of it."""
CUT: Final = frozenset({"MAX_TOKENS", "CONTINUATION"})
"""The answer is as long as it may be."""
BROKEN: Final = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"})
"""The model wrote something that Google could not read, most often a tool call; another try may help."""
MAY_BE_EMPTY: Final = FILTERED | CUT
"""Reasons that explain an answer with nothing in it; after any other, it is a failure."""
