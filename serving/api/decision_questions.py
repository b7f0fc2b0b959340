"""``POST /v1/systemone`` and ``POST /v1/decisions``: answer choices among models in the formats of decision models.

Both formats ask typed questions about a text or a conversation. This service answers one kind: a ``choice`` whose
options are models, and refuses the others. It decides as `POST /v1/route` does, among the options alone; the answer is
made of the plan:

- ``choice``: the first model of the plan.
- ``confidence``: the choice's calibrated P(success), which is the probability that its answer meets the quality bar.
- ``probabilities``: the options' weights, divided by their sum. A model weighs its P(success); one that costs c times
  as much as the choice, c > 1, weighs P(success) / c; no model weighs more than the choice. So the choice has the
  largest. Options that cannot take the request have 0. They order the options, and are no calibrated probabilities.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from router_model.plan import PlanStep
from router_model.serving.api.decision_rendering import decision_headers
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.router_names import router_in
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, NotReadyError
from router_model.serving.engine.query import Query, Routed
from router_model.serving.formats.translations.responses_to_openai.items import chat_messages
from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.endpoint import DECISION_HEADERS, SESSION_HEADER, Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.http_edge.queries import build_query, session_header, some_of
from router_model.serving.http_edge.requests import RouterOptions, ShortText, open_body
from router_model.serving.providers.config import Alias
from router_model.serving.proxy.naming import with_options

MOST_QUESTIONS: Final = 128
_SAID: Final = "Is 2027 prime? Answer yes or no."
Options: TypeAlias = Mapping[str, str]
"""The models that options are, by option."""


class SystemOneQuestion(BaseModel, extra="allow", strict=True):
    """A question; a ``choice`` has its options as keys of ``criteria``."""

    type: ShortText
    criteria: dict[str, Any] | list[Any] | None = None


class SystemOneRequest(BaseModel):
    """Questions about a state."""

    model_config = open_body(
        state=_SAID,
        model="jev-latest",
        questions={
            "model": {
                "type": "choice",
                "instructions": "Pick the cheapest model that can answer.",
                "criteria": {"small": None, "large": "for hard questions"},
            }
        },
    )

    state: str | dict[str, Any] | list[Any] = Field(
        description="A text; a chat body with `messages`; or any JSON, which is read as a text."
    )
    model: ShortText | None = Field(None, description="'auto:NAME' and aliases count; other names have no effect.")
    questions: dict[str, SystemOneQuestion] = Field(min_length=1, max_length=MOST_QUESTIONS)
    router: RouterOptions | None = None


class ChoiceOption(BaseModel, extra="allow", strict=True):
    """An option of a ``choice``."""

    value: str | bool


class DecisionQuestion(BaseModel, extra="allow", strict=True):
    """A question; a ``choice`` has ``choices``."""

    type: ShortText
    name: str | None = None
    choices: list[ChoiceOption] | None = None


class DecisionsRequest(BaseModel):
    """Questions about an input."""

    model_config = open_body(
        input=_SAID,
        model="auto",
        questions=[
            {
                "type": "choice",
                "name": "model",
                "instructions": "Pick the cheapest model that can answer.",
                "choices": [{"value": "small"}, {"value": "large"}],
            }
        ],
    )

    input: str | list[Any] = Field(description="A text, or items as of OpenAI's Responses.")
    model: ShortText | None = Field(None, description="'auto:NAME' and aliases count; other names have no effect.")
    questions: list[DecisionQuestion] = Field(min_length=1, max_length=MOST_QUESTIONS)
    router: RouterOptions | None = None


class SystemOneChoice(BaseModel, extra="forbid"):
    """The answer to a choice among models."""

    type: Literal["choice"]
    choice: str
    probabilities: dict[str, float] = Field(description="Shares of the options; the choice has the largest.")
    confidence: float = Field(description="P(success) of the choice; 0 where the default plan answered.")
    decision_id: str = Field(description="What feedback and outcomes name.")


class SystemOneUsage(BaseModel, extra="forbid"):
    """Estimated tokens; none of them is paid for."""

    input_tokens: int
    output_tokens: int


class SystemOneAnswer(BaseModel, extra="forbid"):
    """Answers by the names of their questions."""

    id: str = Field(description="The first question's decision.")
    model: str = Field(description="`router-model-` and the policy's version.")
    answers: dict[str, SystemOneChoice]
    usage: SystemOneUsage


class DecisionProbability(BaseModel, extra="forbid"):
    """The share of an option."""

    value: str
    probability: float


class DecisionChoice(BaseModel, extra="forbid"):
    """The answer to a choice among models."""

    type: Literal["choice"]
    name: str | None
    choice: str
    probabilities: list[DecisionProbability]
    confidence: float
    decision_id: str


class DecisionsAnswer(BaseModel, extra="forbid"):
    """Answers in the order of their questions."""

    id: str
    model: str
    answers: list[DecisionChoice]
    usage: dict[str, Any] = Field(description="As of OpenAI; estimated, and none of it is paid for.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question: its name, the models that its options are, and the query that decides among them."""

    name: str | None
    options: Options
    query: Query


