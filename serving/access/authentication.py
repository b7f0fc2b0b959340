"""Authenticate requests: find the `Caller` by the key in the headers, or refuse.

Each route states in its function which role it needs. Nothing here looks at the path, the host or a forwarded header,
so no spelling of a URL can avoid the check (CVE-2026-48710 and similar). A route calls `Access.authenticate` before it
reads the body, because an unauthorised caller should not cost more than its headers. A FastAPI dependency would not
do, because FastAPI reads the body first.

`Access` is made once, and used from the event loop only.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from router_model.serving.access.admission import Admission
from router_model.serving.access.budgets import BudgetMeter, Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.access.keyring import Keyring
from router_model.serving.access.keys import Key
from router_model.serving.access.ledger import Balance
from router_model.serving.access.limits import Limits, Standing
from router_model.serving.common.callers import INSECURE, Caller, Role
from router_model.serving.common.service_errors import ForbiddenError, RateLimitedError, UnauthenticatedError
from router_model.serving.common.settings import BudgetFailure, Settings

RESPONSE_HEADERS: Final = "router.response_headers"
"""In the ASGI scope: a list of headers that `router_model.serving.http_edge.guard` adds to every answer."""
KEY_ID: Final = "router.key_id"
"""In the ASGI scope: the id of the key that asks, once it is known."""

_CHALLENGE: Final = {"www-authenticate": "Bearer"}
_HOW: Final = "send 'Authorization: Bearer rm_...', 'x-api-key: rm_...' or 'x-goog-api-key: rm_...'"
_KEY_HEADERS: Final = frozenset({b"x-api-key", b"x-goog-api-key", b"api-key"})
"""The headers in which Anthropic's, Google's and Azure's SDKs send the key."""
CREDENTIALS: Final = _KEY_HEADERS | {b"authorization"}


def _caller(key: Key) -> Caller:
    return Caller(key.id, key.roles, key.router)


