"""Decisions as the log keeps them."""

import hashlib
import ipaddress
import json
from math import isnan
from typing import Any

import orjson

from features import Prompt
from router_model.decision import PlanStep
from router_model.log_records import DecisionRecord, LoggedCandidate
from serving.engine.query import Query, Routed
from serving.settings import PromptStorage, Settings


def prompt_storage(settings: Settings) -> PromptStorage:
    """Return what is kept of prompts: what the settings say, or else all on loopback and hashes elsewhere.

    >>> prompt_storage(Settings(artifact="a")), prompt_storage(Settings(artifact="a", host="0.0.0.0"))
    (<PromptStorage.FULL: 'full'>, <PromptStorage.HASH: 'hash'>)
    """
    if settings.log_prompts is not None:
        return settings.log_prompts
    return PromptStorage.FULL if _is_loopback(settings.host) else PromptStorage.HASH


def decision_record(query: Query, routed: Routed, prompt: Prompt, storage: PromptStorage) -> DecisionRecord:
    """Return the record of a decision; of 13 candidates it takes about 30 microseconds."""
    keep_hash = storage is not PromptStorage.NONE
    return DecisionRecord(
        decision_id=routed.decision_id,
        created_at=routed.created_at,
        model=routed.model,
        reason=routed.reason,
        candidates=_candidates(routed),
        excluded=tuple([(exclusion.model, exclusion.reason) for exclusion in routed.excluded]),
        artifact=routed.artifact,
        policy_version=routed.policy_version,
        quality_bar=routed.quality_bar,
        target_success=routed.target_success,
        threshold=routed.threshold,
        success_value_usd=routed.success_value_usd,
        quality_value_usd=routed.quality_value_usd,
        certified=routed.certificate is not None and routed.certificate.certified,
        explored=routed.explored,
        degraded=routed.degraded,
        shadow=False,
        session_id=routed.session_id,
        user_id=query.user_id,
        key_id=query.key_id,
        surface=query.surface,
        prompt_sha256=hashlib.sha256(prompt.text.encode("utf-8", "surrogatepass")).hexdigest() if keep_hash else None,
        messages=_as_json(query.body.get("messages")) if storage is PromptStorage.FULL else None,
        n_input_tokens=routed.n_input_tokens,
        decision_s=routed.decision_s,
    )


def _candidates(routed: Routed) -> tuple[LoggedCandidate, ...]:
    found = zip(routed.plan, routed.providers, routed.propensities, strict=True)
    if routed.predicted:
        return tuple([_predicted(*one) for one in found])
    nothing = (None,) * 7
    return tuple([LoggedCandidate(step.model, provider, *nothing, p) for step, provider, p in found])


def _predicted(step: PlanStep, provider: str | None, propensity: float) -> LoggedCandidate:
    low, high = step.p_interval or (None, None)
    latency = step.expected_latency_s
    return LoggedCandidate(
        step.model,
        provider,
        step.p_success,
        low,
        high,
        step.expected_cost_usd,
        step.expected_output_tokens,
        None if latency is None or isnan(latency) else latency,
        step.expected_quality,
        propensity,
    )


def _as_json(messages: Any) -> str:
    try:
        return orjson.dumps(messages).decode()
    except TypeError:  # half of a surrogate pair, or what is no JSON at all
        return json.dumps(messages, default=str)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
