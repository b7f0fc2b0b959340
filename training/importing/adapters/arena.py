"""Read Chatbot Arena's battles and votes in the same format: which of two models answered better.

The prompt is what the user wrote. In a conversation of several turns, each model saw its own answers, so these are not
part of the prompt. Both models must have the same prompt.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.conversion import (
    ADVICE,
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    present,
)
from router_model.training.importing.problems import RecordError, shown
from router_model.training.importing.votes import TIE, vote_rows

_QUALITIES: Final = {
    "model_a": (1.0, 0.0),
    "model_b": (0.0, 1.0),
    "tie": (TIE, TIE),
    "tie (bothbad)": (0.0, 0.0),
    "both_bad": (0.0, 0.0),
    "bothbad": (0.0, 0.0),
}
_WINNERS: Final = ("winner", "preference", "preferred", "choice", "vote")
"""The field with the winner: Chatbot Arena's, and what people call it in tables of their own."""
_SIDES: Final = {
    **dict.fromkeys(("a", "model_a", "response_a", "left"), "model_a"),
    **dict.fromkeys(("b", "model_b", "response_b", "right"), "model_b"),
    **dict.fromkeys(("tie", "draw", "equal", "both"), "tie"),
    **dict.fromkeys(("neither", "both bad"), "both_bad"),
}
_FLAGS: Final = {"winner_model_a": "model_a", "winner_model_b": "model_b", "winner_tie": "tie"}
_PLACED: Final = frozenset(
    {
        "model_a", "model_b", *_WINNERS, *_FLAGS, "conversation_a", "conversation_b", "full_conversation",
        "response_a", "response_b", "prompt", "tstamp", "timestamp", "conv_metadata", "evaluation_session_id",
    }
)  # fmt: skip


def _recognises(record: Source) -> bool:
    return {"model_a", "model_b"} <= record.keys()


def arena(record: Source, around: Around) -> Conversion:
    """Read a battle.

    Fields: ``model_a``, ``model_b``, ``winner`` (or ``winner_model_a`` and its like), the user's turns in
    ``full_conversation``, ``conversation_a`` or ``prompt``, ``tstamp`` or ``timestamp``. A win is 1, a tie
    0.5, a loss 0; both bad is 0 for both.
    """
    del around
    winner = _winner(record)
    if winner is None:
        return Conversion([], {"votes without a winner": 1})
    tokens = as_object(record.get("conv_metadata"), "conv_metadata")
    asked = _asked(record)
    prompt: Row = {"prompt": asked[0]} if len(asked) == 1 and isinstance(asked[0], str) else {
        "messages": [{"role": "user", "content": content} for content in asked]
    }  # fmt: skip
    both = vote_rows(
        prompt,
        (record["model_a"], record["model_b"]),
        _QUALITIES[winner],
        timestamp=first_present(record, "tstamp", "timestamp"),
        session_id=record.get("evaluation_session_id"),
        extra=present(record, _PLACED),
    )
    if len(asked) == 1:
        for row, side in zip(both.rows, "ab", strict=False):
            row |= {
                "input_tokens": tokens.get("sum_user_tokens"),
                "output_tokens": tokens.get(f"sum_assistant_{side}_tokens"),
            }
    return both


def _winner(record: Source) -> str | None:
    if not {*_WINNERS, *_FLAGS} & record.keys():
        raise RecordError(
            "winner", "a battle of Chatbot Arena without a winner", "'winner', or 'winner_model_a' and its like", ADVICE
        )
    winner = first_present(record, *_WINNERS)
    if is_missing(winner):
        return next((name for flag, name in _FLAGS.items() if str(record.get(flag)) in {"1", "1.0", "True"}), None)
    winner = _SIDES.get(str(winner).strip().lower(), winner)
    if record["model_a"] != record["model_b"]:  # people name the model, too
        winner = next((side for side in ("model_a", "model_b") if record[side] == winner), winner)
    if not isinstance(winner, str) or winner not in _QUALITIES:
        raise RecordError(
            "winner", f"{shown(winner)} in a battle of Chatbot Arena", f"one of {', '.join(_QUALITIES)}", ADVICE
        )
    return winner


# --- the prompt ------------------------------------------------------------------------------------------


def _asked(record: Source) -> list[Any]:
    """Return the contents of the user's turns."""
    turns = _list(record, "full_conversation")
    messages = [turn.get("user") for turn in turns if isinstance(turn, Mapping)] if turns else []
    messages = messages or [one for one in _list(record, "conversation_a") if _is_users(one)]
    given = [one.get("content") for one in messages if isinstance(one, Mapping)] or _list(record, "prompt")
    if not turns and isinstance(record.get("turn"), int) and record["turn"] > 0:
        given = given[: record["turn"]]  # votes on the first turn of two
    asked = [_content(one) for one in given if not is_missing(one)]
    if not asked:
        raise RecordError(
            "conversation_a",
            "a battle of Chatbot Arena without what was asked",
            "the turns in 'conversation_a', 'full_conversation' or 'prompt'",
            "use the data set with the conversations; the votes alone say nothing about prompts",
        )
    return asked


def _is_users(message: object) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "user"


def _list(record: Source, key: str) -> list[Any]:
    """Return a list; JSON text is decoded, and plain text becomes a list with one text."""
    value = record.get(key)
    if isinstance(value, str) and value:
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            decoded = value
        value = decoded if isinstance(decoded, list) else [value]
    return value if isinstance(value, list) else []


def _content(content: object) -> object:
    """Return the content of a message as text if it is only text."""
    if not isinstance(content, list):
        return content
    parts = [_part(part) for part in content]
    texts = [part["text"] for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    return "\n".join(map(str, texts)) if len(texts) == len(parts) else parts


def _part(part: object) -> object:
    if not isinstance(part, Mapping):
        return {"type": "text", "text": part}
    if not is_missing(part.get("image")):
        return {"type": "image_url", "image_url": {"url": part["image"]}}
    return {"type": "text", "text": part.get("text") or ""}


ADAPTER: Final = Adapter("arena", "Chatbot Arena", _recognises, arena, averages=True, votes=True)