class Access:
    """Decides what each caller may do.

    Parameters
    ----------
    keyring : Keyring or None
        None: the service runs without keys, on loopback; everybody is `INSECURE`.
    limits : Limits or None
        None: the limits of the keys, and the defaults.
    budgets : Budgets or None
        None: there are no budgets.

    Attributes
    ----------
    usual_concurrent : callable or None
        Returns how many calls of models a key may have under way if its entry gives no number; None: any number.
    """

    def __init__(self, keyring: Keyring | None, limits: Limits | None = None, budgets: Budgets | None = None) -> None:
        self._keyring = keyring
        self._limits = limits or Limits()
        self._budgets = budgets
        self._generation = 0
        self.usual_concurrent: Callable[[], int] | None = None

    @classmethod
    def of(cls, settings: Settings, keyring: Keyring | None, meter: BudgetMeter | None = None) -> "Access":
        """Build the settings' access control; `keyring` comes from `router_model.serving.access.start.check_access`.

        Raises
        ------
        SettingsError
            If there is a budget, and its file cannot be used.
        """
        limits = Limits(
            requests_per_minute=settings.requests_per_minute,
            feedback_per_day=settings.feedback_per_day,
            workers=settings.workers,
        )
        # By `repr`: `Decimal(0.1)` would be the float's binary fraction, not the amount that was set.
        service = None if settings.budget_usd is None else KeyBudget(Decimal(repr(settings.budget_usd)), Per.DAY)
        fails_open = settings.budget_failure is BudgetFailure.OPEN
        budgets = Budgets(settings.budget_file, service=service, meter=meter, fails_open=fails_open)
        keys = () if keyring is None else keyring.all_keys
        budgets.open(needed=any(key.budget is not None and key.revoked is None for key in keys))
        return cls(keyring, limits, budgets)

    def authenticate(self, scope: MutableMapping[str, Any], *roles: Role) -> Caller:
        """Return the caller, if it has one of `roles`, and count the request.

        Parameters
        ----------
        scope : ASGI scope
        *roles : Role
            One of them is enough. With ``feedback`` among them, the request counts as one of the key's feedback of the
            day, too.

        Raises
        ------
        UnauthenticatedError
            If there is no key, an unknown one, one that was revoked or has expired, or two different ones.
        ForbiddenError
            If the key lacks the role.
        RateLimitedError
            If the key has used up its share.
        """
        if self._keyring is None:
            return INSECURE
        key = self._key(credential_of(scope["headers"]), self._keyring)
        scope[KEY_ID] = key.id
        if key.roles.isdisjoint(roles):
            own, needed = ", ".join(one for one in Role if one in key.roles), " or ".join(roles)
            raise ForbiddenError(f"key {key.id} has the roles: {own}; this needs: {needed}; use a key with that")
        self._count(key, roles, scope)
        return _caller(key)

    @property
    def has_keys(self) -> bool:
        """Whether callers need a key; else everybody is `INSECURE`."""
        return self._keyring is not None

    def identify(self, credential: bytes) -> Caller:
        """Return the caller whose key's text this is, as a person typed it.

        Raises
        ------
        UnauthenticatedError
            If it is no key of this service, or one that was revoked or has expired.
        """
        if self._keyring is None:
            return INSECURE
        return _caller(self._key(credential, self._keyring))

    def caller(self, key_id: str) -> Caller | None:
        """Return the caller with a key's id, with the roles that the key has now; None: unknown, or it has ended."""
        if self._keyring is None:
            return None
        self._keyring.keep_current()
        key = self._keyring.get(key_id)
        return None if key is None or key.ended(datetime.now(UTC)) else _caller(key)

    def key_name(self, key_id: str) -> str:
        """Return what people call a key; its id, if it is not known."""
        key = None if self._keyring is None else self._keyring.get(key_id)
        return key_id if key is None else key.name

    @property
    def key_names(self) -> dict[str, str]:
        """What people call the keys, by their ids; revoked ones, too."""
        return {} if self._keyring is None else {key.id: key.name for key in self._keyring.all_keys}

    def derived_secret(self, purpose: bytes) -> bytes | None:
        """Derive a secret of the keyring's for another purpose; None without keys."""
        return None if self._keyring is None else self._keyring.derived_secret(purpose)

    def admit(
        self, scope: MutableMapping[str, Any], caller: Caller, worst_usd: Callable[[], Decimal], *, within_s: float
    ) -> Admission:
        """Admit a caller's call of a model, if a slot is free, and reserve what the call may cost.

        Parameters
        ----------
        scope : ASGI scope
            The answer gets the headers of the key's budget.
        caller : as authenticated
        worst_usd : the worst case in USD (`router_model.serving.providers.worst_case`); computed only if
            there is a budget
        within_s : seconds
            After which the call has ended at the latest.

        Returns
        -------
        Admission
            To be ended by its `settle` or `release`, once, whatever happens.

        Raises
        ------
        RateLimitedError
            If the key has reached its limit of calls under way.
        BudgetExceededError
            If the worst case is more than is left.
        NotReadyError
            If the budgets cannot be read now.
        """
        key = None if self._keyring is None else self._keyring.get(caller.key_id)
        admission = Admission()
        if key is not None:
            limit = key.max_concurrent or (self.usual_concurrent() if self.usual_concurrent is not None else None)
            if limit is not None:
                self._begin_call(key, limit, admission)
        if self._budgets is not None:
            try:
                budget = None if key is None else key.budget
                reservation = self._budgets.reserve(caller.key_id, budget, worst_usd, within_s=within_s)
            except BaseException:
                # The caller never gets this admission, so nobody else could give its slot back.
                admission.release()
                raise
            if reservation is not None:
                admission.reservation = reservation
                _add_headers(scope, reservation.headers)
        return admission

    def standing(self, caller: Caller) -> tuple[str, KeyBudget | None, Balance | None]:
        """Return the name of a caller's key, its budget, and what is spent of that; None where there is no budget."""
        key = None if self._keyring is None else self._keyring.get(caller.key_id)
        if key is None or key.budget is None or self._budgets is None:
            return caller.key_id if key is None else key.name, None, None
        return key.name, key.budget, self._budgets.balance(key.id, key.budget)

    def expires(self, caller: Caller) -> datetime | None:
        """Return when a caller's key ends, in UTC; None: never."""
        key = None if self._keyring is None else self._keyring.get(caller.key_id)
        return None if key is None else key.expires

    def standings(self) -> list[tuple[str, KeyBudget, Balance]]:
        """Return whose budget is how far spent: of each key that has one, and of the service (`SERVICE`).

        Raises
        ------
        LedgerError
            If the file of budgets cannot be used now.
        """
        keys = () if self._keyring is None else self._keyring.all_keys
        return (
            []
            if self._budgets is None
            else self._budgets.standings(
                [(key.id, key.budget) for key in keys if key.budget is not None and key.revoked is None]
            )
        )

    def close(self) -> None:
        """Close the budgets' file."""
        if self._budgets is not None:
            self._budgets.close()

    def _begin_call(self, key: Key, limit: int, admission: Admission) -> None:
        if not self._limits.begin_call(key.id, limit):
            raise RateLimitedError(
                f"key {key.id} has reached its limit of {limit} calls under way; wait until one has ended",
                headers={"retry-after": "1"},
            )
        admission.on_end = lambda: self._limits.end_call(key.id)

    def count_more(self, caller: Caller, n: int) -> None:
        """Count `n` more requests of a caller, besides the authenticated one: a batch counts as many as it contains.

        Raises
        ------
        RateLimitedError
            If the key has used up its share; requests counted until then stay counted.
        """
        keys = () if self._keyring is None else self._keyring.all_keys
        for key in keys:
            if key.id == caller.key_id:
                for _ in range(n):
                    standing = self._limits.take_request(key.id, key.requests_per_minute)
                    if standing is not None and not standing.allowed:
                        raise _used_up(key, standing, "requests a minute")

    def count_feedback(self, caller: Caller) -> None:
        """Count a judgement that came by a form of the console, whose request was counted.

        Raises
        ------
        RateLimitedError
            If the key has used up its share of feedback.
        """
        key = None if self._keyring is None else self._keyring.get(caller.key_id)
        if key is not None:
            self._take_feedback(key)

    def _key(self, credential: bytes, keyring: Keyring) -> Key:
        key = keyring.find(credential)
        if keyring.generation != self._generation:
            self._generation = keyring.generation
            self._limits.forget_others(frozenset(key.id for key in keyring.all_keys))
        if key is None:
            raise UnauthenticatedError(
                "the key is not one of this service's; check that it was copied completely", headers=_CHALLENGE
            )
        ended = key.ended(datetime.now(UTC))
        if ended is not None:  # only the key's owner can read this message, because nobody else has the whole key
            raise UnauthenticatedError(f"key {key.id} {ended}", headers=_CHALLENGE)
        return key

    def _count(self, key: Key, roles: tuple[Role, ...], scope: MutableMapping[str, Any]) -> None:
        standing = self._limits.take_request(key.id, key.requests_per_minute)
        if standing is not None:
            if not standing.allowed:
                raise _used_up(key, standing, "requests a minute")
            _add_headers(scope, standing.headers())
        if Role.FEEDBACK in roles:
            self._take_feedback(key)

    def _take_feedback(self, key: Key) -> None:
        standing = self._limits.take_feedback(key.id, key.feedback_per_day)
        if not standing.allowed:
            raise _used_up(key, standing, "feedback a day (UTC)")


