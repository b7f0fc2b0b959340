"""Translate Gemini's answer into a chat completion. Ids of tool calls are made up where Gemini leaves them out."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import orjson

from router_model.serving.formats.gemini.reader import block_reason, candidates_of, finish_reason_of, parts_of
from router_model.serving.formats.gemini.usage import read_usage
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings, number_of, text
from router_model.serving.formats.translations.google_finish import chat_finish
from router_model.serving.formats.translations.google_signatures import chat_signature
from router_model.serving.providers.usage import Usage

_LOWEST: Final = -9999.0
"""OpenAI's logprob of a token that is as good as impossible."""


@dataclass(slots=True)
class Said:
    """The content of an answer's parts.

    Attributes
    ----------
    content, reasoning : str
    calls, images : lists of OpenAI's tool calls, and of ``image_url`` parts
    signature : of the thought behind the text; empty if there is none
    """

    content: str = ""
    reasoning: str = ""
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    signature: str = ""

    def fields(self) -> Json:
        """Return the fields of a message, or of a delta, that are not empty."""
        fields: Json = {}
        if self.content:
            fields["content"] = self.content
        if self.reasoning:
            fields["reasoning_content"] = self.reasoning
        if self.calls:
            fields["tool_calls"] = self.calls
        if self.images:
            fields["images"] = self.images
        return fields | chat_signature(self.signature)


def said(parts: Iterable[Json], response_id: str | None, candidate: int, n_calls: int = 0) -> Said:
    """Return what parts say; `n_calls` tool calls of the candidate came before them."""
    result = Said()
    for part in parts:
        signature = text(part.get("thoughtSignature"))
        call = mapping(part.get("functionCall"))
        if call:
            position = n_calls + len(result.calls)
            made_up = made_up_id(response_id, candidate, position, call.get("name"), call.get("args"))
            result.calls.append(_call(call, made_up, signature))
            continue
        blob, words = mapping(part.get("inlineData")), text(part.get("text"))
        if blob:
            url = f"data:{blob.get('mimeType')};base64,{blob.get('data')}"
            result.images.append({"type": "image_url", "image_url": {"url": url}})
        if part.get("thought"):
            result.reasoning += words
        else:
            result.content += words
            result.signature = signature or result.signature
    return result


def chat_completion(answer: Json) -> Json:
    """Return a whole answer as a chat completion.

    Its ``finish_reason`` is OpenAI's; Google's own word is in ``native_finish_reason``, as OpenRouter has it.
    """
    response_id = text(answer.get("responseId")) or None
    choices = [_choice(candidate, response_id) for candidate in candidates_of(answer)]
    blocked = block_reason(answer)
    if blocked is not None and not choices:
        choices = [
            {"index": 0, "message": {"role": "assistant", "content": None, **refusal(blocked)}, **blocked_end(blocked)}
        ]
    completion: Json = {
        "id": response_id or made_up_id(choices),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": text(answer.get("modelVersion")),
        "choices": choices,
    }
    counts = answer.get("usageMetadata")
    return completion | ({"usage": _usage(read_usage(counts))} if isinstance(counts, dict) else {})


def refusal(reason: str) -> Json:
    """Return the field that says a prompt was blocked."""
    return {"refusal": f"the provider blocked the prompt: {reason}"}


def blocked_end(reason: str) -> Json:
    """Return how the choice of a blocked prompt ends."""
    return {"logprobs": None, "finish_reason": "content_filter", "native_finish_reason": reason}


def ending(reason: str | None, *, has_calls: bool) -> Json:
    """Return how a choice ends."""
    return {"finish_reason": chat_finish(reason, has_calls=has_calls), "native_finish_reason": reason}


def logprobs_of(candidate: Json) -> Json | None:
    """Return ``logprobs`` of a candidate's ``logprobsResult``; None if it has none.

    Examples
    --------
    >>> result = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}
    >>> logprobs_of({"logprobsResult": result})["content"]
    [{'token': 'a', 'logprob': -0.5, 'bytes': [97], 'top_logprobs': []}]
    """
    result = mapping(candidate.get("logprobsResult"))
    chosen = mappings(result.get("chosenCandidates"))
    if not chosen:
        return None
    # Padded, so that zip drops no token where Google leaves out the alternatives.
    others = [*mappings(result.get("topCandidates")), *[{}] * len(chosen)]
    content = [
        _token(one) | {"top_logprobs": [_token(other) for other in mappings(top.get("candidates"))]}
        for one, top in zip(chosen, others, strict=False)
    ]
    return {"content": content, "refusal": None}


def _choice(candidate: Json, response_id: str | None) -> Json:
    index = index_of(candidate)
    what = said(parts_of(candidate), response_id, index)
    message = {"role": "assistant", "content": None, "refusal": None} | what.fields()
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_of(candidate),
        **ending(finish_reason_of(candidate), has_calls=bool(what.calls)),
    }


def _call(call: Json, made_up: str, signature: str) -> Json:
    arguments = orjson.dumps(mapping(call.get("args"))).decode()
    made: Json = {
        "id": text(call.get("id")) or made_up,
        "type": "function",
        "function": {"name": text(call.get("name")), "arguments": arguments},
    }
    return made | chat_signature(signature)


def _token(one: Json) -> Json:
    token = text(one.get("token"))
    return {"token": token, "logprob": number_of(one.get("logProbability"), _LOWEST), "bytes": list(token.encode())}


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def made_up_id(*what: object) -> str:
    """Return an id that is the same for the same call.

    Examples
    --------
    >>> made_up_id("response", 0, 0, "weather", {}) == made_up_id("response", 0, 0, "weather", {})
    True
    >>> made_up_id("response", 0, 0, "weather", {}) == made_up_id("response", 0, 1, "weather", {})
    False
    """
    said = orjson.dumps(what, default=str, option=orjson.OPT_SORT_KEYS)
    return "call_" + blake2b(said, digest_size=12).hexdigest()
