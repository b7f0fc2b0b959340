"""Which session records belong to decisions: they go with them when a user's or a session's records are deleted."""

from collections.abc import Iterable

from router_model.serving.engine.conversation import session_key


def remembered_sessions(decisions: Iterable[tuple[str | None, str | None]]) -> list[str]:
    """Return the keys under which the sessions of decisions may be kept.

    Parameters
    ----------
    decisions : pairs of key id and session id

    Returns
    -------
    list of str
        A session that the caller named is kept under a hash of both, one that it did not under its session id.

    Examples
    --------
    >>> remembered_sessions([("k", None)])
    []
    >>> remembered_sessions([("k", "s")]) == sorted(["s", session_key("k", "s")])
    True
    """
    pairs = {(key_id, session_id) for key_id, session_id in decisions if session_id is not None}
    return sorted({key for key_id, session_id in pairs for key in (session_id, session_key(key_id, session_id))})
