"""Read records that already have our own columns, named as in `router_model.outcome_schema`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import decoded, input_fields, system_message
from router_model.training.importing.checks import PROMPT_FORMS
from router_model.training.importing.conversion import TOLD, Conversion, Row, Source, as_object, is_missing, present
from router_model.training.importing.variables import rendered

_KNOWN: Final = frozenset((*OUTCOME_COLUMN_NAMES, *TOLD))
_VARIABLES: Final = ("variables", "vars", "inputs", "input_variables", "prompt_variables", "template_variables")
_SYSTEM_PROMPTS: Final = (
    "system_prompt", "systemPrompt", "system_instruction", "systemInstruction", "system_instructions",
    "systemInstructions", "system_message", "systemMessage",
)  # fmt: skip
_SYSTEM: Final = ("system", *_SYSTEM_PROMPTS)
_SYSTEM_NAMES: Final = frozenset(_SYSTEM)


def _recognises(record: Source) -> bool:
    return "model" in record and any(form in record for form in PROMPT_FORMS)


def outcomes(record: Source, around: Around) -> Conversion:
    """Read our own columns as they are; ``extra`` may be JSON text or an object.

    >>> from router_model.training.importing.adapters import NOWHERE
    >>> outcomes({"prompt": "Hi", "model": "a", "quality": 1, "grader": "exact"}, NOWHERE).rows
    [{'prompt': 'Hi', 'model': 'a', 'quality': 1, 'extra': {'grader': 'exact'}}]
    """
    del around
    row = dict(record)
    if isinstance(row.get("prompt"), list | Mapping) and is_missing(row.get("messages")):
        row |= input_fields({"messages": one} if _is_chat(one := row.pop("prompt")) else one)
    _fill_template(row)
    _take_system(row)
    n_answers = _cut_answer(row)
    unknown = {column: row.pop(column) for column in _unknown_of(tuple(row))}
    if unknown:
        row["extra"] = {**as_object(row.get("extra"), "extra"), **present(unknown)}
    return Conversion([row], {"answers at the end of messages": n_answers} if n_answers else {})


def _fill_template(row: Row) -> None:
    """Put the variables that stand beside a template into it, because the model saw the text and not the template."""
    prompt = row.get("prompt")
    if not isinstance(prompt, str) or "{" not in prompt or not is_missing(row.get("prompt_id")):
        return
    for name in _VARIABLES:
        variables = decoded(row.get(name))
        filled = rendered(prompt, variables) if isinstance(variables, Mapping) else None
        if filled is not None:
            row |= {"prompt": filled.prompt, "rendered": ", ".join(filled.names)}
            return


def _is_chat(prompt: object) -> bool:
    return isinstance(prompt, list) or (isinstance(prompt, Mapping) and "role" in prompt)


def _take_system(row: Row) -> None:
    """Put a system prompt that stands beside the messages or the prompt in front of them.

    Else requests that differ in nothing but this would become one prompt. A table with ids of its own is left as it is.
    A field ``system`` beside a text may be anything, such as the name of an operating system.
    """
    if _SYSTEM_NAMES.isdisjoint(row):
        return  # nearly always true; this runs for every record
    messages, prompt = decoded(row.get("messages")), row.get("prompt")
    names = _SYSTEM if isinstance(messages, list) else _SYSTEM_PROMPTS
    beside = next((name for name in names if isinstance(row.get(name), str | list | Mapping) and row[name]), None)
    if beside is None or not is_missing(row.get("prompt_id")):
        return
    if is_missing(messages) and isinstance(prompt, str) and prompt:
        row["messages"] = [system_message(row.pop(beside)), {"role": "user", "content": row.pop("prompt")}]
    elif isinstance(messages, list):
        roles = {one.get("role") for one in messages if isinstance(one, Mapping)}
        if roles.isdisjoint(("system", "developer")):
            row["messages"] = [system_message(row.pop(beside)), *messages]


def _cut_answer(row: Row) -> int:
    """Take the model's answer off the end of a conversation, and return the number of messages taken.

    Whole conversations are often stored. A router never sees the answer when it decides. And two models' answers would
    make two prompts of one. A table with ids of its own is left as it is.
    """
    given = row.get("messages")
    if not is_missing(row.get("prompt_id")) or (isinstance(given, str) and '"assistant"' not in given):
        return 0
    messages = decoded(given)
    if not isinstance(messages, list):
        return 0
    kept = list(messages)
    while len(kept) > 1 and isinstance(kept[-1], Mapping) and kept[-1].get("role") == "assistant":
        kept.pop()
    if len(kept) < len(messages):
        row["messages"] = kept
    return len(messages) - len(kept)


@lru_cache(maxsize=1024)
def _unknown_of(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column for column in columns if column not in _KNOWN)


ADAPTER: Final = Adapter("outcomes", "our own columns", _recognises, outcomes)
