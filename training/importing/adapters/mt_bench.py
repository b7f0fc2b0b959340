"""Read MT-Bench: a judge's ratings of single answers, from 1 to 10.

The lowest rating is a quality of 0 and the highest a quality of 1: ``(score - 1) / 9``. The question comes from
``question.jsonl`` if that is imported too, and otherwise from the judge's prompt, which repeats it. One simplification:
the prompt of a second turn consists of both questions without the answer between them, because each model wrote its
own.
"""

import re
from pathlib import Path
from typing import Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import ADVICE, Conversion, Row, Source, as_number, present
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import RecordError, shown

LOWEST_RATING: Final = 1
HIGHEST_RATING: Final = 10
JUDGE_FAILED: Final = -1

_ONE_QUESTION: Final = re.compile(r"\[(?:User )?Question\]\n(.*?)\n\n\[The Start of ", re.DOTALL)
_QUESTION_OF_TURN: Final = re.compile(r"### User:\n(.*?)\n\n### (?:Assistant|Reference)", re.DOTALL)
_PLACED: Final = frozenset({"model", "score", "user_prompt", "judgment", "tstamp"})


def _recognises(record: Source) -> bool:
    return {"question_id", "model", "judge"} <= record.keys() or _is_question(record) or _is_answer(record)


def _is_question(record: Source) -> bool:
    return {"question_id", "category", "turns"} <= record.keys()


def _is_answer(record: Source) -> bool:
    return {"question_id", "answer_id", "choices"} <= record.keys()


def mt_bench(record: Source, around: Around) -> Conversion:
    """Read a rating.

    Fields: ``model``, ``score`` (1 to 10; -1 where the judge gave none, which is skipped), ``user_prompt``,
    ``turn``, ``tstamp``. Questions and answers are skipped.
    """
    if _is_question(record):
        return Conversion([], {"questions of MT-Bench": 1})
    if _is_answer(record):
        return Conversion([], {"answers of MT-Bench": 1})
    score = as_number(record.get("score"))
    if score == JUDGE_FAILED:
        return Conversion([], {"judgments without a rating": 1})
    if score is None or not LOWEST_RATING <= score <= HIGHEST_RATING:
        raise RecordError(
            "score",
            f"{shown(record.get('score'))} in a judgment of MT-Bench",
            f"a rating from {LOWEST_RATING} to {HIGHEST_RATING}",
            ADVICE,
        )
    row: Row = {
        **question_fields(record, "user_prompt", around),
        "model": record["model"],
        "quality": (score - LOWEST_RATING) / (HIGHEST_RATING - LOWEST_RATING),
        "timestamp": record.get("tstamp"),
        "extra": present(record, _PLACED),
    }
    return Conversion([row])


def _notes(record: Source, around: Around) -> list[Note]:
    if not _is_question(record):
        return []
    return [Note(_question_key(around.path.parent, record["question_id"]), record["turns"])]


def _question_key(folder: Path, question_id: object) -> str:
    return f"mt_bench:{folder}:{question_id}"


def question_fields(record: Source, prompt_key: str, around: Around) -> Row:
    """Return the prompt of a judgment.

    Parameters
    ----------
    record : mapping
        The judgment.
    prompt_key : str
        Where it has what the judge was shown.
    around : Around
        Its notes have the questions, if they were imported, too.

    Raises
    ------
    RecordError
        If the question is found nowhere.
    """
    n_turns = 2 if record.get("turn") == 2 else 1  # noqa: PLR2004 the benchmark has two
    folder = around.path.parent  # judgments lie in a folder below the questions
    noted = [
        turns for at in (folder, folder.parent) for turns in around.notes_of(_question_key(at, record["question_id"]))
    ]
    questions = noted[0] if noted else _questions_in(str(record.get(prompt_key) or ""))
    if not isinstance(questions, list) or len(questions) < n_turns:
        raise RecordError(
            prompt_key,
            "a judgment of MT-Bench whose question is not in the judge's prompt",
            "the question, from question.jsonl or in one of the prompts of FastChat",
            "import question.jsonl of the same benchmark together with the judgments",
        )
    asked = questions[:n_turns]
    if len(asked) == 1:
        return {"prompt": asked[0]}
    return {"messages": [{"role": "user", "content": question} for question in asked]}


def _questions_in(judge_prompt: str) -> list[str]:
    """Return the questions that a judge's prompt repeats."""
    return _ONE_QUESTION.findall(judge_prompt)[:1] or _QUESTION_OF_TURN.findall(judge_prompt)[:2]


ADAPTER: Final = Adapter("mt_bench", "MT-Bench", _recognises, mt_bench, notes=_notes, averages=True)
