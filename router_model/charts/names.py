"""Names of models, tasks and methods as they fit a chart."""

import re
from typing import Final

NAME_LENGTH: Final = 26
_PROVIDERS = re.compile(r"^([\w.@-]+/)+")


def short_name(text: str, length: int = NAME_LENGTH) -> str:
    """Shorten a name to fit a figure, in the middle.

    Examples
    --------
    >>> short_name("a-model-with-a-very-long-name-indeed", 16)
    'a-model-…-indeed'
    """
    text = " ".join(text.split())
    head = length // 2
    return text if len(text) <= length else f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def short_model(model: str, length: int = NAME_LENGTH) -> str:
    """Shorten a model's id; its provider is dropped first.

    Examples
    --------
    >>> short_model("openai/gpt-5")
    'gpt-5'
    """
    return short_name(_PROVIDERS.sub("", model) or model, length)
