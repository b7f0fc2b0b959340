"""The service's answers as Python values.

Fields that this version does not know are in `raw`; fields that an answer lacks are None. A field with another type
than the wire format says is `UnreadableAnswerError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from router_model.serving.client.client_errors import UnreadableAnswerError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One candidate of a plan.

    Attributes
    ----------
    model : str
    base_model, parameters : str or None, mapping
        What to call for it at a provider: mostly the model itself, without parameters.
    provider : str or None
    p_success : float or None
        Predicted P(quality >= bar). It is None in a default plan, because nothing was predicted; the same holds for all
        predicted values.
    p_interval : lower and upper end, or None
    expected_cost_usd, expected_output_tokens, expected_latency_s, expected_quality : float or None
    propensity : float or None
        Probability with which it would have been chosen.
    """

    model: str
    base_model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None
    p_success: float | None = None
    p_interval: tuple[float, float] | None = None
    expected_cost_usd: float | None = None
    expected_output_tokens: float | None = None
    expected_latency_s: float | None = None
    expected_quality: float | None = None
    propensity: float | None = None

    @classmethod
    def read(cls, step: Json) -> "RouteStep":
        """Read one entry of ``plan``."""
        interval = _optional(step, "p_interval", Sequence)
        return cls(
            model=_text(step, "model"),
            base_model=_optional(step, "base_model", str),
            parameters=_optional(step, "parameters", Mapping) or {},
            provider=_optional(step, "provider", str),
            p_interval=None if interval is None else _pair(interval),
            **{name: _number(step, name) for name in _STEP_NUMBERS},
        )


_STEP_NUMBERS = (
    "p_success",
    "expected_cost_usd",
    "expected_output_tokens",
    "expected_latency_s",
    "expected_quality",
    "propensity",
)


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """A decision.

    Attributes
    ----------
    model : str
        The model to call.
    plan : RouteStep, best first
        The first is `model`; call the next one if a model fails.
    decision_id : str or None
        To report outcomes and feedback with; None if the service was not reached and the caller's own fallback
        stands in.
    reason : str
    degraded : bool
        Nothing was predicted: the service's default plan, or the caller's fallback.
    explored : bool
    excluded : (model, reason) of every model that was not a candidate
    policy : mapping
        Artifact, version, quality bar, threshold, certificate.
    degraded_by : str or None
        ``predictor_error``, ``deadline`` or ``no_router``; or in a few words why the caller's fallback stands in.
    session_id : str or None
    raw : mapping
        The whole answer; empty of a fallback.
    """

    model: str
    plan: tuple[RouteStep, ...]
    decision_id: str | None
    reason: str
    degraded: bool = False
    explored: bool = False
    excluded: tuple[tuple[str, str], ...] = ()
    policy: Json = field(default_factory=dict)
    degraded_by: str | None = None
    session_id: str | None = None
    raw: Json = field(default_factory=dict, repr=False)

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the plan, best first."""
        return tuple(step.model for step in self.plan)

    @classmethod
    def read(cls, answer: Json) -> "RouteAnswer":
        """Read a ``routing.decision``."""
        plan = tuple(RouteStep.read(_mapping(step, "plan")) for step in _list(answer, "plan"))
        excluded = [_mapping(entry, "excluded") for entry in _list(answer, "excluded")]
        return cls(
            model=_text(answer, "model"),
            plan=plan,
            decision_id=_text(answer, "id"),
            reason=_text(answer, "reason"),
            degraded=bool(_optional(answer, "degraded", bool)),
            explored=bool(_optional(answer, "explored", bool)),
            excluded=tuple((_text(entry, "model"), _text(entry, "reason")) for entry in excluded),
            policy=_optional(answer, "policy", Mapping) or {},
            degraded_by=_optional(answer, "degraded_by", str),
            session_id=_optional(answer, "session_id", str),
            raw=answer,
        )

    @classmethod
    def local(cls, models: Sequence[str], why: str) -> "RouteAnswer":
        """Return the caller's own plan, for when the service is not there.

        Examples
        --------
        >>> answer = RouteAnswer.local(["small", "large"], "no answer within 0.3 s")
        >>> answer.model, answer.models, answer.degraded, answer.decision_id
        ('small', ('small', 'large'), True, None)
        """
        plan = tuple(RouteStep(model) for model in models)
        return cls(models[0], plan, None, "fallback_default", degraded=True, degraded_by=why)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The service's answer to reported feedback or an outcome.

    Attributes
    ----------
    id : str
        The record's; the same for the same idempotency key.
    idempotency_key : str
        Sent along, made once a call: the same one again changes nothing.
    raw : mapping
    """

    id: str
    idempotency_key: str
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, idempotency_key: str, answer: Json) -> "Receipt":
        """Read what a report is answered with."""
        return cls(_text(answer, "id"), idempotency_key, answer)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model of the service's catalog.

    Attributes
    ----------
    id : str
    context_length : int or None
        In tokens.
    pricing : mapping
        Decimal strings in USD per *token*.
    raw : mapping
    """

    id: str
    context_length: int | None
    pricing: Mapping[str, str]
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, model: Json) -> "ListedModel":
        """Read one entry of ``GET /v1/models``."""
        length = _number(model, "context_length")
        return cls(
            _text(model, "id"),
            None if length is None else int(length),
            _optional(model, "pricing", Mapping) or {},
            model,
        )


def read_models(answer: Json) -> tuple[ListedModel, ...]:
    """Read ``GET /v1/models``."""
    return tuple(ListedModel.read(_mapping(model, "data")) for model in _list(answer, "data", required=True))


def read_batch(answer: Json) -> tuple[Json, ...]:
    """Return the answers of a batch, in the order asked; each is a decision or an error."""
    return tuple(_mapping(entry, "data") for entry in _list(answer, "data", required=True))


def _text(answer: Json, name: str) -> str:
    value = _optional(answer, name, str)
    if value is None:
        raise UnreadableAnswerError(f"the answer has no {name!r}; is this the decision service's address?")
    return str(value)


def _number(answer: Json, name: str) -> float | None:
    value = _optional(answer, name, int | float)
    return None if value is None else float(value)


def _list(answer: Json, name: str, *, required: bool = False) -> Sequence[Any]:
    value: Sequence[Any] | None = _optional(answer, name, list)
    if value is None and required:
        raise UnreadableAnswerError(f"the answer has no {name!r}; is this the decision service's address?")
    return value or []


def _pair(interval: Sequence[Any]) -> tuple[float, float]:
    try:
        low, high = interval
        return float(low), float(high)
    except (TypeError, ValueError) as exc:
        raise UnreadableAnswerError(f"the answer's 'p_interval' is {interval!r}; expected two numbers") from exc


def _mapping(value: Any, where: str) -> Json:
    if not isinstance(value, Mapping):
        raise UnreadableAnswerError(
            f"an entry of the answer's {where!r} is a {type(value).__name__}; expected an object"
        )
    return value


def _optional(answer: Json, name: str, kind: Any) -> Any:
    value = answer.get(name)
    if value is not None and not isinstance(value, kind):
        raise UnreadableAnswerError(f"the answer's {name!r} is a {type(value).__name__}; expected {_called(kind)}")
    return value


def _called(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))
