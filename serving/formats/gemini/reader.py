"""Read Gemini's answers: each event of a stream is a `GenerateContentResponse`, as a whole answer is."""

from router_model.serving.formats.counts import later_counts
from router_model.serving.formats.format import Event, Facts
from router_model.serving.formats.gemini.failures import failure_in
from router_model.serving.formats.gemini.finish import BROKEN, MAY_BE_EMPTY, UNSPECIFIED
from router_model.serving.formats.gemini.tolerant import by_the_book
from router_model.serving.formats.gemini.usage import read_usage
from router_model.serving.formats.json_text import dump, load_object
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, n_bytes, text
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_SHOWN_CHARS = 300
_NOTHING = frozenset({b"", b"null", b"{}"})


class GeminiReader:
    """Reads one answer, and keeps its facts.

    It is complete once every candidate that has begun has said why it ended, or the prompt was blocked. Where one goes
    on after that, its reasons say nothing, and the end of the body is waited for. Gemini has no ``[DONE]``; where a
    relay adds it after the usage, candidates that did not say why they ended have stopped. So have those whose last
    words are a call of a function, once the body has ended: calls come whole, and Google's own client does not ask for
    a reason after one (``docs/decisions/0074-streams-without-a-reason.md``).

    An answer that stopped with nothing in it gets no finish reason, so that it is taken for the failure it is; one that
    ends in a broken tool call is a failure at once.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._counts: Json = {}
        self._reasons: dict[int, str] = {}
        self._begun: set[int] = set()
        self._called: set[int] = set()
        """Candidates whose last words are a call of a function."""
        self._goes_on = False
        """Whether one went on after it had said why it ended."""
        self._blocked: str | None = None

    def read(self, event: Event) -> Json | None:
        """Return the event's response; of the ``[DONE]`` that some relays add the end that was not said, if any.

        Raises
        ------
        UpstreamFailure
            If it is an error, or is malformed, or says that the answer is broken.
        """
        data = event.data.strip()
        if data == b"[DONE]":
            return self._done()
        if data in _NOTHING:
            return None
        response = parsed(event.data, "event of the stream")
        self.take(response)
        return response

    def _done(self) -> Json | None:
        self._goes_on = False
        self._conclude()
        open_ = self._begun - self._reasons.keys()
        if not open_ or self.facts.usage is None or not self.facts.has_content:
            return None
        return self._stopped(open_)

    def _stopped(self, candidates: set[int]) -> Json:
        response = {"candidates": [{"index": index, "finishReason": "STOP"} for index in sorted(candidates)]}
        self.take(response)
        return response

    def end(self) -> list[Json]:
        """Return the end of candidates that did not say it, where it is known once the body has ended."""
        self._goes_on = False
        open_ = self._begun - self._reasons.keys()
        if open_ and open_ <= self._called:
            return [self._stopped(open_)]
        self._conclude()
        return []

    def take(self, response: Json) -> None:
        """Note what one response says.

        Raises
        ------
        UpstreamFailure
            If it says that the answer is broken.
        """
        facts = self.facts
        facts.response_id = text(response.get("responseId")) or facts.response_id
        facts.response_model = text(response.get("modelVersion")) or facts.response_model
        counts = response.get("usageMetadata")
        if isinstance(counts, dict):
            self._counts = later_counts(self._counts, counts)  # the last need not repeat the prompt's
            facts.usage = read_usage(self._counts)
        for candidate in candidates_of(response):
            self._take_candidate(candidate)
        self._blocked = block_reason(response) or self._blocked
        self._conclude()

    def _take_candidate(self, candidate: Json) -> None:
        index = index_of(candidate)
        self._begun.add(index)
        parts = parts_of(candidate)
        telling = [part for part in parts if _says_something(part)]
        if telling:
            self._goes_on |= index in self._reasons
            (self._called.add if "functionCall" in telling[-1] else self._called.discard)(index)
        self.facts.has_content |= bool(telling)
        self.facts.n_bytes_written += sum(map(_n_written, parts))
        reason = finish_reason_of(candidate)
        if reason in BROKEN:
            said = text(candidate.get("finishMessage"))
            raise UpstreamFailure(
                FailureKind.MALFORMED,
                f"the model's answer broke off with {reason}" + (f": {said[:_SHOWN_CHARS]}" if said else ""),
                code=reason,
            )
        if reason is not None:
            # The last one counts: some of Google's models say a reason with every event.
            self._reasons[index] = reason

    def _conclude(self) -> None:
        facts = self.facts
        reason = self._blocked or next((self._reasons[index] for index in sorted(self._reasons)), None)
        have_ended = bool(self._begun) and self._begun == self._reasons.keys() and not self._goes_on
        facts.is_complete = self._blocked is not None or have_ended
        facts.finish_reason = reason if facts.has_content or self._blocked or reason in MAY_BE_EMPTY else None


def parsed(content: bytes, what: str) -> Json:
    """Return a response in the standard form; Google puts errors into a list if no stream of events was asked for.

    Parameters
    ----------
    content : bytes
    what : str
        What it should be, for the message.

    Raises
    ------
    UpstreamFailure
        If it is an error, in a list or not, or no JSON object.

    Examples
    --------
    >>> parsed(b'[{"responseId": "r"}]', "answer")
    {'responseId': 'r'}
    """
    content = content.strip()
    response = load_object(content[1:-1] if content.startswith(b"[") and content.endswith(b"]") else content, what)
    if response.get("error"):
        raise failure_in(response["error"])
    return by_the_book(response)


def candidates_of(response: Json) -> list[Json]:
    """Return the candidates.

    >>> candidates_of({"candidates": [{"index": 0}, None]})
    [{'index': 0}]
    """
    return mappings(response.get("candidates"))


def parts_of(candidate: Json) -> list[Json]:
    """Return the parts of a candidate's content.

    >>> parts_of({"content": {"parts": [{"text": "hi"}]}}), parts_of({"finishReason": "SAFETY"})
    ([{'text': 'hi'}], [])
    """
    return mappings(mapping(candidate.get("content")).get("parts"))


def finish_reason_of(candidate: Json) -> str | None:
    """Return why a candidate ended; None if it has not.

    >>> finish_reason_of({"finishReason": "STOP"}), finish_reason_of({"finishReason": "FINISH_REASON_UNSPECIFIED"})
    ('STOP', None)
    """
    reason = text(candidate.get("finishReason"))
    return None if reason in UNSPECIFIED else reason


def block_reason(response: Json) -> str | None:
    """Return why the prompt was blocked; None if it was not.

    >>> block_reason({"promptFeedback": {"blockReason": "SAFETY"}}), block_reason({"candidates": []})
    ('SAFETY', None)
    """
    reason = text(mapping(response.get("promptFeedback")).get("blockReason"))
    return None if reason in UNSPECIFIED else reason


def _n_written(part: Json) -> int:
    """Return how many bytes of text a part adds to the answer: words, thoughts, code, and arguments of tools."""
    call, code = mapping(part.get("functionCall")), mapping(part.get("executableCode"))
    said = (text(part.get("text")), text(call.get("name")), text(code.get("code")))
    return sum(map(n_bytes, said)) + (len(dump(call["args"])) if call.get("args") else 0)


def _says_something(part: Json) -> bool:
    """Whether a part is more than a signature, or an empty text."""
    return any(value and name not in {"thought", "thoughtSignature"} for name, value in part.items())
