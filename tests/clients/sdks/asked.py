"""What all SDKs ask."""

import os
from typing import Any

URL = os.environ["ROUTER_URL"]
KEY = "any"
HI = "Hi."
WEATHER = "What is the weather in Paris?"
WHERE = "Where is the Eiffel Tower?"
REFUSED = "REFUSE-THIS"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
NAMED = {"name": "get_weather", "description": "The weather of a city."}
RESULT = "21 C"


def user(text: str) -> list[Any]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


def error_of(call: Any, *of: type[BaseException]) -> str:
    """Return the SDK's own error and what it says."""
    try:
        call()
    except of as exc:
        return f"{type(exc).__name__}: {exc}"
    raise AssertionError("nothing was raised")
