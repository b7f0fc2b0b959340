"""Assemble the events of Google's stream into the response that a whole answer would have been."""

from typing import Any, Final

from router_model.serving.formats.format import Facts
from router_model.serving.formats.gemini.reader import candidates_of
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, number_of

_CONTINUED: Final = frozenset({"citationMetadata", "groundingMetadata", "logprobsResult", "urlContextMetadata"})
"""Objects of a candidate whose lists go on from event to event."""
_SIGNATURE: Final = "thoughtSignature"


class GenerateAssembler:
    """Puts one stream together (an `Assembler`).

    Every event is a whole response: counts are totals so far, texts are pieces, and other parts come whole.

    Examples
    --------
    >>> assembler = GenerateAssembler()
    >>> for piece in ("Hel", "lo"):
    ...     assembler.add({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}}]})
    >>> assembler.answer(Facts())["candidates"]
    [{'content': {'parts': [{'text': 'Hello'}], 'role': 'model'}}]
    """

    def __init__(self) -> None:
        self._answer: Json = {}
        self._candidates: dict[int, Json] = {}

    def add(self, event: Json) -> None:
        """Take the next event."""
        for name, value in event.items():
            if name == "usageMetadata":
                self._answer[name] = mapping(self._answer.get(name)) | mapping(value)
            elif name != "candidates" and (value is not None or name not in self._answer):
                self._answer[name] = value
        for candidate in candidates_of(event):
            self._add_candidate(self._candidates.setdefault(index_of(candidate), {}), candidate)

    def answer(self, facts: Facts) -> Json:  # noqa: ARG002  (the protocol's; Google's finish reasons stay as they came)
        """Return the response."""
        candidates = [_with_mean(self._candidates[index]) for index in sorted(self._candidates)]
        return self._answer | ({"candidates": candidates} if candidates else {})

    def _add_candidate(self, known: Json, new: Json) -> None:
        for name, value in new.items():
            if name == "content":
                known[name] = _joined_content(mapping(known.get(name)), mapping(value))
            elif name in _CONTINUED:
                known[name] = _continued(mapping(known.get(name)), mapping(value))
            elif value is not None or name not in known:
                known[name] = value


def _joined_content(known: Json, new: Json) -> Json:
    parts = list(known.get("parts") or ())
    for part in mappings(new.get("parts")):
        if parts and _goes_on(parts[-1], part):
            parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
        else:
            parts.append(part)
    content = known | new
    return content | {"parts": parts} if parts or "parts" in content else content


def _goes_on(last: Json, part: Json) -> bool:
    """Return whether a part is the next piece of a text; a text that has its signature is at its end."""
    texts = isinstance(last.get("text"), str) and isinstance(part.get("text"), str)
    alike = bool(last.get("thought")) is bool(part.get("thought"))
    return texts and alike and _SIGNATURE not in last and (_SIGNATURE not in part or not part["text"])


def _continued(known: Json, new: Json) -> Json:
    """Merge an event into an object: lists are appended, and other values are replaced."""
    continued = known | {name: value for name, value in new.items() if value is not None}
    for name, value in new.items():
        before = known.get(name)
        if isinstance(before, list) and isinstance(value, list):
            continued[name] = before + (value if name in _TOKENS else [one for one in value if one not in before])
    return continued


_TOKENS: Final = frozenset({"chosenCandidates", "topCandidates"})
"""Lists with one entry for each token, so that two equal entries are two tokens."""


def _with_mean(candidate: Json) -> Json:
    """Return a candidate; where tokens have log probabilities, their mean is that of all events together."""
    tokens: list[Any] = mappings(mapping(candidate.get("logprobsResult")).get("chosenCandidates"))
    if not tokens or "avgLogprobs" not in candidate:
        return candidate
    return candidate | {"avgLogprobs": sum(number_of(one.get("logProbability"), 0.0) for one in tokens) / len(tokens)}
