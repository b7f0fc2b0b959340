"""What a request says beside its words: the tools that it offers, and where in an agent's loop it stands.

A tool call is right only if the right tools are called with arguments of the right types, and models differ in how
many tools and parameters they manage. All features are 0 for a prompt without tools and tool results, so that nothing
changes for tables of such prompts: a predictor that saw none of them reads `SURFACE_NAMES` alone.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.features.prompt import Prompt
from router_model.features.surface import MEANINGS, SURFACE_NAMES, fill_surface
from router_model.features.tool_counts import KINDS, NO_TOOLS

FloatArray = npt.NDArray[np.float32]

BACKGROUND_TURNS: Final = ("check", "title", "summary", "compaction")
"""The kinds of an agent's calls that are none of its work."""

REQUEST_MEANINGS: Final = {
    "log_tools": "tools that are offered",
    "log_tool_parameters": "parameters of all tools, and fields inside them",
    "log_most_parameters": "parameters of the tool that has most of them",
    "log_required": "parameters that a call must have",
    **{f"log_{kind}_parameters": f"parameters of the type {kind}" for kind in KINDS},
    "log_tool_chars": "characters of the tools' descriptions",
    "log_steps": "answers of the model since the user spoke: how long an agent has worked by itself",
    "log_tool_errors": "results of tools since the user spoke that tell of an error",
    **{f"is_{turn}": f"the call is an agent's {turn}, and none of its work" for turn in BACKGROUND_TURNS},
}
"""What each feature counts."""

REQUEST_NAMES: Final = tuple(REQUEST_MEANINGS)
"""Names of the columns of a request, in order. New ones come last: a predictor reads the first so many."""

FORM_MEANINGS: Final = MEANINGS | REQUEST_MEANINGS
FORM_NAMES: Final = tuple(FORM_MEANINGS)
"""Names of the columns of `router_model.features.featuriser.PromptFeatures.surface`."""


def form_features(prompts: Sequence[Prompt]) -> FloatArray:
    """Return the features of texts and requests side by side, shape (n_prompts, len(FORM_NAMES))."""
    rows = np.zeros((len(prompts), len(FORM_NAMES)), dtype=np.float32)
    fill_surface(rows[:, : len(SURFACE_NAMES)], prompts)
    _fill_request(rows[:, len(SURFACE_NAMES) :], prompts)
    return rows


def _fill_request(rows: FloatArray, prompts: Sequence[Prompt]) -> None:
    """Write what is not 0 to `rows`, shape (n_prompts, len(REQUEST_NAMES))."""
    for row, prompt in zip(rows, prompts, strict=True):
        if prompt.tools is not NO_TOOLS or prompt.n_steps or prompt.n_tool_errors:
            row[: -len(BACKGROUND_TURNS)] = [math.log1p(count) for count in _counts(prompt)]
        if prompt.turn in BACKGROUND_TURNS:
            row[BACKGROUND_TURNS.index(prompt.turn) - len(BACKGROUND_TURNS)] = 1


def without_unused(surface: FloatArray) -> FloatArray:
    """Return the columns of `FORM_NAMES` that a predictor is fitted on: those of texts alone, if no prompt had others.

    A column more would change how similar two prompts are, even if it is 0 for both.

    Parameters
    ----------
    surface : shape (n, len(FORM_NAMES))
    """
    n_text = len(SURFACE_NAMES)
    return surface if surface[:, n_text:].any() else surface[:, :n_text]


def _counts(prompt: Prompt) -> list[int]:
    *first, by_kind, description_chars, _ = prompt.tools
    return [*first, *by_kind, description_chars, prompt.n_steps, prompt.n_tool_errors]
