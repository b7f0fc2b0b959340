"""What a judging model is asked, and how its verdict is read.

There are two kinds of questions. ``score``: how good is this answer, from 1 to 5; a reference is shown if there is one.
``pairwise``: which is better, this answer or the reference. The answer then gets 1, 0.5 for a tie, or 0.

A prompt is a file in the folder ``prompts`` whose name ends with its version, and it never changes: a better prompt is
a new version. The judge's name holds model, prompt and rubric, so grades of different instruments are never mixed up:
``judge:openai/gpt-5-mini@score-v1``, or ``…@score-v1+3f9ac1`` with a rubric of one's own. The judge is not told whose
answer it reads. Texts stand between marks with a word that depends on them, so that an answer cannot forge a mark.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final, Literal, TypeAlias

from router_model.errors import RequestError
from router_model.training.grading.answers import Answer, json_value

Kind: TypeAlias = Literal["score", "pairwise"]
VERSIONS: Final[Mapping[Kind, str]] = {"score": "score-v1", "pairwise": "pairwise-v1"}
"""The prompt of each kind that is used now."""
RUBRICS: Final[Mapping[Kind, str]] = {
    "score": (
        "5: right and complete; does all that was asked.\n"
        "4: right, with a flaw that does not matter to whoever asked.\n"
        "3: partly right; something that was asked for is missing or wrong.\n"
        "2: mostly wrong or of little use.\n"
        "1: wrong, empty, or a refusal of something that should be answered."
    ),
    "pairwise": (
        "The better answer is the one that is right and does what was asked. If both are right and complete, or both "
        "are as wrong, it is a tie."
    ),
}
"""The rubric of each kind if the user gives none."""

_PROMPTS: Final = Path(__file__).with_name("prompts")
_BEST_SCORE: Final = 5
_WORTH: Final = {"A": 1.0, "tie": 0.5, "B": 0.0}
_ENDINGS: Final[Mapping[Kind, str]] = {"score": '{"score": N}', "pairwise": '{"better": "A"}, {"better": "B"} or '
                                       '{"better": "tie"}'}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A question to a judge, with its rubric.

    Attributes
    ----------
    kind : {"score", "pairwise"}
    rubric : str or None
        The user's own; None means that of `RUBRICS`.
    """

    kind: Kind
    rubric: str | None = None

    @classmethod
    def of_file(cls, kind: Kind, rubric: Path | None) -> "JudgePrompt":
        """Read the rubric from a file.

        Raises
        ------
        RequestError
            If it cannot be read or is empty.
        """
        if rubric is None:
            return cls(kind)
        try:
            text = rubric.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise RequestError(f"--rubric: {rubric} cannot be read ({exc})") from exc
        if not text:
            raise RequestError(f"--rubric: {rubric} is empty; expected what makes an answer good, in words")
        return cls(kind, text)

    @property
    def version(self) -> str:
        """The name of the prompt, with a hash of a rubric that is not ours."""
        own = "" if self.rubric is None else f"+{hashlib.sha256(self.rubric.encode()).hexdigest()[:6]}"
        return VERSIONS[self.kind] + own

    def messages(self, answer: Answer, *, is_first: bool = True) -> list[dict[str, str]]:
        """Return the chat messages that ask about one answer.

        Parameters
        ----------
        answer : Answer
            With a reference, if the kind is pairwise.
        is_first : bool
            For pairwise: whether the answer stands before the reference.
        """
        request, mine, reference = request_text(answer.row), answer_text(answer), answer.reference or ""
        mark = hashlib.sha256(f"{request}\0{mine}\0{reference}".encode()).hexdigest()[:8]
        parts = {"rubric": self.rubric or RUBRICS[self.kind], "mark": mark, "request": request}
        if self.kind == "score":
            shown = f"\n<a right answer {mark}>\n{reference}\n</a right answer {mark}>\n" if reference else ""
            parts |= {"answer": mine, "reference": shown}
        else:
            first, second = (mine, reference) if is_first else (reference, mine)
            parts |= {"first": first, "second": second}
        template = Template((_PROMPTS / f"{VERSIONS[self.kind]}.txt").read_text("utf-8"))
        return [{"role": "user", "content": template.substitute(parts)}]

    def repair(self, messages: list[dict[str, str]], said: str) -> list[dict[str, str]]:
        """Return the messages that ask once more for a verdict that could not be read."""
        ask = f"The last line was not the verdict. Answer with one line and nothing else: {_ENDINGS[self.kind]}"
        return [*messages, {"role": "assistant", "content": said or "(nothing)"}, {"role": "user", "content": ask}]


def read_verdict(kind: Kind, said: str, *, is_first: bool = True) -> float | None:
    r"""Return the quality that a judge's last line gives, or None if it is not exactly a verdict.

    Parameters
    ----------
    kind : {"score", "pairwise"}
    said : str
        The judge's answer.
    is_first : bool
        For pairwise: whether the answer stood before the reference.

    Examples
    --------
    >>> read_verdict("score", 'Right, but long.\n{"score": 4}'), read_verdict("score", "I give it a 4.")
    (0.75, None)
    >>> read_verdict("pairwise", '{"better": "B"}', is_first=False)
    1.0
    """
    lines = [line for line in said.strip().removesuffix("```").splitlines() if line.strip()]
    verdict = json_value(lines[-1]) if lines else None
    if not isinstance(verdict, dict) or len(verdict) != 1:
        return None
    if kind == "score":
        score = verdict.get("score")
        if not isinstance(score, int) or isinstance(score, bool) or not 1 <= score <= _BEST_SCORE:
            return None
        return (score - 1) / (_BEST_SCORE - 1)
    better = verdict.get("better")
    worth = _WORTH.get(better) if isinstance(better, str) else None
    return worth if worth is None or is_first else 1 - worth


def request_text(row: Mapping[str, Any]) -> str:
    """Return what was asked as text: the prompt, or each message with its role; other parts than text are named."""
    messages = json_value(row.get("messages"))
    if not isinstance(messages, list) or not messages:
        return str(row.get("prompt") or "")
    if len(messages) == 1:
        return _content(messages[0])
    return "\n\n".join(f"[{message.get('role', 'user')}]\n{_content(message)}" for message in messages)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") or f"({part.get('type', 'something')} that is not shown)" for part in content)
        content = "\n".join(parts)
    calls = message.get("tool_calls")
    return "\n".join(filter(None, [content or "", _calls_text(calls) if calls else ""]))


def answer_text(answer: Answer) -> str:
    """Return an answer as a judge sees it: its text, then the tools that it called."""
    return "\n".join(filter(None, [answer.final_text, _calls_text(answer.tool_calls)])) or "(an empty answer)"


def _calls_text(calls: Any) -> str:
    functions = [call.get("function", call) for call in calls or [] if isinstance(call, dict)]
    return "\n".join(f"(calls {json.dumps(function, ensure_ascii=False)})" for function in functions)