def _add_headers(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
    extra = scope.get(RESPONSE_HEADERS)
    if extra is not None:
        extra.extend((name.encode(), value.encode()) for name, value in headers.items())


def _used_up(key: Key, standing: Standing, unit: str) -> RateLimitedError:
    headers = standing.headers()
    return RateLimitedError(
        f"key {key.id} has used up its {standing.limit} {unit}; try again in {headers['retry-after']} s",
        headers=headers,
    )


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the one credential in a request's headers.

    Raises
    ------
    UnauthenticatedError
        If there is none, two different ones, or an ``Authorization`` that is not ``Bearer``.

    Examples
    --------
    >>> credential_of([(b"host", b"localhost"), (b"authorization", b"Bearer rm_abc")])
    b'rm_abc'
    """
    credential = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise UnauthenticatedError(
                    f"the Authorization header is not of the form Bearer; {_HOW}", headers=_CHALLENGE
                )
            given = given.strip()
        elif name in _KEY_HEADERS:
            given = value
        else:
            continue
        if credential is not None and credential != given:
            raise UnauthenticatedError("the request has two different keys; send one", headers=_CHALLENGE)
        credential = given
    if not credential:
        raise UnauthenticatedError(f"the request has no key; {_HOW}", headers=_CHALLENGE)
    return credential
