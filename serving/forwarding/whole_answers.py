"""Decide which whole answers are asked for as streams; remember the providers for which that fails."""

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from router_model.serving.formats.assembling import streams_say_all
from router_model.serving.formats.format import Call
from router_model.serving.formats.worst_cases import asked_for
from router_model.serving.forwarding.deadlines import clock
from router_model.serving.forwarding.thinking import Thinking, thinking_of
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind, Target

_AGAIN_S: Final = 3600.0
"""After so long it is tried once more: OpenAI, for one, streams some models to verified organisations only."""
_MOST: Final = 1_000
_SHORT_TOKENS: Final = 128
"""So many take 7 s at 18 a second, which is slow (`PatienceRules.short`)."""
_STREAM: Final = re.compile(r"\bstream", re.IGNORECASE)
"""Not within a word: proxies speak of an "upstream" that does not answer, which says nothing of streams."""
_REFUSING: Final = frozenset(
    {FailureKind.BAD_REQUEST, FailureKind.REFUSED, FailureKind.MODEL_GONE, FailureKind.KEY, FailureKind.SERVER}
)
_NOT_SERVED: Final = frozenset({405, 406, 501})
"""Statuses that by themselves say that the provider does not offer streams."""


@dataclass(slots=True)
class WholeAnswers:
    """Remembers the providers that should not be asked for a stream in place of a whole answer.

    Attributes
    ----------
    plain_until : by (provider, their model), until when
    """

    plain_until: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict)

    def by_stream(self, call: Call, target: Target) -> bool:
        """Return whether a call that wants a whole answer asks the candidate for a stream."""
        return call.stream or (self.streams(target) and streams_say_all(call) and not is_short(call, target))

    def streams(self, target: Target) -> bool:
        """Return whether the candidate may be asked for streams where whole answers are wanted."""
        provider = target.provider
        if not provider.stream_whole_answers or provider.kind is Kind.ECHO:
            return False
        return self.plain_until.get(_key(target), 0.0) <= clock()

    def ask_plainly(self, target: Target) -> None:
        """Ask the candidate for whole answers as such, for an hour."""
        if len(self.plain_until) >= _MOST:
            self.plain_until.popitem(last=False)
        self.plain_until[_key(target)] = clock() + _AGAIN_S


def is_short(call: Call, target: Target) -> bool:
    """Return whether an answer is whole soon after its first token: it may not be long, and nothing is thought before.

    Then a stream shows nothing earlier, and costs both sides work for each token. Where the operator has set a deadline
    to the first token, it is kept to.
    """
    if target.provider.deadlines.first_token_s is not None:
        return False
    most, n_answers = asked_for(call)
    return most is not None and most * n_answers <= _SHORT_TOKENS and thinking_of(call, target) is Thinking.NONE


def refuses_stream(failure: UpstreamFailure) -> bool:
    """Return whether a failure is about the stream that was asked for, not about what was asked.

    Examples
    --------
    >>> refuses_stream(UpstreamFailure(FailureKind.BAD_REQUEST, "Unsupported value", status=400, param="stream"))
    True
    >>> refuses_stream(UpstreamFailure(FailureKind.BAD_REQUEST, "temperature must be at most 2", status=400))
    False
    """
    if failure.status in _NOT_SERVED:
        return True
    said = f"{failure.param} {failure.code} {failure.message}"
    return failure.kind in _REFUSING and failure.status is not None and _STREAM.search(said) is not None


def _key(target: Target) -> tuple[str, str]:
    return target.provider.name, target.upstream_model
