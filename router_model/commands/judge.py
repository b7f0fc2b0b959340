"""The grader ``judge``: a model that is asked through the providers, on a budget, with a journal of what was paid.

Whatever was paid for is kept, so that a second run pays for nothing twice. Two models that gave the same answer to the
same prompt are judged by one call. A verdict that cannot be read is asked for once more; then the answer counts as not
graded.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from router_model.commands.asking import CallProgress, progress_of_calls, say_stop
from router_model.commands.collect_report import EXITS
from router_model.errors import RequestError
from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.paid_calls.calls import CallOutcome, PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.paid_calls.runner import Why, worst_usd
from router_model.serving.paid_calls.session import Asked, ask_models
from router_model.serving.providers.fleet import Fleet
from router_model.training.grading.answers import NO_REFERENCE, Answer, Grade, not_graded
from router_model.training.grading.corrected_means import mean_of
from router_model.training.grading.judging import JudgePrompt, read_verdict
from router_model.training.measuring.verdict import Estimate
from router_model.wording import shortened

_CALL_ID: Final = "judge"
"""The same for all calls, so that the same question is paid for once."""
_UNREADABLE: Final = "the judge's verdict could not be read"
_NO_VERDICT: Final = "the judge did not answer"
_WHY_LEFT: Final = {
    Why.BUDGET: "the budget ended before the judge was asked",
    Why.STOPPED: "the run was stopped before the judge was asked",
    Why.FAILING: "the judge's model fails",
}
_LOOK_AT_PROVIDER: Final = "see to the judge's provider, and give the same command again"
_ADVICE: Final = {
    _UNREADABLE: "give the judge a larger --judge-max-tokens (one that thinks needs more), or ask another --judge",
    _WHY_LEFT[Why.BUDGET]: "go on with a larger --budget-usd",
    _WHY_LEFT[Why.STOPPED]: "give the same command again to go on",
    _WHY_LEFT[Why.FAILING]: _LOOK_AT_PROVIDER,
    _NO_VERDICT: _LOOK_AT_PROVIDER,
}
"""What to do about answers that were not graded, by the reason."""
_MIN_FOR_POSITION: Final = 10
_SHOWN: Final = 80
"""Characters of a verdict that could not be read, in its reason."""


@dataclass(slots=True)
class _Question:
    """One question about one answer.

    Attributes
    ----------
    row : number of the answer
    is_first : whether the answer stands before the reference
    call : PaidCall
    quality : float or None
        What the verdict gives.
    reason : str
        Why there is none.
    """

    row: int
    is_first: bool
    call: PaidCall
    quality: float | None = None
    reason: str = ""


@dataclass(slots=True)
class Judge:
    """Grades by the verdicts of a model.

    Attributes
    ----------
    model : str
        As the providers file names it.
    prompt : JudgePrompt
    fleet : makes the providers; called once for each `grade`
    journal : Journal
    max_tokens : int
        Of one verdict, its reasons included.
    both_orders : float
        For pairwise: the share of the answers that are judged in both orders.
    seed : int
        Of the orders.
    per_provider : int
        Calls at a time.
    position_bias : Estimate or None
        For pairwise, after grading: how much more an answer gets if it stands first, over those judged in both orders.
    asked : what the last `grade` has done
    """

    model: str
    prompt: JudgePrompt
    fleet: Callable[[], Fleet]
    journal: Journal
    max_tokens: int = 2048
    both_orders: float = 0.2
    seed: int = 0
    per_provider: int = 8
    position_bias: Estimate | None = None
    asked: Asked | None = None

    @property
    def name(self) -> str:
        """What the column ``judge`` says: the model and the version of the prompt."""
        return f"judge:{self.model}@{self.prompt.version}"

    @property
    def advice(self) -> Mapping[str, str]:
        """What to do about answers that it did not grade, by the reason."""
        return _ADVICE

    @property
    def exit_code(self) -> int:
        """0: all questions were asked; 3: some are left; 130: interrupted."""
        return EXITS[self.asked.why] if self.asked else 0

    def check(self) -> None:
        """Refuse a judge that could not be asked; nothing is sent.

        Raises
        ------
        RequestError
            If no provider serves the model, or its price is not known.
        """
        try:
            worst_usd(self.fleet(), self._call([]))
        except InvalidRequestError as exc:
            raise RequestError(f"--judge: {exc.message}") from exc

    def questions(self, answers: Sequence[Answer]) -> list[_Question]:
        """Return the questions about all answers that can be judged."""
        found = []
        for row, answer in enumerate(answers):
            if self.prompt.kind == "score":
                found.append(self._question(row, answer, is_first=True))
            elif answer.reference is not None:
                of_pair = [self.seed, answer.row.get("prompt_id"), answer.row.get("model")]
                digest = hashlib.sha256(repr(of_pair).encode()).digest()
                is_first, is_both = digest[0] % 2 == 0, int.from_bytes(digest[1:5]) < self.both_orders * 2**32
                orders = (is_first, not is_first) if is_both else (is_first,)
                found += [self._question(row, answer, is_first=order) for order in orders]
        return found

    def _question(self, row: int, answer: Answer, *, is_first: bool) -> _Question:
        return _Question(row, is_first, self._call(self.prompt.messages(answer, is_first=is_first)))

    def _call(self, messages: list[dict[str, str]]) -> PaidCall:
        body = {"messages": messages, "temperature": 0, "max_tokens": self.max_tokens}
        return PaidCall(_CALL_ID, self.model, body)

    def grade(self, answers: Sequence[Answer]) -> list[Grade]:
        """Return a grade for each answer; with two orders, the mean of both.

        Raises
        ------
        RequestError
            If no provider serves the model, or its price is not known.
        JournalError
            If what is paid cannot be written down.
        KeyboardInterrupt
            After the second Ctrl-C.
        """
        questions = self.questions(answers)
        outcomes: dict[str, CallOutcome] = {}

        with progress_of_calls(self.journal) as progress:

            def note(call: PaidCall, outcome: CallOutcome) -> None:
                outcomes[call.key] = outcome
                progress.advance()

            try:
                self.asked = ask_models(
                    self._batches(questions, outcomes, progress),
                    self.fleet(),
                    self.journal,
                    per_provider=self.per_provider,
                    on_outcome=note,
                    on_stop=say_stop,
                )
            except InvalidRequestError as exc:
                raise RequestError(f"--judge: {exc.message}") from exc
        for question in questions:
            self._settle(question, outcomes.get(question.call.key))
        self.position_bias = self._position_bias(questions)
        of_row: dict[int, list[_Question]] = {}
        for question in questions:
            of_row.setdefault(question.row, []).append(question)
        return [_grade(of_row.get(row, [])) for row in range(len(answers))]

    def _batches(
        self, questions: list[_Question], outcomes: dict[str, CallOutcome], progress: CallProgress
    ) -> Iterator[list[PaidCall]]:
        """Yield all questions, and then those whose verdict could not be read, asked once more."""
        progress.expect(len({question.call.key for question in questions}))
        yield [question.call for question in questions]
        unreadable = []
        for question in questions:
            outcome = outcomes.get(question.call.key)
            if outcome is not None and outcome.answer is not None:
                said = outcome.text or ""
                if read_verdict(self.prompt.kind, said) is None:
                    messages: list[dict[str, Any]] = question.call.body["messages"]
                    question.call = self._call(self.prompt.repair(messages, said))
                    unreadable.append(question.call)
        if unreadable:
            progress.expect(len({call.key for call in unreadable}))
            yield unreadable

    def _settle(self, question: _Question, outcome: CallOutcome | None) -> None:
        if outcome is None:
            why = self.asked.why if self.asked else None
            question.reason = _WHY_LEFT[why] if why else _UNREADABLE
        elif outcome.error is not None:
            question.reason = f"{_NO_VERDICT}: {shortened(outcome.error.message, _SHOWN)}"
        else:
            question.quality = read_verdict(self.prompt.kind, outcome.text or "", is_first=question.is_first)
            if question.quality is None:
                question.reason = f"{_UNREADABLE}: {shortened(outcome.text or '(nothing)', _SHOWN)}"

    def _position_bias(self, questions: Sequence[_Question]) -> Estimate | None:
        first = {one.row: one.quality for one in questions if one.is_first and one.quality is not None}
        second = {one.row: one.quality for one in questions if not one.is_first and one.quality is not None}
        gains = np.array([first[row] - second[row] for row in first if row in second])
        if self.prompt.kind == "score" or len(gains) < _MIN_FOR_POSITION:
            return None
        return mean_of(gains, np.arange(len(gains)), len(gains), added=True).interval().within(-1, 1)


def _grade(questions: Sequence[_Question]) -> Grade:
    """Return the grade of one answer by the questions about it."""
    qualities = [question.quality for question in questions if question.quality is not None]
    if qualities:
        return Grade(math.fsum(qualities) / len(qualities))
    return not_graded(questions[0].reason if questions else NO_REFERENCE)
