"""Write streams as Google does: every event is a whole response, the last has the usage; there is no ``[DONE]``."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.counts import count_of
from router_model.serving.formats.format import Facts
from router_model.serving.formats.gemini.error_body import stream_error
from router_model.serving.formats.gemini.reader import block_reason, candidates_of
from router_model.serving.formats.gemini.usage import write_usage
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.failures import UpstreamFailure
from router_model.serving.providers.provider import Target


class GeminiWriter:
    """Writes one stream.

    From the first event on that says why a candidate ended, one event is held back, so that usage, cost and extras are
    on the last, where Google's clients look for them.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._held: Json | None = None

    def write(self, event: Json) -> list[bytes]:
        """Return events, ready to be sent."""
        event = event | {"modelVersion": self._target.model}
        if self._held is None and not _ends(event):
            return [_line(event)]
        released = [] if self._held is None else [_line(self._held)]
        self._held = event
        return released

    def end(self, facts: Facts, extras: Mapping[str, Any]) -> list[bytes]:
        """Return the last event, with usage, cost and `extras`."""
        last, self._held = self._held or {"modelVersion": self._target.model}, None
        return [_line(with_usage(last, facts) | dict(extras))]

    def fail(self, failure: UpstreamFailure) -> list[bytes]:
        """Return what was held back, without its end, and an error event."""
        held, self._held = self._held, None
        # With its finish reason a client would take the answer for whole.
        released = [] if held is None else [_line(_without_end(held))]
        return [*released, _line(stream_error(failure))]


def with_usage(answer: Json, facts: Facts) -> Json:
    """Return an answer with usage and its cost in USD; other counts of the provider stay.

    Examples
    --------
    >>> from router_model.serving.providers.usage import Usage
    >>> with_usage({"responseId": "r"}, Facts(usage=Usage(3, 2), cost_usd=0.01))["usageMetadata"]
    {'promptTokenCount': 3, 'candidatesTokenCount': 2, 'totalTokenCount': 5, 'cost': 0.01}
    """
    if facts.usage is None:
        return answer
    said = mapping(answer.get("usageMetadata"))
    counts = said | write_usage(facts.usage)
    if tools := min(count_of(said.get("toolUsePromptTokenCount")), facts.usage.input_tokens):
        counts["promptTokenCount"] -= tools  # Google's count of the prompt does not include these
        counts["toolUsePromptTokenCount"] = tools
    estimated = {"estimated": list(facts.estimated)} if facts.estimated else {}
    return answer | {"usageMetadata": counts | {"cost": facts.cost_usd} | estimated}


def _ends(event: Json) -> bool:
    return block_reason(event) is not None or any(one.get("finishReason") for one in candidates_of(event))


def _without_end(event: Json) -> Json:
    candidates = [{k: v for k, v in one.items() if k != "finishReason"} for one in candidates_of(event)]
    return event | {"candidates": candidates}


def _line(event: Json) -> bytes:
    return b"data: " + dump(event) + b"\r\n\r\n"
