"""Remember the last answers of this process by their ids, for clients that ask what one has cost."""

from collections import OrderedDict
from typing import Final

from router_model.serving.decision_log.log_records import AttemptRecord

_MOST: Final = 10_000


class RecentCalls:
    """The attempts that answered, by the provider's id of the answer and the caller's key; the last ones alone."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str | None], AttemptRecord] = OrderedDict()

    def observe(self, record: AttemptRecord) -> None:
        """Take note of an attempt that is over."""
        if record.error_type is None and record.response_id:
            self._attempts[record.response_id, record.key_id] = record
            if len(self._attempts) > _MOST:
                self._attempts.popitem(last=False)

    def get(self, response_id: str, key_id: str) -> AttemptRecord | None:
        """Return an attempt of a key's; None if it is not there, or another key's."""
        return self._attempts.get((response_id, key_id))