@dataclass(frozen=True, slots=True)
class _Answered:
    """The answer to a question, in neither format."""

    name: str | None
    choice: str
    shares: Mapping[str, float]
    confidence: float
    decision_id: str


async def systemone(request: Request) -> Response:
    """Choose among models for a state, in the format of System One.

    Each question of type `choice` among ids of models, or aliases of them, is a decision of its own. `noul` and `score`
    are refused, and so are options that are no models.
    """
    answered, decided = await _decide(request, "systemone", _read_systemone)
    answers = {
        one.name: {
            "type": "choice",
            "choice": one.choice,
            "probabilities": one.shares,
            "confidence": one.confidence,
            "decision_id": one.decision_id,
        }
        for one in answered
    }
    usage = {"input_tokens": _n_tokens(decided), "output_tokens": 0}
    return _response(decided, answers, usage)


async def decisions(request: Request) -> Response:
    """Choose among models for an input, in the format of OpenAI's Decisions.

    Each question of type `choice` among ids of models, or aliases of them, is a decision of its own. `predicate` and
    `score` are refused, and so are options that are no models.
    """
    answered, decided = await _decide(request, "decisions", _read_decisions)
    answers = [
        {
            "type": "choice",
            "name": one.name,
            "choice": one.choice,
            "probabilities": [{"value": value, "probability": share} for value, share in one.shares.items()],
            "confidence": one.confidence,
            "decision_id": one.decision_id,
        }
        for one in answered
    ]
    n_tokens = _n_tokens(decided)
    usage = {
        "input_tokens": n_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": n_tokens,
    }
    return _response(decided, answers, usage)


async def _decide(
    request: Request, surface: str, read: Callable[["_Reader", dict[str, Any]], list[_Asked]]
) -> tuple[list[_Answered], list[Routed]]:
    """Return the answers to the questions of a request, and the decisions behind them."""
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.DECIDE)
    reader = _Reader(parts, surface, session_header(request.headers), caller)
    asked = await parts.bodies.read(request, caller, partial(read, reader))
    # `authenticate` has counted the first one already; how many there are is known only now.
    parts.access.count_more(caller, len(asked) - 1)
    decided = [await parts.engines.decide(one.query) for one in asked]
    return [_answered(one, routed) for one, routed in zip(asked, decided, strict=True)], decided


@dataclass(frozen=True, slots=True)
class _Reader:
    """What makes queries of questions."""

    parts: Parts
    surface: str
    session_id: str | None
    caller: Caller

    def alias(self, name: str | None) -> Alias | None:
        return None if name is None or self.parts.proxy is None else self.parts.proxy.providers.alias(name)

    def router(self, model: str | None) -> str:
        """Return the name of the router that ``model`` asks, if it names one."""
        alias = self.alias(model)
        asked = model if alias is None else alias.model
        return self.parts.engines.chosen(router_in(asked or ""), self.caller)

    def asked(
        self,
        name: str | None,
        values: Iterable[str],
        chat: Mapping[str, Any],
        said: RouterOptions | None,
        *,
        router: str,
        at: str,
    ) -> _Asked:
        """Return a question whose options are `values`; `at` is its place in the body."""
        deciding = self.parts.engines[router].router
        known = () if deciding is None else deciding.models
        if not known:
            raise NotReadyError(
                "no router is loaded, so models cannot be compared; POST /v1/route answers with a default plan"
            )
        options = {value: self._model(value, known, at) for value in values}
        query = build_query(
            chat,
            said,
            surface=self.surface,
            key_id=self.caller.key_id,
            user_id=None,
            session_id=(None if said is None else said.session_id) or self.session_id,
            candidates=tuple(dict.fromkeys(options.values())),
            known=known,
            router=router,
        )
        return _Asked(name, options, query)

    def _model(self, option: str, known: Sequence[str], at: str) -> str:
        """Return the model that an option is: itself, else what it is an alias of."""
        alias = None if option in known else self.alias(option)
        model = option if alias is None else alias.model
        if model not in known:
            meant = "" if alias is None else f", an alias of {model!r},"
            raise InvalidRequestError(
                f"{at}: option {option[:80]!r}{meant} is no model of this service; expected its models "
                f"({some_of(known)}), or aliases of them in the providers' file",
                param=at,
            )
        return model

    def said(self, body: dict[str, Any], model: str | None, own: RouterOptions | None) -> RouterOptions | None:
        """Return the options of the router: the body's own, before those of the alias that ``model`` may be."""
        alias = self.alias(model)
        if alias is None or not alias.options:
            return own
        return validated(RouterOptions, with_options(body, alias.options)["router"])


