"""Refuse fields that refer to state at a provider, where the body is translated for a provider of another kind.

A conversation that is kept elsewhere (a thread, a container, a cache, an earlier response) is missing from the body.
Without the field a model would answer as if it had never been, and nobody would notice. So a field of that sort is
either passed on to a provider that can follow it, or refused. A field that nobody knows counts as one if its name
says so.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.spellings import snake
from router_model.serving.providers.provider import Kind

THREADS_UNSUPPORTED: Final = "thread_unsupported_request"
"""Anthropic's code for "send the whole conversation without a thread"; its SDKs and Claude Code then do so."""
_OF_KIND: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.ANTHROPIC: frozenset({"thread", "container"}),
    Kind.GEMINI: frozenset({"cached_content", "previous_interaction_id"}),
}
"""The references of each format, which a provider of that kind can follow."""
_NONE: Final[frozenset[str]] = frozenset()
_REFERS: Final = re.compile(
    r"^previous_|(^|_)(thread|conversation|container|session|cached_content|vector_store|file|batch|response|message"
    r"|interaction|assistant|run)(_ids?)?$"
)
"""Names of fields that refer to something kept elsewhere, in snake case."""
_HARMLESS: Final = frozenset({"session_id", "response_format", "trace_id"})


def check_references(body: Mapping[str, Any], provider: Kind, knows: frozenset[str] | None = None) -> None:
    """Refuse a body with a reference that a kind of provider cannot follow.

    Parameters
    ----------
    body : in the format of the caller, which is not the provider's
    provider : Kind
    knows : names of the fields that the translation passes on; None: any

    Raises
    ------
    InvalidRequestError
        For an Anthropic thread with the `details` that make an SDK send the whole conversation.

    Examples
    --------
    >>> check_references({"thread": {"type": "create"}}, Kind.ANTHROPIC)
    >>> check_references({"previous_response_id": "resp_1"}, Kind.ANTHROPIC)
    Traceback (most recent call last):
        ...
    router_model.serving.common.service_errors.InvalidRequestError: 'previous_response_id' refers to ...
    """
    own = _OF_KIND.get(provider, _NONE)
    for name, value in body.items():
        plain = snake(name)
        is_followed = plain in own and (knows is None or name in knows)
        if value and not is_followed and plain not in _HARMLESS and _REFERS.search(plain):
            raise _lost(name)


def thread_refused(why: str) -> InvalidRequestError:
    """Return the error for a body with a ``thread``, after which Anthropic's clients send the whole conversation."""
    return InvalidRequestError(
        f"thread: {why}; send the whole conversation without 'thread'",
        param="thread",
        details={"error_code": THREADS_UNSUPPORTED},
    )


def _lost(name: str) -> InvalidRequestError:
    if name == "thread":
        return thread_refused("the provider of this model keeps no threads")
    return InvalidRequestError(
        f"{name!r} refers to something that another kind of provider keeps, so this model would answer without it; "
        "send its content instead, or name a model of that provider",
        param=name,
    )
