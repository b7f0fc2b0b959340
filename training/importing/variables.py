"""Make one prompt of the variables of a template, such as ``{"question": …, "context": …}``.

Tools that log the input of a template keep its variables and not the text that the model saw. The model saw all of
them, so all of them become the prompt, each behind its name and in their order. What cannot have been in the prompt is
left out: ids, settings of a run, and the right answer, which would give away what is to be predicted.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_OF_REQUESTS: Final = frozenset(
    (
        "model", "temperature", "stream", "stop", "seed", "n", "tools", "tool_choice", "response_format", "parameters",
        "options", "generationConfig", "inferenceConfig", "textGenerationConfig", "anthropic_version", "store",
        "stopSequences", "stop_sequences", "presence_penalty", "frequency_penalty",
    )
)  # fmt: skip
_LIMIT: Final = re.compile(r"max\w*token\w*|max_length|max_gen_len|top_?[akp]|top_?logprobs", re.IGNORECASE)
"""Limits of requests; templates have others, such as ``max_words``."""
_OF_RUNS: Final = frozenset(
    (
        "metadata", "config", "callbacks", "tags", "kwargs", "invocation_params", "run_manager", "user", "stream",
        "verbose",
    )
)  # fmt: skip
_RIGHT_ANSWERS: Final = frozenset(
    (
        "answer", "answers", "expected", "expected_output", "expected_answer", "reference", "reference_answer",
        "references", "ground_truth", "groundtruth", "label", "target", "gold", "solution", "output", "response",
    )
)  # fmt: skip
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_ID: Final = re.compile(r"(?:^|[_. -])(?:uu)?ids?$|(?<=[a-z])Ids?$")
_PLACEHOLDER: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}|\$?\{(\w+)\}")


class Joined(NamedTuple):
    """A prompt and the names of the variables in it."""

    prompt: str
    names: tuple[str, ...]


def is_request(body: Mapping[str, Any]) -> bool:
    """Whether an object is a request to a provider, whose other fields are parameters and no parts of the prompt.

    >>> is_request({"prompt": "Hi", "max_tokens": 5}), is_request({"question": "Hi", "context": "…", "max_words": 9})
    (True, False)
    """
    return any(key in _OF_REQUESTS or _LIMIT.fullmatch(key) for key in map(str, body))


def joined_variables(variables: Mapping[str, Any]) -> Joined:
    r"""Join variables; a single one is the prompt itself.

    >>> joined_variables({"question": "Who?", "context": "Ann did.", "user_id": "u1", "answer": "Ann"})
    Joined(prompt='question: Who?\n\ncontext: Ann did.', names=('question', 'context'))
    >>> joined_variables({"question": "Who?", "answer": "Ann"})
    Joined(prompt='Who?', names=('question',))
    """
    asked = {str(name): _text(value) for name, value in variables.items() if _is_asked(str(name), value)}
    if len(asked) == 1:
        return Joined(next(iter(asked.values())), tuple(asked))
    return Joined("\n\n".join(f"{name}: {text}" for name, text in asked.items()), tuple(asked))


def arguments_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a traced function by their names, or their places.

    >>> arguments_of({"args": ["Hi"], "kwargs": {"tone": "dry"}})
    {'1': 'Hi', 'tone': 'dry'}
    """
    listed, named = call.get("args"), call.get("kwargs")
    places = {str(place): value for place, value in enumerate(listed, 1)} if isinstance(listed, list) else {}
    return {**places, **named} if isinstance(named, Mapping) else places


def rendered(template: str, variables: Mapping[str, Any]) -> Joined | None:
    """Fill a template with its variables; None if the text has no placeholders, or one that no variable fills.

    >>> rendered("Sum up {{ text }} in {lang}.", {"text": "cats", "lang": "French", "id": 7})
    Joined(prompt='Sum up cats in French.', names=('text', 'lang'))
    >>> rendered("Mend {x: 1}", {"x": 2}), rendered("{a} {b}", {"a": 1})
    (None, None)
    """
    names = tuple(dict.fromkeys(double or single for double, single in _PLACEHOLDER.findall(template)))
    if not names or any(variables.get(name) in _NOTHING for name in names):
        return None
    return Joined(_PLACEHOLDER.sub(lambda match: _text(variables[match[1] or match[2]]), template), names)


def _is_asked(name: str, value: Any) -> bool:
    if value in _NOTHING:
        return False
    return not _ID.search(name) and name not in _OF_RUNS and name.lower() not in _RIGHT_ANSWERS


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Mapping | list) else str(value)
