"""Carry signatures of thoughts in ``extra_content.google``, as Google's own OpenAI-compatible endpoint does.

Gemini 3 wants those of tool calls back; a client of OpenAI's format that keeps unknown fields of messages gives them.
"""

from router_model.serving.formats.shapes import Json, mapping, text


def signature_in(value: Json) -> str:
    """Return the signature that a message or a tool call carries; empty if it has none.

    >>> signature_in({"extra_content": {"google": {"thought_signature": "c2ln"}}}), signature_in({})
    ('c2ln', '')
    """
    return text(mapping(mapping(value.get("extra_content")).get("google")).get("thought_signature"))


def chat_signature(signature: str) -> Json:
    """Return the field of a message or a tool call for a signature; none for an empty one."""
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def part_signature(signature: str) -> Json:
    """Return the field of Gemini's part for a signature; none for an empty one."""
    return {"thoughtSignature": signature} if signature else {}
