"""The names that other people give to our columns.

Without them, a table with the column `cost` would be imported without its costs. So the import never ignores such a
field silently: it stops and proposes the mapping.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from router_model.training.importing.columns import NAMEABLE, unit_in_name, words_of

_NAMES: Final[Mapping[str, str]] = {
    "prompt": (
        "question query user_input input instruction user_prompt prompt_text input_text user_query user_message "
        "user_question request problem text content prompt_template template"
    ),
    "messages": (
        "contents conversation conversations chat chat_history input_messages chat_messages request_messages dialogue"
    ),
    "model": (
        "model_name model_id llm engine llm_model llm_name model_slug model_used deployment deployment_name "
        "request_model response_model"
    ),
    "quality": (
        "score rating correct is_correct grade verdict reward passed pass is_pass success is_success accuracy acc "
        "label correctness user_rating user_score human_score human_rating eval_score judge_score grader_score "
        "quality_score exact_match stars thumbs feedback feedback_score evaluation judgement judgment"
    ),
    "input_tokens": (
        "tokens_in prompt_tokens token_in in_tokens input_token_count prompt_token_count n_input_tokens "
        "num_input_tokens n_tokens_in tokens_prompt tokens_input native_tokens_prompt n_prompt_tokens "
        "num_prompt_tokens prompt_eval_count"
    ),
    "output_tokens": (
        "tokens_out completion_tokens token_out out_tokens output_token_count completion_token_count "
        "candidates_token_count n_output_tokens num_output_tokens n_tokens_out tokens_completion tokens_output "
        "native_tokens_completion n_completion_tokens num_completion_tokens generated_tokens tokens_generated "
        "eval_count"
    ),
    "cost_usd": (
        "cost total_cost price cost_dollars usd cost_in_usd total_cost_usd usd_cost response_cost spend amount_usd "
        "price_usd estimated_cost total_estimated_cost call_cost request_cost cost_total cost_cents total_price "
        "input_cost_output_cost prompt_cost_completion_cost"
    ),
    "latency_s": (
        "latency latency_seconds duration duration_s duration_seconds response_time elapsed elapsed_s elapsed_time "
        "elapsed_seconds time_taken total_time wall_time runtime run_time request_duration total_duration "
        "processing_time request_time_taken latency_sec generation_time time_s"
    ),
    "propensity": "propensity_score action_probability action_prob logging_probability pscore",
    "timestamp": (
        "created_at created time date datetime ts start_time started_at request_time requested_at called_at "
        "event_time time_stamp timestamp_utc created_time"
    ),
    "session_id": "conversation_id thread_id chat_id session dialog_id dialogue_id conv_id",
    "prompt_id": "question_id query_id",
}
"""Names of fields for each of our columns, the likeliest first."""

_LOWER_IS_BETTER: Final = frozenset({
    "loss", "error", "errors", "err", "wer", "cer", "mae", "mse", "rmse", "perplexity", "ppl", "distance", "rank",
    "penalty", "regret", "toxicity", "toxic", "bias", "hallucination", "hallucinations", "hallucinated", "harm",
    "harmful", "harmfulness", "risk", "leak", "leakage", "violation", "violations", "failed", "failure", "failures",
    "wrong", "incorrect", "mistake", "mistakes", "bug", "bugs", "flagged", "refusal", "refused", "latency",
    "duration", "cost", "price", "spend", "unsafe", "insult", "insults", "threat", "threats", "profanity", "offensive",
    "abuse", "abusive", "hate", "severity", "complaint", "complaints", "defect", "defects", "retries", "escalated",
    "escalation", "escalations", "contradiction", "contradictions", "misinformation", "deviation", "fails",
    "unfaithful", "unhelpful", "ungrounded", "inaccuracy", "inaccurate", "invalid", "spam",
    "nsfw", "obscene", "danger", "dangerous",
    "refusals", "frustration", "dissatisfaction", "repetition", "redundancy", "verbosity", "unfairness", "jailbreak",
    "jailbroken", "fabrication", "fabricated", "misleading",
})  # fmt: skip
_TURNED_ROUND: Final = frozenset(("no", "not", "non", "without", "free", "avoided", "resistance", "reduction"))
"""Words that turn such a name round: `no_error`, `bias_free`."""
_LIKENESS: Final = 0.8
_SHORTEST_MISTYPED: Final = 5
_LONGEST_MISTYPED: Final = 20
_LONGEST_NAME: Final = 100


def _key(name: str) -> str:
    return "".join(words_of(name))


_OURS_OF: Final = {
    **{_key(theirs): (ours, rank) for ours, names in _NAMES.items() for rank, theirs in enumerate(names.split(), 1)},
    **{_key(ours): (ours, 0) for ours in NAMEABLE if ours in _NAMES},
}
_SCORES: Final = frozenset(
    ("scores", "feedbackscores", "evalscores", "evaluations", "ratings", "grades", "rubric", "assessments", "judgments")
)
_COSTS: Final = frozenset(("cost", "costs", "costdetails", "price", "pricing", "spend"))
_USAGES: Final = frozenset(
    ("usage", "tokens", "usagedetails", "tokenusage", "tokencount", "tokencounts", "tokenscount")
)
_OF_USAGE: Final = {
    **dict.fromkeys(("input", "prompt", "in", "inputtotal"), "input_tokens"),
    **dict.fromkeys(("output", "completion", "out", "outputtotal"), "output_tokens"),
}
_OWN_KEYS: Final = {_key(ours): ours for ours in NAMEABLE if ours in _NAMES}


@lru_cache(maxsize=4096)
def near_column(name: str) -> tuple[str, int] | None:
    """Return the column that a field's name resembles, and the position of the name in the column's list.

    >>> [near_column(name) for name in ("modelName", "latency_ms", "Prompt", "qualty", "usage.prompt_tokens")]
    [('model', 1), ('latency_s', 1), ('prompt', 0), ('quality', 99), ('input_tokens', 2)]
    >>> near_column("retrieved_contexts"), near_column("cost_eur"), near_column("model"), near_column("max_output")
    (None, None, None, None)
    """
    if name in NAMEABLE or len(name) > _LONGEST_NAME:
        return None
    around, _, last = name.rpartition(".")
    return _inside(_key(around.rpartition(".")[2]), _key(last)) or _known(last) or _mistyped(last)


def _inside(around: str, name: str) -> tuple[str, int] | None:
    """Return the column that the name of the object or list around a field tells: tokens.input, cost.total."""
    if around in _SCORES:
        return "quality", 50
    if around in _COSTS and name in ("total", "totalcost", "usd", "amount", "value"):
        return "cost_usd", 50
    if around in _USAGES and name in _OF_USAGE:
        return _OF_USAGE[name], 50
    return None


def _known(name: str) -> tuple[str, int] | None:
    found = _OURS_OF.get(_key(name))
    if found is None and unit_in_name(name):
        # latency_ms counts as latency, and timestamp_ms as timestamp.
        words = words_of(name)[:-1]
        found = _OURS_OF.get("".join(words)) or _OURS_OF.get("".join(words) + "s")
    return found


def _mistyped(name: str) -> tuple[str, int] | None:
    key = _key(name)
    is_short = _SHORTEST_MISTYPED <= len(key) <= _LONGEST_MISTYPED
    near = difflib.get_close_matches(key, _OWN_KEYS, n=1, cutoff=_LIKENESS) if is_short else []
    # One more word makes another thing: max_output_tokens is a limit, and cached_input_tokens are a part.
    is_typo = bool(near) and len(words_of(name)) <= len(words_of(_OWN_KEYS[near[0]]))
    return (_OWN_KEYS[near[0]], 99) if is_typo else None


@lru_cache(maxsize=1024)
def near_columns(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (our column, field) for the fields with a similar name, the likeliest first.

    >>> near_columns(("prompt", "model", "rating", "score", "cost"))
    (('quality', 'score'), ('cost_usd', 'cost'), ('quality', 'rating'))
    """
    near = [(found[1], found[0], name) for name in names if (found := near_column(name))]
    return tuple((ours, name) for _, ours, name in sorted(near, key=lambda one: one[0]))


def sounds_lower_is_better(name: str) -> bool:
    """Whether the name suggests a measure that is best when it is small.

    >>> [sounds_lower_is_better(name) for name in ("eval_loss", "score", "Hallucination", "no_errors")]
    [True, False, True, False]
    """
    words = set(words_of(name))
    return not _LOWER_IS_BETTER.isdisjoint(words) and _TURNED_ROUND.isdisjoint(words)


def similar_fields(name: str, fields: Iterable[str]) -> list[str]:
    """Return the fields whose names resemble a mistyped name.

    >>> similar_fields("verdit", ["verdict", "answer"])
    ['verdict']
    """
    return difflib.get_close_matches(name, list(fields), n=3, cutoff=0.6)