def _read_systemone(reader: _Reader, body: dict[str, Any]) -> list[_Asked]:
    request = validated(SystemOneRequest, body)
    chat, said = _chat_of(request.state), reader.said(body, request.model, request.router)
    router = reader.router(request.model)
    asked = []
    for name, question in request.questions.items():
        at = f"questions.{name[:80]}"
        _check_choice(question.type, at)
        if not isinstance(question.criteria, dict) or not question.criteria:
            raise InvalidRequestError(f"{at} has no options; expected criteria = {{option: description}}", param=at)
        asked.append(reader.asked(name, question.criteria, chat, said, router=router, at=at))
    return asked


def _read_decisions(reader: _Reader, body: dict[str, Any]) -> list[_Asked]:
    request = validated(DecisionsRequest, body)
    chat, said = {"messages": chat_messages(None, request.input)}, reader.said(body, request.model, request.router)
    router = reader.router(request.model)
    asked = []
    for position, question in enumerate(request.questions):
        at = f"questions[{position}]"
        _check_choice(question.type, at)
        if not question.choices:
            raise InvalidRequestError(f"{at} has no options; expected choices = [{{value: option}}]", param=at)
        values = [one.value if isinstance(one.value, str) else json.dumps(one.value) for one in question.choices]
        asked.append(reader.asked(question.name, values, chat, said, router=router, at=at))
    return asked


def _check_choice(kind: str, at: str) -> None:
    if kind != "choice":
        raise InvalidRequestError(
            f"{at} is of type {kind[:80]!r}; this service answers 'choice' among its models, and nothing else", param=at
        )


def _chat_of(state: str | dict[str, Any] | list[Any]) -> Mapping[str, Any]:
    """Return a state as a chat body.

    >>> _chat_of("Hi"), _chat_of({"messages": []}), _chat_of({"a": 1})["messages"][0]["content"]
    ({'messages': [{'role': 'user', 'content': 'Hi'}]}, {'messages': []}, '{"a": 1}')
    """
    if isinstance(state, dict) and isinstance(state.get("messages"), list):
        return state
    said = state if isinstance(state, str) else json.dumps(state, ensure_ascii=False)
    return {"messages": [{"role": "user", "content": said}]}


def _answered(asked: _Asked, routed: Routed) -> _Answered:
    named: dict[str, str] = {}
    for option, model in asked.options.items():
        named.setdefault(model, option)  # of two options that are the same model, the first one
    weights = {named[model]: weight for model, weight in weights_of(routed.plan).items()}
    total, p_success = sum(weights.values()), routed.plan[0].p_success
    return _Answered(
        asked.name,
        named[routed.model],
        {option: weights.get(option, 0.0) / total for option in asked.options},
        0.0 if isnan(p_success) else p_success,
        routed.decision_id,
    )


def weights_of(plan: Sequence[PlanStep]) -> dict[str, float]:
    """Return the weights of a plan's models; those of the first are the largest, and above 0.

    Of a default plan, for which nothing was predicted, all weigh the same.
    """
    first = plan[0]
    if isnan(first.p_success) or first.p_success == 0:
        return {step.model: float(isnan(first.p_success) or step is first) for step in plan}
    return {step.model: min(first.p_success, step.p_success * _discount(step, first)) for step in plan}


def _discount(step: PlanStep, first: PlanStep) -> float:
    """Return 1 for a model that is as cheap as the first, and 1/c for one that costs c times as much."""
    dearer = step.expected_cost_usd > first.expected_cost_usd
    return first.expected_cost_usd / step.expected_cost_usd if dearer else 1.0


def _n_tokens(decided: Sequence[Routed]) -> int:
    return sum(one.n_input_tokens for one in decided)


def _response(decided: Sequence[Routed], answers: object, usage: Mapping[str, Any]) -> Response:
    first = decided[0]
    answer = {
        "id": first.decision_id,
        "model": f"router-model-{first.policy_version}",
        "answers": answers,
        "usage": usage,
    }
    return json_response(answer, headers=decision_headers(first))


_ERRORS: Final = (EmptyPlanError, NotReadyError)
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/systemone",
        systemone,
        "Choose a model, in System One's format",
        SystemOneAnswer,
        SystemOneRequest,
        roles=(Role.DECIDE,),
        errors=_ERRORS,
        parameters=(SESSION_HEADER,),
        headers=DECISION_HEADERS,
    ),
    Endpoint(
        "POST",
        "/v1/decisions",
        decisions,
        "Choose a model, in OpenAI's Decisions format",
        DecisionsAnswer,
        DecisionsRequest,
        roles=(Role.DECIDE,),
        errors=_ERRORS,
        parameters=(SESSION_HEADER,),
        headers=DECISION_HEADERS,
    ),
)
