"""A request to the scripted upstream, in one spelling for all formats, and what is answered to it.

The answer repeats all that was heard, in one spelling for all formats. Whatever a translation loses, adds or changes
on its way is therefore seen in the answer: the same request must get the same text, whichever format it arrived in.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

CACHED = 4
N_PIECES = 5


@dataclass(frozen=True)
class Heard:
    """A request in one spelling.

    Attributes
    ----------
    kind, model : str
    stream : bool
    said : (who, what, …) of every part, in order; neighbours of one role are not told apart
    knobs : settings that were given, by OpenAI's names
    tools : name of each tool -> the first property of its parameters
    call : name of the tool that is to be called; None where the answer is text
    wanted : first property of the JSON that was asked for
    choices : int
    logprobs, wants_usage : bool
    silent : whether the answer has nothing in it
    padding : length of what is added to the answer, which then comes in one piece
    """

    kind: str
    model: str
    stream: bool
    said: tuple[tuple[str, ...], ...]
    knobs: dict[str, Any]
    tools: dict[str, str] = field(default_factory=dict)
    call: str | None = None
    wanted: str | None = None
    choices: int = 1
    logprobs: bool = False
    wants_usage: bool = False
    silent: bool = False
    padding: int = 0

    @property
    def id(self) -> str:
        return hashlib.sha256(repr((self.model, self.said, self.knobs)).encode()).hexdigest()[:12]

    @property
    def prompt(self) -> str:
        """What the user said last."""
        return next((part[2] for part in reversed(self.said) if part[:2] == ("user", "text")), "")

    @property
    def input_tokens(self) -> int:
        return 30 + len(self.said)

    def text(self, choice: int = 0) -> str:
        """Return the answer of one choice."""
        if self.silent:
            return ""
        heard = json.dumps({"said": self.said, **self.knobs, "tools": list(self.tools)}, sort_keys=True)
        whole = f"choice {choice} heard {heard}" + "x" * self.padding
        return json.dumps({self.wanted: whole}) if self.wanted else whole

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the tool's call."""
        return {self.tools.get(self.call or "") or "text": self.prompt}

    def output_tokens(self) -> int:
        return 7 if self.call else 11 * self.choices

    def pieces(self, choice: int = 0) -> list[str]:
        text = self.text(choice)
        size = len(text) if self.padding else len(text) // N_PIECES + 1
        return [text[start : start + size] for start in range(0, len(text), size)]


def image(data: str) -> str:
    """Return the same name for a data URL and for its base64 text."""
    return hashlib.sha256(data.rpartition("base64,")[2].encode()).hexdigest()[:8]


def flat(content: Any) -> str:
    """Return the text of a tool's result; an object with one field is what is in it, also where it came as text."""
    if isinstance(content, str) and content.startswith("{"):
        content = json.loads(content)
    if isinstance(content, dict):
        return flat(next(iter(content.values()))) if len(content) == 1 else json.dumps(content, sort_keys=True)
    if isinstance(content, list):
        return "".join(flat(part.get("text", "")) for part in content)
    return str(content)


def given(**knobs: Any) -> dict[str, Any]:
    return {name: value for name, value in knobs.items() if value is not None}


def first(schema: dict[str, Any] | None) -> str:
    return next(iter((schema or {}).get("properties", {})), "text")


def has_result(said: list[tuple[str, ...]]) -> bool:
    return any(part[0] == "tool" for part in said)
