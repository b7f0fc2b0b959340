"""Tell the calls in a user's own tables that no model answered: calls that failed, and those that a cache answered.

They say nothing of how well, how fast or at what cost a model answers. Cached answers are told by a field such as
``cache_hit``. Failures are harder to tell: such tables often have the status or the error of a call, and some give
failed calls the worst grade, but a column ``error`` may also hold why a grader did not like an answer. So three kinds
of evidence are told apart:

- The status of HTTP, or a word that only a call can have (``timeout``). The call failed, unless it wrote tokens.
- Words that a grader might have written, too (``failed``, the text of an error), for a call without a grade. It failed,
  unless an answer or its cost is there.
- The same for a call with a grade. It failed only if the answer is there and empty, or if the error is one of calls.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from router_model.training.importing.chat import decoded
from router_model.training.importing.columns import words_of
from router_model.training.importing.conversion import Source, is_missing

_STATUS: Final = frozenset(
    (
        "status", "statuscode", "callstatus", "requeststatus", "responsestatus", "httpstatus", "httpstatuscode",
        "httpcode", "responsecode", "apistatus", "runstatus", "finishreason", "responsestatuscode",
    )
)  # fmt: skip
_ERROR: Final = frozenset(
    (
        "error", "errors", "errormessage", "errormsg", "errortext", "errorstr", "errortype", "errorclass",
        "errordetail", "errordetails", "exception", "exceptiontype", "exceptionmessage", "failurereason", "traceback",
        "iserror", "haserror", "errorinfo",
    )
)  # fmt: skip
_CODES: Final = frozenset(("errorcode", "errcode"))
_ANSWER: Final = frozenset(
    (
        "response", "answer", "output", "completion", "responsetext", "outputtext", "answertext", "reply", "generation",
        "generatedtext", "modeloutput", "llmoutput", "modelresponse", "llmresponse", "modelanswer", "responsebody",
    )
)  # fmt: skip
_SUCCESS: Final = frozenset(("success", "succeeded", "issuccess", "issuccessful", "ok"))
_CACHED: Final = frozenset(
    ("cached", "iscached", "cachehit", "iscachehit", "fromcache", "cachestatus", "cacheresult", "servedfromcache")
)
_HITS: Final = frozenset(("true", "hit", "yes"))
_OF_CALLS: Final = frozenset(
    (
        "error", "errored", "timeout", "timedout", "exception", "cancelled", "canceled", "aborted", "ratelimited",
        "ratelimit", "throttled", "crashed", "servererror", "internalerror", "apierror", "networkerror",
    )
)  # fmt: skip
_OF_CALLS_OR_GRADERS: Final = frozenset(("failed", "failure", "fail"))
_NO_ERROR: Final = frozenset(
    (
        "none", "null", "nan", "n/a", "na", "-", "false", "no", "no error", "ok", "success", "{}", "[]", "nil",
        "undefined",
    )
)  # fmt: skip
_ERROR_OF_CALL: Final = re.compile(
    r"time[ds]?[ _-]?out|rate[ _-]?limit|too many requests|\b(?:4\d\d|5\d\d)\b|connection|network|overloaded|quota|"
    r"unavailable|unauthori[sz]ed|api|http|server|gateway|context[ _-]?(?:length|window)|content[ _-]?filter",
    re.IGNORECASE,
)
_HTTP_FAILURES: Final = range(400, 600)

_Kind = Literal["", "status", "error", "answer", "cached", "success", "code"]


def unanswered_as(own: Source) -> str | None:
    """Return the kind of a call that no model answered; None if one did.

    Parameters
    ----------
    own : mapping
        A record with the user's columns under our names.

    >>> unanswered_as({"cache_status": "HIT"}), unanswered_as({"cached": 512}), unanswered_as({"status": 429})
    ('calls answered by a cache', None, 'failed calls')
    >>> unanswered_as({"error": "KeyError"}), unanswered_as({"error": "KeyError", "quality": 0})
    ('failed calls', None)
    """
    fields = _telling_fields(own)
    if not fields:
        return None  # nearly always true; this runs for every record
    if any(kind == "cached" and str(value).strip().lower() in _HITS for kind, value in fields):
        return "calls answered by a cache"
    return "failed calls" if _has_failed(own, fields) else None


def _has_failed(own: Source, fields: Sequence[tuple[str, Any]]) -> bool:
    if _counted(own.get("output_tokens")):
        return False
    if any(_is_of_call(value, kind) for kind, value in fields):
        return True
    said = [text for kind, value in fields if (text := _failure_text(kind, value))]
    answers = [value for kind, value in fields if kind == "answer"]
    if not said or any(map(_is_answer, answers)) or _counted(own.get("cost_usd")):
        return False
    is_empty = bool(answers) or _is_zero(own.get("output_tokens"))
    return is_missing(own.get("quality")) or is_empty or any(map(_ERROR_OF_CALL.search, said))


def _telling_fields(own: Source) -> list[tuple[str, Any]]:
    """Return the fields of a record, and those of the objects in it, that may tell of a failure, with their kinds."""
    objects = [one for key, one in own.items() if isinstance(one, dict) and key != "extra"]
    found: list[tuple[str, Any]] = [(kind, own[name]) for name, kind in _kinds_of(tuple(own))]
    # A bare status inside an object may be that of anything, such as an order.
    return found + [(kind, one[name]) for one in objects for name, kind in _kinds_of(tuple(one)) if name != "status"]


@lru_cache(maxsize=1024)
def _kinds_of(names: tuple[str, ...]) -> tuple[tuple[str, _Kind], ...]:
    return tuple((name, kind) for name in names if (kind := _kind_of(str(name))))


def _kind_of(name: str) -> _Kind:
    key = "".join(words_of(name))
    kinds: tuple[tuple[_Kind, frozenset[str]], ...] = (
        ("status", _STATUS), ("error", _ERROR), ("answer", _ANSWER), ("cached", _CACHED),
        ("success", _SUCCESS), ("code", _CODES),
    )  # fmt: skip
    return next((kind for kind, names in kinds if key in names), "")


def _word(value: Any) -> str:
    return "".join(words_of(value.rpartition(".")[2])) if isinstance(value, str) else ""


def _is_of_call(value: Any, kind: str) -> bool:
    """Whether a status or an error can be that of a failed call alone: 429, "503 Service Unavailable", "timeout"."""
    if kind not in ("status", "error", "code"):
        return False
    is_number_enough = kind != "error"  # errors: 450 may count something
    if isinstance(value, str):
        first, *more = value.split() or [""]
        is_http = _is_http_failure(first.removesuffix(".0")) and (is_number_enough or bool(more))
        return is_http or (kind == "status" and _word(value) in _OF_CALLS)
    return is_number_enough and type(value) in (int, float) and value in _HTTP_FAILURES


def _failure_text(kind: str, value: Any) -> str:
    """Return what a field says about a failure; empty if it says nothing."""
    if kind in ("error", "code"):
        return _error_text(value)
    if kind == "answer":
        found = decoded(value)
        return _error_text(found.get("error")) if isinstance(found, Mapping) else ""
    if kind == "success":
        return "failed" if str(value).lower() == "false" else ""
    return str(value) if kind == "status" and _word(value) in _OF_CALLS_OR_GRADERS else ""


def _is_http_failure(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) in _HTTP_FAILURES


def _error_text(value: Any) -> str:
    """Return what a field says about an error; empty if it says that there was none. Numbers say nothing here."""
    if isinstance(value, bool):
        return "error" if value else ""
    value = decoded(value)
    if isinstance(value, str):
        text = value.strip()
        return "" if text.lower() in _NO_ERROR or text.replace(".", "", 1).isdecimal() else text
    if isinstance(value, Mapping):
        return " ".join(filter(None, map(_error_text, value.values())))
    if isinstance(value, list):
        return " ".join(filter(None, map(_error_text, value)))
    return ""


def _is_answer(value: Any) -> bool:
    value = decoded(value)
    if isinstance(value, Mapping):
        return bool(value) and not value.get("error")
    return bool(value.strip()) if isinstance(value, str) else not is_missing(value) and value != []


def _counted(value: Any) -> bool:
    """Whether there is something else than 0: tokens that were written, or a cost."""
    return not is_missing(value) and not _is_zero(value)


def _is_zero(value: Any) -> bool:
    return str(value).strip() in ("0", "0.0", "0.00")
