"""Read a provider's Responses, whole and in events."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Event, Facts
from router_model.serving.formats.json_text import load_object
from router_model.serving.formats.openai.bodies import answer_object, text_or_none
from router_model.serving.formats.openai.failures import failure_in
from router_model.serving.formats.openai.usage import read_usage
from router_model.serving.formats.responses.response_object import outputs
from router_model.serving.formats.shapes import Json, mapping, mappings, n_bytes, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.done"})
"""Types of the last event; the last of them is OpenRouter's."""
BEGINS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_NOTHING: Final = frozenset({b"", b"null", b"{}", b"[DONE]"})
_PINGS: Final = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
_WORDS: Final = ("text", "refusal", "name", "arguments", "input", "code")
_SAYS_LITTLE: Final = frozenset({"message", "reasoning"})
"""Types of items that say nothing by beginning."""


class ResponsesReader:
    """Reads the events of one stream (an `EventReader`); complete once the whole response has come.

    Attributes
    ----------
    facts : Facts
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._begun_items: set[object] = set()

    def read(self, event: Event) -> Json | None:
        """Return the event's JSON; None of one that says nothing.

        Raises
        ------
        UpstreamFailure
            If it is an error, the response failed, or it is no event of Responses.
        """
        data = event.data.strip()
        if self.facts.is_complete or data in _NOTHING:
            return None
        content = load_object(data, "event of the stream")
        if content.get("object") == "response" and "type" not in content:  # a whole answer in place of a stream
            content = {"type": f"response.{content.get('status') or 'completed'}", "response": content}
        type_ = text(content.get("type")) or event.name
        if type_ in _PINGS:
            return None
        if type_ == "error" or (not type_ and content.get("error")):
            raise _failure(content.get("error") or content)
        if not type_:
            raise UpstreamFailure(FailureKind.MALFORMED, "an event of the provider's stream has no 'type'")
        content["type"] = type_
        response = content.get("response")
        if isinstance(response, dict):
            self._note_response(response, is_last=type_ in ENDS)
        elif type_ in ENDS:
            raise UpstreamFailure(FailureKind.MALFORMED, f"the provider's event {type_[:50]!r} has no 'response'")
        else:
            self._note_piece(content)
        return content

    def end(self) -> list[Json]:
        """Return nothing: all has been said when it came."""
        return []

    def _note_response(self, response: Json, *, is_last: bool) -> None:
        facts = self.facts
        facts.response_id = facts.response_id or text_or_none(response.get("id"))
        facts.response_model = facts.response_model or text_or_none(response.get("model"))
        if is_last:
            whole = facts_of(response)
            facts.usage, facts.finish_reason = whole.usage, whole.finish_reason
            facts.has_content |= whole.has_content
            facts.n_bytes_written = max(facts.n_bytes_written, whole.n_bytes_written)
            facts.is_complete = True
            if not facts.has_content and facts.finish_reason == "completed":
                raise _empty()

    def _note_piece(self, content: Json) -> None:
        delta = content.get("delta")
        self.facts.n_bytes_written += n_bytes(text(delta))
        item = mapping(content.get("item"))
        # An item comes twice, when it begins and when it is done; its name counts once.
        if content["type"] == "response.output_item.added" and text(item.get("id")) not in self._begun_items:
            self._begun_items.add(text(item.get("id")))
            self.facts.n_bytes_written += n_bytes(text(item.get("name")))
            self.facts.has_content |= text(item.get("type")) not in _SAYS_LITTLE
        if delta or content["type"] == "response.output_item.done":
            self.facts.has_content |= bool(delta) or says_something(item)


def read_response(content_type: str, content: bytes) -> tuple[Json, Facts]:
    """Return a whole response and what it says about itself.

    Raises
    ------
    UpstreamFailure
        If it failed, is not over yet, has nothing in it, or is no response.
    """
    answer = answer_object(content_type, content)
    if not isinstance(answer.get("output"), list):
        raise UpstreamFailure(FailureKind.MALFORMED, "the provider's answer has no 'output'; expected a response")
    facts = facts_of(answer)
    if not facts.has_content and facts.finish_reason == "completed":
        raise _empty()
    return answer, facts


def facts_of(response: Json) -> Facts:
    """Return the facts of a response that is over; the reason is why it is incomplete, or its status.

    Raises
    ------
    UpstreamFailure
        If it failed or is not over.
    """
    status = text(response.get("status")) or "completed"
    if status == "failed" or (status != "incomplete" and response.get("error")):
        raise _failure(response.get("error"))
    if status not in ("completed", "incomplete"):
        raise UpstreamFailure(
            FailureKind.MALFORMED, f"the provider's response is {status[:50]!r}; expected one that is over"
        )
    items = outputs(response)
    usage = response.get("usage")
    reason = text(mapping(response.get("incomplete_details")).get("reason"))
    return Facts(
        response_id=text_or_none(response.get("id")),
        response_model=text_or_none(response.get("model")),
        finish_reason=reason or status,
        usage=read_usage(usage) if usage and isinstance(usage, dict) else None,
        has_content=any(map(says_something, items)),
        is_complete=True,
        n_bytes_written=sum(map(_n_written, items)),
    )


def says_something(item: Mapping[str, Any]) -> bool:
    """Tell whether an item has more in it than empty texts."""
    if text(item.get("type")) not in _SAYS_LITTLE:
        return bool(item)
    parts = mappings(item.get("content")) + mappings(item.get("summary"))
    return bool(item.get("encrypted_content")) or any(part.get(name) for part in parts for name in _WORDS)


def _n_written(item: Json) -> int:
    parts = [item, *mappings(item.get("content")), *mappings(item.get("summary"))]
    return sum(n_bytes(text(part.get(name))) for part in parts for name in _WORDS)


def _failure(error: object) -> UpstreamFailure:
    failure = failure_in({"error": error if isinstance(error, dict) and error else "the provider's response failed"})
    return failure or _empty()


def _empty() -> UpstreamFailure:
    return UpstreamFailure(FailureKind.MALFORMED, "the provider's answer is empty: a response without any output")
