"""What the scripted model does: it answers, calls a tool, edits a file in several steps, or is refused.

The prompts of the cells say which. Whatever else agents send (titles, summaries, checks) is answered with a text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from scripted_request import Heard

REFUSED: Final = "REFUSE-THIS"
"""A prompt with this is a 400 of the provider."""
EDITED: Final = "EDIT-THE-FILE"
"""A prompt with this and a path: ``world`` in the file becomes ``router``."""
WHERE: Final = "Where is the Eiffel Tower?"
SAID: Final = "The scripted model has answered."
LOST: Final = "The result of the tool did not arrive."
CITY: Final = "Paris"
RESULT: Final = "21 C"
"""What the SDKs' tool gives back (`sdks/asked.py`)."""
BEFORE, AFTER = "hello world\n", "hello router\n"
_PATH: Final = re.compile(r"\S*notes\.txt")


@dataclass(frozen=True)
class Scripted(Heard):
    """A request with its answer."""

    words: str = SAID
    given: Mapping[str, Any] = field(default_factory=dict)

    def text(self, choice: int = 0) -> str:
        del choice
        return self.words

    def arguments(self) -> dict[str, Any]:
        return dict(self.given)


def answer(heard: Heard) -> tuple[Heard, str]:
    """Return a request with its answer, and what the provider plays."""
    said = {one.name: getattr(heard, one.name) for one in fields(heard)}
    prompt = "\n".join(part[2] for part in heard.said if part[:2] == ("user", "text"))
    if REFUSED in prompt:
        return heard, "status_400"
    if heard.wanted:
        return Scripted(**said | {"call": None}, words=f'{{"{heard.wanted}": "{CITY}"}}'), "ok"
    if EDITED in prompt:
        return _edit(heard, said, _PATH.findall(prompt)[-1]), "ok"
    if "StructuredOutput" in heard.tools and WHERE in prompt and heard.call:  # how Claude Code asks for JSON
        return Scripted(**said | {"call": "StructuredOutput"}, given={"city": CITY}), "ok"
    if heard.call is None or not _is_small(heard):
        lost = heard.tools and any(RESULT not in result for result in _results(heard))
        return Scripted(**said | {"call": None}, words=LOST if lost else SAID), "ok"
    return Scripted(**said, given={heard.tools[heard.call]: CITY}), "ok"


def _is_small(heard: Heard) -> bool:
    """Whether the tools are one SDK's example: agents have more, and are not to call one unless a file is edited."""
    return len(heard.tools) <= 2


def _results(heard: Heard) -> list[str]:
    return [part[2] for part in heard.said if part[:2] == ("tool", "result")]


def _edit(heard: Heard, said: dict[str, Any], path: str) -> Heard:
    if not heard.tools:  # aider: the whole file, in the answer
        return Scripted(**said, words=f"notes.txt\n```\n{AFTER}```\n")
    steps = next((steps(path) for name, steps in EDITS.items() if name in heard.tools), [])
    results = _results(heard)
    if results and _WORLD not in results[0]:
        return Scripted(**said | {"call": None}, words=LOST)
    if len(results) >= len(steps):
        return Scripted(**said | {"call": None})
    name, given = steps[len(results)]
    return Scripted(**said | {"call": name}, given=given)


_WORLD, _ROUTER = BEFORE.strip(), AFTER.strip()
_PATCH: Final = f"*** Begin Patch\n*** Update File: {{path}}\n@@\n-{_WORLD}\n+{_ROUTER}\n*** End Patch"
EDITS: Final = {
    "exec_command": lambda path: [
        ("exec_command", {"cmd": f"cat {path}"}),
        ("exec_command", {"cmd": f"sed -i s/world/router/ {path}"}),
    ],
    "Edit": lambda path: [
        ("Read", {"file_path": path}),
        ("Edit", {"file_path": path, "old_string": _WORLD, "new_string": _ROUTER}),
    ],
    "replace": lambda path: [
        ("read_file", {"file_path": path}),
        ("replace", {"file_path": path, "old_string": _WORLD, "new_string": _ROUTER, "instruction": "Greet it."}),
    ],
    "edit": lambda path: [
        ("read", {"filePath": path}),
        ("edit", {"filePath": path, "oldString": _WORLD, "newString": _ROUTER}),
    ],
    "apply_patch": lambda path: [
        ("read", {"filePath": path}),
        ("apply_patch", {"patchText": _PATCH.format(path=path)}),
    ],
}
"""A tool that an agent has -> the calls that edit a file with it, in turn."""
