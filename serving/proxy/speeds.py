"""Remember how fast each provider of a model was lately, for ``sort: throughput`` and ``sort: latency``."""

from dataclasses import dataclass
from typing import Final

from router_model.serving.common.remembered import Remembered
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.providers.provider import Target

_SHARE: Final = 0.2
"""Weight of the newest call in the running mean."""
_MOST: Final = 2_000


@dataclass(slots=True)
class _Seen:
    first_s: float | None = None
    whole_s: float | None = None
    tokens_per_s: float | None = None


class Speeds:
    """Running means over successful calls, in this process.

    Examples
    --------
    A mean of 1 s moves by a fifth of the way to 2 s:

    >>> 1.0 + _SHARE * (2.0 - 1.0)
    1.2
    """

    def __init__(self) -> None:
        self._seen: Remembered[tuple[str | None, str | None], _Seen] = Remembered(_Seen, most=_MOST)

    def observe(self, record: AttemptRecord) -> None:
        """Take note of an attempt that is over."""
        if record.error_type is not None or not record.latency_s:
            return
        seen = self._seen.of((record.provider, record.model))
        # Apart, or a provider that gets many calls that are asked for as a whole would seem slow to begin.
        if record.first_token_s is None:
            seen.whole_s = _mean(seen.whole_s, record.latency_s)
        else:
            seen.first_s = _mean(seen.first_s, record.first_token_s)
        if record.output_tokens:
            seen.tokens_per_s = _mean(seen.tokens_per_s, record.output_tokens / record.latency_s)

    def first_s(self, target: Target) -> float:
        """Return the mean time to the first token; where no stream was seen, to a whole answer; infinite if unknown."""
        seen = self._of(target) or _Seen()
        known = (one for one in (seen.first_s, seen.whole_s) if one is not None)
        return next(known, float("inf"))

    def tokens_per_s(self, target: Target) -> float:
        """Return the mean throughput; 0 if unknown."""
        seen = self._of(target)
        return 0.0 if seen is None or seen.tokens_per_s is None else seen.tokens_per_s

    def _of(self, target: Target) -> _Seen | None:
        return self._seen.get((target.provider.name, target.model))


def _mean(before: float | None, new: float) -> float:
    return new if before is None else before + _SHARE * (new - before)
