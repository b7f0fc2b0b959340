"""Find the kinds of prompts on which a router's answers fail most, and name them by their words.

Prompts are grouped by the directions of their embeddings (spherical k-means; Dhillon and Modha 2001), so that no labels
are needed. A kind is shown where its rate of failure is above that of all other prompts by more than chance explains,
with the error rate shared out over the kinds that were looked at (Fisher's exact test, Bonferroni). Of a conversation,
or of a text that came often, the test counts one prompt: the others fail or succeed alike.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import fisher_exact

from router_model.features import Prompt
from router_model.features.prompt import LoggedPrompt, PromptLike
from router_model.wording import shortened

MIN_PROMPTS: Final = 20
"""Of a kind, independent of each other; fewer say nothing."""

_ALPHA: Final = 0.05
_MOST_KINDS: Final = 16
_PROMPTS_A_KIND: Final = 60
_WORDS: Final = 5
_ROUNDS: Final = 15
_MOST_SHOWN: Final = 6
_N_EXAMPLES: Final = 3
_COMMON: Final = frozenset(
    word
    for line in (
        "the and for with that this these those from not are was were been its",
        "what which who how why when where does did can could will would should",
        "you your they she his her their our there have has had following answer question",
    )
    for word in line.split()
)
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Failing:
    """A kind of prompts on which answers fail more often than on the others.

    Attributes
    ----------
    words : that are frequent in it and rare elsewhere; none if no text was kept
    n_prompts, n_failed : int
    rate_elsewhere : share of failures among all other prompts
    n_avoidable : failures for which another model's answer is known to have succeeded
    model : the one that got most of these prompts
    task : the most frequent one; empty without tasks
    examples : beginnings of prompts that failed; none if no text was kept
    """

    words: tuple[str, ...]
    n_prompts: int
    n_failed: int
    rate_elsewhere: float
    n_avoidable: int
    model: str
    task: str
    examples: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its words, or else its task."""
        return ", ".join(self.words) or self.task or "prompts without text"


def failing_kinds(
    prompts: Sequence[PromptLike],
    embedding: npt.NDArray[np.floating],
    failed: npt.NDArray[np.bool_],
    avoidable: npt.NDArray[np.bool_],
    *,
    models: Sequence[str],
    tasks: Sequence[str],
    groups: npt.NDArray[np.intp] | None = None,
) -> list[Failing]:
    """Return the kinds of prompts with more failures than chance explains, the largest excess of failures first.

    Parameters
    ----------
    embedding : shape (n, d)
    failed, avoidable : shape (n,)
        Whether the chosen model's answer failed, and whether another one's is known to have succeeded then.
    models, tasks : n names of chosen models, and of tasks
    groups : number of each prompt's group of conversation and text, shape (n,)
        None: each prompt is one of its own.
    """
    independent = np.arange(len(prompts)) if groups is None else np.unique(groups, return_index=True)[1]
    n_kinds = min(_MOST_KINDS, len(independent) // _PROMPTS_A_KIND)
    if n_kinds < 2 or not failed.any():  # noqa: PLR2004
        return []
    kind = _kinds(embedding, n_kinds)
    texts = ["" if isinstance(one, LoggedPrompt) else Prompt.parse(one).text for one in prompts]
    words = [set(_WORD.findall(text.lower())) - _COMMON for text in texts]
    everywhere = Counter(word for each in words for word in each)
    found: list[tuple[float, Failing]] = []
    for number in range(n_kinds):
        inside = kind == number
        if not _stands_out(inside[independent], failed[independent], _ALPHA / n_kinds):
            continue
        n, n_failed, n_other = int(inside.sum()), int(failed[inside].sum()), int((~inside).sum())
        elsewhere = int(failed[~inside].sum())
        rows = [int(row) for row in np.flatnonzero(inside)]
        bad = [row for row in rows if failed[row] and texts[row]]
        failing = Failing(
            words=_naming(words, rows, everywhere),
            n_prompts=n,
            n_failed=n_failed,
            rate_elsewhere=elsewhere / n_other,
            n_avoidable=int(avoidable[inside].sum()),
            model=Counter(models[row] for row in rows).most_common(1)[0][0],
            task=Counter(tasks[row] for row in rows).most_common(1)[0][0],
            examples=tuple(shortened(texts[row]) for row in bad[:_N_EXAMPLES]),
        )
        found.append((n_failed - n * elsewhere / n_other, failing))
    return [failing for _, failing in sorted(found, key=lambda one: -one[0])[:_MOST_SHOWN]]


def _stands_out(inside: npt.NDArray[np.bool_], failed: npt.NDArray[np.bool_], alpha: float) -> bool:
    """Return whether those inside fail more often than the others, by more than chance explains."""
    n, n_other = int(inside.sum()), int((~inside).sum())
    if n < MIN_PROMPTS or n_other < MIN_PROMPTS:
        return False
    n_failed, elsewhere = int(failed[inside].sum()), int(failed[~inside].sum())
    counts = np.array([[n_failed, n - n_failed], [elsewhere, n_other - elsewhere]])
    return float(fisher_exact(counts, alternative="greater").pvalue) <= alpha


def _kinds(embedding: npt.NDArray[np.floating], n_kinds: int) -> npt.NDArray[np.intp]:
    """Return the number of each prompt's kind; vectors are taken at length 1, so that direction alone counts."""
    vectors = embedding.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    centres = unit[np.random.default_rng(0).choice(len(unit), n_kinds, replace=False)]
    for _ in range(_ROUNDS):
        kind = (unit @ centres.T).argmax(axis=1)
        sums = np.array([unit[kind == number].sum(axis=0) for number in range(n_kinds)])
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.where(length > 0, length, 1.0), centres)
    return np.asarray((unit @ centres.T).argmax(axis=1), dtype=np.intp)


def _naming(words: Sequence[set[str]], rows: Sequence[int], everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the words of a kind by how much more often it has them than all prompts (weighted log-odds).

    Words of fewer than a tenth of its prompts do not name it.
    """
    inside = Counter(word for row in rows for word in words[row])
    n, total = len(rows), len(words)
    lift = {
        word: count / n * np.log((count / n) / (everywhere[word] / total))
        for word, count in inside.items()
        if count >= max(3, n / 10)
    }
    best = sorted(lift, key=lambda word: (-lift[word], word))[:_WORDS]
    return tuple(word for word in best if lift[word] > 0)
