"""The records that the service writes: decisions, attempts, feedback, sessions, and responses if they are kept.

These records are what closes the loop: serving writes them, every store keeps the same fields, and their export
joins them into the outcome table (`router_model.outcome_schema`) that training reads. Decides names, kinds and units,
and nothing of how they are stored. Ids are unique and made by the writer: writing a record twice changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

OWN: Final = "own"
"""A key reports on its own decisions."""
ANY: Final = "any"
"""A key with the role ``feedback-all`` reports on everybody's."""


@dataclass(frozen=True, slots=True)
class LoggedCandidate:
    """One candidate of a logged decision, in the order of the plan.

    Attributes
    ----------
    model : str
    provider : str or None
    p_success : float or None
        None in a default plan, because nothing was predicted; the same holds for all predicted values.
    p_low, p_high : float or None
        The interval of `p_success`.
    expected_cost_usd, expected_output_tokens, expected_latency_s, expected_quality : float or None
    propensity : float
        Probability with which this candidate would have been chosen, given the request and the session; they add up
        to 1 over the candidates of a decision.
    level_shift : float or None
        What the log odds of `p_success` and `expected_quality` were shifted by (`router_model.levels`).
    """

    model: str
    provider: str | None
    p_success: float | None
    p_low: float | None
    p_high: float | None
    expected_cost_usd: float | None
    expected_output_tokens: float | None
    expected_latency_s: float | None
    expected_quality: float | None
    propensity: float
    level_shift: float | None = None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision.

    Attributes
    ----------
    decision_id : str
        ``dec_`` and a UUIDv7 in hex: ids sort by time.
    created_at : datetime
        UTC.
    model : str
        The model that was chosen, the first of `candidates`.
    reason : str
    candidates : LoggedCandidate, in the order of the plan
    excluded : (model, reason) of every model that was not a candidate
    artifact : str
        Content hash of the router that decided; empty in a default plan of a service that has none.
    policy_version : str
        Changes with the artifact and with every setting that changes choices or propensities.
    quality_bar : float
    target_success, threshold, success_value_usd, quality_value_usd : float or None
        The knobs of the rule.
    certified, explored, degraded, shadow : bool
    session_id, user_id : str or None
        As the request gave them; or, of a session, the hash of the conversation's beginning.
    key_id : str or None
        Which caller asked; never the key.
    surface : str
        ``route``, ``batch``, ``notdiamond``, ``plano``, ``systemone``, ``decisions``; of the proxy
        ``chat``, ``messages``, ``generate``.
    prompt_sha256 : str or None
        Of the text that was encoded; None if prompts are stored as ``features`` or ``none``.
    messages : str or None
        The chat messages as JSON, or the text as a JSON string; None if prompts are not stored in full.
    n_input_tokens : int
        Word pieces of the prompt by the router's own tokenizer, not the tokens that a provider counts.
    decision_s : float
    prompt_features : str or None
        The prompt's sealed features (`router_model.features.logged`); None unless prompts are stored as ``features``.
    challenger : str or None
        Name of the router that was tried beside the one that serves (`router_model.saved.place`); None if none was.
    challenger_model : str or None
        In shadow and while exploring: what the challenger would have chosen. None if it did not decide: it was skipped,
        failed or was too slow, or nothing could be drawn.
    arm : str or None
        Of a canary: whose choice was served, ``champion`` or ``challenger``.
    canary_share : float or None
        Of a canary: the share of the sessions that are the challenger's.
    turn_type : str or None
        ``work``, or the background call that it was (`router_model.serving.engine.turn_types`); None of decisions that
        were logged before there were types.
    tools, response_format : str or None
        Of the chat body, as JSON; None if it had none, or if prompts are not stored in full. Tools have OpenAI's form.
    max_output_tokens : int or None
        The longest answer that was asked for.
    router : str or None
        The name of the router that was asked; None of decisions that were logged before there were names: ``default``.
    """

    decision_id: str
    created_at: datetime
    model: str
    reason: str
    candidates: tuple[LoggedCandidate, ...]
    excluded: tuple[tuple[str, str], ...]
    artifact: str
    policy_version: str
    quality_bar: float
    target_success: float | None
    threshold: float | None
    success_value_usd: float | None
    quality_value_usd: float | None
    certified: bool
    explored: bool
    degraded: bool
    shadow: bool
    session_id: str | None
    user_id: str | None
    key_id: str | None
    surface: str
    prompt_sha256: str | None
    messages: str | None
    n_input_tokens: int
    decision_s: float
    prompt_features: str | None = None
    challenger: str | None = None
    challenger_model: str | None = None
    arm: str | None = None
    canary_share: float | None = None
    turn_type: str | None = None
    tools: str | None = None
    response_format: str | None = None
    max_output_tokens: int | None = None
    router: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One call of a provider, by us or reported by a gateway; names follow OpenTelemetry's GenAI attributes.

    Attributes
    ----------
    attempt_id : str
        Made by us, or from the reporter's idempotency key.
    decision_id : str or None
    created_at : datetime
        UTC, when the call began, or else when it was reported.
    model, provider : str or None
        Asked for.
    response_id, response_model, finish_reason : str or None
        As the provider said.
    status : int or None
        HTTP status; None if no answer came.
    error_type : str or None
        None of a success. What a refusal was of follows a colon: ``refused:tools``.
    input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens : int or None
        `input_tokens` includes cached ones, `output_tokens` reasoning.
    cost_usd, latency_s, first_token_s : float or None
    key_id : str or None
        The sender of the report; never the key.
    usage_estimated : str or None
        What of tokens and cost was estimated and why, with commas between: ``input_zero, output_missing``; None if
        the provider's report was believed. `docs/proxy.md` lists the words.
    budget_usd : float or None
        What budgets count of a call where something was estimated; None: as `cost_usd`.
    authority : str or None
        Of a report as in `FeedbackRecord`; None of a call that was made here.
    """

    attempt_id: str
    decision_id: str | None
    created_at: datetime
    model: str | None = None
    provider: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    finish_reason: str | None = None
    status: int | None = None
    error_type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    key_id: str | None = None
    usage_estimated: str | None = None
    budget_usd: float | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One judgement of an answer; joined to its decision when a table is exported.

    Attributes
    ----------
    feedback_id : str
        Made by us, or from the caller's idempotency key: the same one twice is one record.
    created_at : datetime
        UTC.
    decision_id, response_id : str or None
        One of the two at least; an unknown one is kept, its decision may come later.
    score : float
        0 to 1; a thumb is 1 or 0.
    source : str
        What kind of judge the caller says it was: ``user``, ``judge``, ``test``.
    metric : str
        ``quality`` is what training reads.
    comment : str or None
    key_id : str or None
        The authenticated sender; the body cannot change it.
    authority : str or None
        Whose decisions its key may report on: `OWN` or `ANY`. None, of records before there were the two: its own.
    """

    feedback_id: str
    created_at: datetime
    decision_id: str | None
    response_id: str | None
    score: float
    source: str
    metric: str
    comment: str | None
    key_id: str | None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The last model of a conversation, shared between workers if a store is configured; the newest one counts.

    Attributes
    ----------
    session_key : str
        Hash of the caller's key id and the session id; or of an answer, by which the session is recognised.
    model : str
        Of an answer: the key of its session.
    updated_at : datetime
        UTC.
    n_input_tokens : int
        Word pieces of the conversation that the model has read: what its provider may have in a cache.
    """

    session_key: str
    model: str
    updated_at: datetime
    n_input_tokens: int


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """An answer of ``POST /v1/responses`` with its input, for its caller to read or go on from; the newest one counts.

    Attributes
    ----------
    response_key : str
        Hash of the caller's key id and the response's id, so that no key can name another one's.
    updated_at : datetime
        UTC, when the answer was whole, or when it was deleted.
    response_id : str or None
        As the caller knows it.
    previous_key : str or None
        Of the response that it goes on from.
    key_id, user_id, session_id, decision_id : str or None
        As of the decision; `decision_id` is None of a model that was named.
    input : str or None
        The request's own items, as JSON; None of a response that was deleted, and so are the following.
    output : str or None
        The items of the answer, as JSON, with all that the model wants back in the next turn.
    response : str or None
        The rest of the response as the caller got it, as JSON.
    """

    response_key: str
    updated_at: datetime
    response_id: str | None
    previous_key: str | None
    key_id: str | None
    user_id: str | None
    session_id: str | None
    decision_id: str | None
    input: str | None
    output: str | None
    response: str | None


LogRecord = DecisionRecord | AttemptRecord | FeedbackRecord | SessionRecord | ResponseRecord
"""Anything a decision log keeps."""
