"""Refusals: errors that say what this model does not accept, but another model may.

A plain bad request (a wrong type, a missing field) is not a refusal: every model would refuse it, so the caller must
correct it.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from router_model.serving.formats.refusal_words import name_of, named_in
from router_model.serving.providers.failures import CONTENT, FailureKind, Refusal, UpstreamFailure

_UNSUPPORTED: Final = frozenset({"unsupported_parameter", "unsupported_value", "unsupported_parameter_value"})
_OF_VALUES: Final = frozenset({"unsupported_value", "unsupported_parameter_value", "invalid_value"})
_WITH_VALUES: Final = frozenset({"reasoning_effort", "verbosity", "service_tier"})
"""Parameters with values that one model knows and another does not, so that a wrong value may be right elsewhere."""
_FILTERS: Final = frozenset(
    {
        *("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "content_filtered"),
        *("data_inspection_failed", "datainspectionfailed", "invalid_prompt", "moderation_blocked", "safety"),
        *("content_moderation", "sensitive_words_detected", "prohibited_content", "1301"),
    }
)
"""Codes of content filters; 1301 is Zhipu's."""
_FLAGGED: Final = frozenset({"reasons", "flagged_input"})
"""Fields of OpenRouter's metadata that are present if a prompt did not pass moderation."""
_FILTER_WORDS: Final = re.compile(
    r"content (management|filter\w*|moderation|safety|policy)|content polic|content exists risk|safety (system|filter)"
    r"|(usage|acceptable use) (policy|policies|guidelines)|considered high risk|\bflagged\b|inappropriate content"
    r"|responsible ai|blocked by .{0,40}(polic|filter)",
    re.IGNORECASE,
)
_OF_A_REQUEST: Final = frozenset({None, 400, 403, 404, 405, 422, 451, 501})
"""HTTP statuses of refusals; None: inside a 200."""
_MAY_BE: Final = frozenset({FailureKind.BAD_REQUEST, FailureKind.MODEL_GONE, FailureKind.REFUSED})
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_USE: Final = re.compile(r"\buse \W?(max_completion_tokens|max_tokens)\W? instead", re.IGNORECASE)
_DEFAULT_ONLY: Final = re.compile(r"only the default|only supports? the default|only .{0,20}\b1\b", re.IGNORECASE)


def as_refusal(failure: UpstreamFailure, metadata: Mapping[str, Any] | None = None) -> UpstreamFailure:
    """Return a failure as a refusal if its words or codes say so; return any other failure as it is.

    Parameters
    ----------
    failure : as its status alone would have it
    metadata : OpenRouter's

    Examples
    --------
    >>> failure = UpstreamFailure(FailureKind.BAD_REQUEST, "llama2 does not support tools", status=400)
    >>> as_refusal(failure).error_type
    'refused:tools'
    """
    # A 403 whose code is a refusal's says nothing of the key; its words could be of an account that was suspended.
    is_named = failure.status == HTTPStatus.FORBIDDEN and bool(_codes(failure) & (_UNSUPPORTED | _FILTERS))
    if (failure.kind in _MAY_BE or is_named) and failure.status in _OF_A_REQUEST:
        is_flagged = bool(metadata and _FLAGGED & metadata.keys())
        failure.refusal = Refusal((CONTENT,)) if is_flagged else _refusal(failure)
        if failure.refusal is not None:
            failure.kind = FailureKind.REFUSED
    return failure


def _refusal(failure: UpstreamFailure) -> Refusal | None:
    codes = _codes(failure)
    if codes & _FILTERS:
        return Refusal((CONTENT,))
    names, evidence = named_in(failure.message)
    named = name_of(failure.param)
    if codes & _UNSUPPORTED or (codes & _OF_VALUES and named in _WITH_VALUES):
        names, evidence = (names if named is None else (named,)), ""
    elif not evidence:
        return Refusal((CONTENT,)) if _FILTER_WORDS.search(failure.message) else None
    of_value = bool(codes & _OF_VALUES) or "value" in evidence.lower()
    # If only the default is taken, any other value is refused like this one, so the refusal is of the parameter.
    of_value = of_value and _DEFAULT_ONLY.search(failure.message) is None
    return Refusal(_of_limit(names, failure.message), evidence, of_value=of_value)


def _codes(failure: UpstreamFailure) -> set[str]:
    return {name.lower() for name in (failure.code, failure.type) if name}


def _of_limit(names: tuple[str, ...], message: str) -> tuple[str, ...]:
    """Return names; a refusal of a limit's name, where the other name is known to be taken, is of the name alone.

    >>> _of_limit(("max_tokens",), "'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
    ('limit:max_completion_tokens',)
    >>> _of_limit(("max_tokens",), "max_tokens is refused by this model")
    ('max_tokens',)
    """
    if not names or names[0] not in _LIMITS:
        return names
    told = _USE.search(message)
    if told is not None:
        return (f"limit:{told[1].lower()}",)
    return ("limit:max_tokens",) if names[0] == "max_completion_tokens" else names  # the older name is known everywhere
