"""Hard constraints: which models may be considered at all, and why the others may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from features import Prompt
from router_model.catalog import ModelCard
from router_model.errors import NoCandidateError, RequestError


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a request demands of its candidates.

    Attributes
    ----------
    allow, deny : globs over model ids, e.g. ``openai/gpt-*``
        An empty `allow` allows all; `deny` wins.
    max_cost_usd : float or None
        Largest expected cost of one call.
    max_output_tokens : int or None
        Output the request may take, counted against context windows.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_cost_usd: float | None = None
    max_output_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.max_cost_usd is not None and not self.max_cost_usd > 0:
            raise RequestError(f"max_cost_usd={self.max_cost_usd!r}; expected a positive amount in USD")
        if self.max_output_tokens is not None and self.max_output_tokens < 1:
            raise RequestError(f"max_output_tokens={self.max_output_tokens!r}; expected 1 or more")
        for name in ("allow", "deny"):
            if isinstance(getattr(self, name), str):
                raise RequestError(f"{name}={getattr(self, name)!r}; expected a list of globs, e.g. ['openai/*']")

    def violated_by(
        self, card: ModelCard, prompt: Prompt, *, n_input_tokens: float, expected_cost_usd: float
    ) -> str | None:
        """Return the first constraint a model breaks for a prompt, or None."""
        checks = (
            ("not_allowed", bool(self.allow) and not _matches(card.model, self.allow)),
            ("denied", _matches(card.model, self.deny)),
            ("context_window", self._overflows(card, n_input_tokens)),
            ("tools", prompt.has_tools and card.tools is False),
            ("vision", prompt.has_images and card.vision is False),
            ("structured_output", prompt.wants_json and card.structured_output is False),
            ("max_cost_usd", self.max_cost_usd is not None and expected_cost_usd > self.max_cost_usd),
        )
        return next((name for name, broken in checks if broken), None)

    def _overflows(self, card: ModelCard, n_input_tokens: float) -> bool:
        wanted = self.max_output_tokens or 0
        if card.max_output_tokens is not None and wanted > card.max_output_tokens:
            return True
        return card.context_window is not None and n_input_tokens + wanted > card.context_window


def require_candidate(reasons: Sequence[str | None], models: Sequence[str]) -> None:
    """Refuse an empty set of candidates.

    Raises
    ------
    NoCandidateError
        Naming the constraints that emptied it and how many models each ruled out.
    """
    if not models or any(reason is None for reason in reasons):
        return
    counts = {reason: reasons.count(reason) for reason in reasons}
    said = ", ".join(f"{reason} ({count} of {len(models)})" for reason, count in sorted(counts.items(), key=str))
    raise NoCandidateError(f"no candidate model is left; ruled out by {said}. Models: {', '.join(models)}")


def _matches(model: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(model, glob) for glob in globs)
