"""Read a provider's whole chat completion, and write ours with ``model`` and cost."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.format import Facts
from router_model.serving.formats.openai.bodies import answer_object, text_or_none
from router_model.serving.formats.openai.choices import EXPLAINS_NOTHING_SAID, n_written, say_reasoning, says_something
from router_model.serving.formats.openai.failures import failure_in
from router_model.serving.formats.openai.finish import ERROR
from router_model.serving.formats.openai.tolerant import by_the_book
from router_model.serving.formats.openai.usage import read_usage, usage_json, written_usage
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Target


def read_chat_answer(content_type: str, content: bytes) -> tuple[Json, Facts]:
    """Return a chat completion, in the standard form, and its facts; ``finish_reason`` is the first choice's.

    Raises
    ------
    UpstreamFailure
        If it is an error all the same, malformed, or has nothing in it.
    """
    answer = by_the_book(answer_object(content_type, content))
    choices = _choices(answer)
    usage = usage_json(answer)
    facts = Facts(
        response_id=text_or_none(answer.get("id")),
        response_model=text_or_none(answer.get("model")),
        finish_reason=text_or_none(choices[0].get("finish_reason")),
        usage=None if usage is None else read_usage(usage),
        has_content=any(says_something(choice["message"]) for choice in choices),
        is_complete=True,
        n_bytes_written=sum(n_written(choice["message"]) for choice in choices),
    )
    if not facts.has_content and EXPLAINS_NOTHING_SAID.isdisjoint(
        text_or_none(choice.get("finish_reason")) for choice in choices
    ):
        raise UpstreamFailure(
            FailureKind.MALFORMED,
            f"the provider's answer is empty: no content, no tool call, finish_reason {facts.finish_reason!r}",
        )
    return answer, facts


def written_answer(answer: Json, facts: Facts, target: Target, extras: Mapping[str, Any]) -> Json:
    """Return an answer for the caller: our ``model``, ``usage`` with its cost, and `extras`."""
    usage = written_usage(usage_json(answer), facts, target.card)
    ours: Json = {"model": target.model} if usage is None else {"model": target.model, "usage": usage}
    for choice in answer.get("choices") or ():
        say_reasoning(choice.get("message"))
    return {"provider": target.provider.name, "system_fingerprint": None, **answer, **ours, **extras}


def _choices(answer: Json) -> list[Json]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise UpstreamFailure(FailureKind.MALFORMED, "the provider's answer has no choices; expected one at least")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise UpstreamFailure(FailureKind.MALFORMED, "a choice of the provider's answer has no message")
        if choice.get("error") or choice.get("finish_reason") == ERROR:
            raise failure_in(choice) or UpstreamFailure(
                FailureKind.SERVER, "the provider ended its answer with an error", status=502
            )
    return choices
