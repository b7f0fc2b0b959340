"""Find out what an error says about the key: that the key is bad, or that a limit holds for all of its models.

A key is judged by codes and statuses alone, as a message may repeat what the caller sent, in quotes or without. Words
only ever lessen what a status says: 402 may be for a ``max_tokens`` that is dearer than what is left, 401 for a model
that the key is not for. If an error has no code and its words speak of the key or the account (Anthropic says with
400 that the credit is used up), the next candidate is asked, and nothing is held against the key.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from router_model.serving.providers.failures import FailureKind

_CODES: Final = frozenset(
    {
        # OpenAI, Groq, xAI and those who copy them
        *("invalid_api_key", "incorrect_api_key", "insufficient_quota", "credit_balance_exhausted"),
        *("billing_hard_limit_reached", "billing_not_active", "account_deactivated", "account_suspended"),
        *("access_terminated", "invalid_organization", "mismatched_organization", "mismatched_project"),
        *("ip_not_authorized", "organization_restricted", "organization_deactivated", "blocked_api_access"),
        # Anthropic, Moonshot, Together, DashScope, Volcengine, LiteLLM
        *("billing_error", "exceeded_current_quota_error", "invalid_authentication_error", "credit_limit"),
        *("invalidapikey", "arrearage", "accountoverdueerror", "insufficientbalance", "insufficient_balance"),
        *("insufficient_credits", "payment_required", "budget_exceeded", "expired_key", "token_not_found_in_db"),
        # Google
        *("api_key_invalid", "api_key_expired", "billing_disabled", "consumer_suspended", "consumer_invalid"),
        *("api_key_service_blocked", "api_key_ip_address_blocked", "api_key_http_referrer_blocked"),
        *("service_disabled", "account_state_invalid", "access_token_expired", "credentials_missing"),
        # Bedrock and gateways before it
        *("unrecognizedclientexception", "invalidclienttokenid", "expiredtokenexception"),
        *("invalidsignatureexception", "missingauthenticationtoken", "missingauthenticationtokenexception"),
    }
)
"""By ``code``, ``type`` or ``reason`` in lower case, whatever the status."""
_WHOSE: Final = r"\b(account|organi[sz]ation|team|workspace|project|consumer|subscription)\b"
_BAD: Final = r"(suspended|deactivated|disabled|restricted|terminated|banned|overdue|delinquent|not active|inactive)\b"
_WORDS: Final = re.compile(
    r"\b(incorrect|invalid|expired|revoked|disabled|leaked|missing|no) "
    r"(api[ -]?key|api[ -]?token|authentication token|auth credentials|access token|subscription key)"
    r"|\bapi[ -]?key\b.{0,40}\b(not valid|invalid|expired|revoked|disabled|not found|leaked|suspended|deleted)\b"
    rf"|{_WHOSE}.{{0,80}}?\b{_BAD}"
    r"|\binsufficient (account )?(balance|credits?|funds|quota)\b"
    r"|\b(balance|credits?|funds)\b.{0,30}\b(insufficient|exhausted|too low|used up|depleted)\b"
    r"|\bout of (credits|funds|call volume quota)\b"
    r"|\b(used all|used up|doesn.?t have any|has no) (available )?credits\b"
    r"|\b(spend|spending|billing|usage|key|credit)[ -](hard )?limits?\b.{0,40}\b(reached|exceeded)\b"
    r"|\breach\w* (your|its|the) (specified |monthly )*((api )?usage|spend|spending|credit) limits?\b"
    r"|\benable billing\b|\bin arrears\b|\bgood standing\b|\b(disabled|suspended) (in|on|for) (this|your) account\b",
    re.IGNORECASE | re.DOTALL,
)
_OF_REQUEST: Final = re.compile(
    r"\bfewer max_tokens\b|\bcan only afford\b|\btoken capacity required\b|\bprompt tokens limit\b"
    r"|\b(access|allowed|permission|permitted|authori[sz]ed|entitled|subscribed)\b.{0,60}\b(model|deployment)s?\b"
    r"|\b(model|deployment)s?\b.{0,80}\b(access|permission|not allowed|not permitted|not authori[sz]ed|gated)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Words of a 401, 402 or 403 that would not stop another request: a cheaper one, or one for another model."""
_QUOTED: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`|“[^”\n]*”")
_CONTRACTED: Final = re.compile(r"(?<=[a-z])'(?=(t|s|re|ve|ll|d|m)\b)", re.IGNORECASE)
_WIDE_LIMIT: Final = re.compile(
    r"\b(account|organi[sz]ation|org|api[ -]?key|key|team|workspace|project|tenant|subscription|free-models)\b",
    re.IGNORECASE,
)
_MODEL_LIMIT: Final = re.compile(
    r"\b(model|deployment|endpoint|engine)s?\b(?!-)"
    r"|\b(reached|exceeded|limit) for (?!requests\b|your\b|the\b|this\b)\S+ in ",
    re.IGNORECASE,
)
_SCOPE: Final = "x-ratelimit-scope"
_WIDE_SCOPES: Final = frozenset(
    {
        "account",
        "organization",
        "organisation",
        "org",
        "project",
        "team",
        "workspace",
        "key",
        "api_key",
        "user",
        "global",
    }
)
_OF_KEYS: Final = frozenset({401, 402})
"""Statuses that say by themselves that the key, or its account, is not in order."""
_PLAIN: Final = frozenset({*_OF_KEYS, 429})
"""Statuses that words about a key add nothing to."""
_MONEY_STATUSES: Final = frozenset({*_OF_KEYS, 403})


def kind_by_key(status: int | None, names: Iterable[str | None], message: str) -> FailureKind | None:
    """Return `FailureKind.KEY` where a code says so; `REFUSED` where words do, or say that a 401 or 402 is not.

    Parameters
    ----------
    status : of HTTP, or the one that the error itself names
    names : the error's ``code``, ``type``, ``reason``
    message : str

    Returns
    -------
    FailureKind or None
        None: the status tells.

    Examples
    --------
    >>> kind_by_key(400, ["invalid_api_key"], "Incorrect API key provided").value
    'key'
    >>> kind_by_key(400, ["invalid_request_error"], "Your credit balance is too low").value
    'refused'
    >>> kind_by_key(402, [], "requires more credits, or fewer max_tokens").value
    'refused'
    >>> kind_by_key(400, [], "tool_choice: got 'invalid api key'; expected auto, none or required") is None
    True
    """
    said = unquoted(message)
    # Before the codes: a 402 for a max_tokens that is too dear must not put the key aside, whatever its code.
    if status in _MONEY_STATUSES and _OF_REQUEST.search(said):
        return FailureKind.REFUSED
    if not _CODES.isdisjoint((name or "").lower() for name in names):
        return FailureKind.KEY
    return FailureKind.REFUSED if status not in _PLAIN and _WORDS.search(said) else None


def is_limit_of_key(headers: Mapping[str, str], names: Iterable[str | None], message: str) -> bool:
    """Tell whether the provider says that a rate limit is for all models of a key; most limits are a model's.

    Examples
    --------
    >>> is_limit_of_key({}, [], "Rate limit reached for gpt-4o in organization org-1 on requests per day (RPD)")
    False
    >>> is_limit_of_key({}, [], "Rate limit reached in organization org-1 on requests per day (RPD)")
    True
    """
    scope = headers.get(_SCOPE, "").strip().lower()
    if scope:
        return scope in _WIDE_SCOPES
    # An underscore is a letter to \b, which would not find the word in 'organization_rate_limit_exceeded'.
    said = " ".join([unquoted(message), *((name or "").replace("_", " ") for name in names)])
    return _WIDE_LIMIT.search(said) is not None and _MODEL_LIMIT.search(said) is None


def unquoted(message: str) -> str:
    """Return a message without what it quotes, and without apostrophes.

    >>> unquoted("the account doesn't take 'x y', or `z`.")
    'the account doesn t take , or .'
    """
    # Apostrophes go first: that of "doesn't" would pair with the next quote and hide the words between.
    return _QUOTED.sub("", _CONTRACTED.sub(" ", message))
