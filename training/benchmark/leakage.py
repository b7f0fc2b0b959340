"""Count test prompts that duplicate prompts of the other sides of a split (leakage), and leave them out on request.

An *exact* duplicate has the same text after NFKC, case folding and collapsing white space. A *near* duplicate has a
similarity (`router_model.training.near_duplicates`) of `THRESHOLD` or more. Roles of a conversation
do not matter. Only the part of a very long prompt that is encoded counts (`features.Prompt.text`). Duplicates within
one side are counted too, but they are not leakage: prompts repeat in production, and repeated ones only weigh more.

The threshold was chosen by reading pairs of all three real tables (``tests/performance/bench_leakage.py --show 20``).
From 0.8 on, both texts of a pair are one question with a letter, a quantity or the wrong options changed, or with a
sentence added. Between 0.6 and 0.75 they are different questions about one passage, or use one template. Between 0.75
and 0.8 there are some of each kind. An example is a pair in the paretobandit sample: two translations to check, which
differ only in their one short sentence (0.785).

Two problems that differ in one number are near duplicates if the number is a small part of the text, and are not if it
is a large part ("add 7 and 5"). Other changes count in the same way. Numbers are not masked, because all small sums
would then be one text. They get no extra weight either. In zeroeval, the six pairs above 0.75 differ only in numbers,
a name or one word, and their outcomes agree by 0.8 (1 is the agreement of a prompt with itself, 0 that of any two
prompts of a task). In mmlu_pro the agreement is 0.97 for the same text, 0.46 above 0.95, and about 0.3 from 0.75 to
0.95, where mostly the options differ.

Leaving out (``--dedupe``) removes the duplicate from the *test* side. The measured router is then the one that the
user gets, trained on all prompts. Every method learns from the same prompts with and without leaving out. And success
is measured on prompts not seen before. Removing the training prompt instead would change the router that is measured.
Validation prompts with a duplicate in training are removed too. Otherwise settings would be chosen that reward memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.features.prompt import Prompt, PromptLike
from router_model.training.near_duplicates.shingles import normalised
from router_model.training.near_duplicates.weighted_sets import WeightedSets
from router_model.wording import percent

THRESHOLD: Final = 0.8
N_EXAMPLES: Final = 10

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Twin:
    """A test prompt and the most similar training prompt, which nearly duplicates it.

    Attributes
    ----------
    test_row, train_row : int
        Indices of the prompts on their sides.
    test_id, train_id : str
    similarity : in [0, 1]
    exact : bool
        Whether they have the same text; a near duplicate may have a similarity of 1 too (reordered options).
    """

    test_row: int
    train_row: int
    test_id: str
    train_id: str
    similarity: float
    exact: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the ids and the similarity as plain JSON types."""
        return {
            "test_id": self.test_id,
            "train_id": self.train_id,
            "similarity": round(self.similarity, 4),
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True)
class Repeats:
    """Prompts of one side that repeat an earlier one of the same side.

    Attributes
    ----------
    n_exact, n_near : int
        Numbers of prompts with the same text as an earlier one, and of the others with a near duplicate before them.
    """

    n_exact: int
    n_near: int


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """The duplicates between the test side and the training side of a split.

    Attributes
    ----------
    n_train, n_test : numbers of prompts
    threshold : least similarity of near duplicates
    twins : one for each test prompt that has a duplicate, by test row
    in_train, in_test : repeats within one side
    """

    n_train: int
    n_test: int
    threshold: float
    twins: tuple[Twin, ...]
    in_train: Repeats
    in_test: Repeats

    @property
    def rows(self) -> Rows:
        """Indices of the test prompts that have a duplicate in training, ascending."""
        return np.array([twin.test_row for twin in self.twins], dtype=np.intp)

    @property
    def n_exact(self) -> int:
        """Number of test prompts with the same text as a training prompt."""
        return sum(twin.exact for twin in self.twins)

    @property
    def n_near(self) -> int:
        """Number of test prompts with a near duplicate in training and no exact one."""
        return len(self.twins) - self.n_exact

    @property
    def examples(self) -> tuple[Twin, ...]:
        """Up to `N_EXAMPLES` twins for people to check: near ones first, beginning with the least similar."""
        return tuple(sorted(self.twins, key=lambda twin: (twin.exact, twin.similarity, twin.test_row))[:N_EXAMPLES])

    def as_dict(self) -> dict[str, Any]:
        """Return counts and examples as plain JSON types, for ``results.json``."""
        return {
            "n_train": self.n_train,
            "n_test": self.n_test,
            "threshold": self.threshold,
            "n_exact": self.n_exact,
            "n_near": self.n_near,
            "repeats_in_train": {"n_exact": self.in_train.n_exact, "n_near": self.in_train.n_near},
            "repeats_in_test": {"n_exact": self.in_test.n_exact, "n_near": self.in_test.n_near},
            "examples": [twin.as_dict() for twin in self.examples],
        }

    def in_words(self) -> str:
        """Return the counts in two sentences."""
        if not self.twins:
            leaked = f"None of {self.n_test:,} test prompts has a twin among {self.n_train:,} training prompts"
            return f"{leaked} (similarity {self.threshold:g} or more). {self._repeats_in_words()}"
        return (
            f"{len(self.twins):,} of {self.n_test:,} test prompts ({percent(len(self.twins) / self.n_test)}) have a "
            f"twin among {self.n_train:,} training prompts: {self.n_exact:,} the same text, {self.n_near:,} nearly the "
            f"same (similarity {self.threshold:g} or more). {self._repeats_in_words()}"
        )

    def _repeats_in_words(self) -> str:
        n_train, n_test = (side.n_exact + side.n_near for side in (self.in_train, self.in_test))
        return f"Within one side, which is not leakage, {n_train:,} training and {n_test:,} test prompts are repeated."


def audit(
    train_prompts: Sequence[PromptLike],
    test_prompts: Sequence[PromptLike],
    *,
    train_ids: Sequence[str] | None = None,
    test_ids: Sequence[str] | None = None,
    threshold: float = THRESHOLD,
) -> LeakageAudit:
    """Find the test prompts that have an exact or near duplicate among the training prompts.

    It takes about 3 s and 400 MB for 12,000 prompts of 650 characters; both grow with the text.

    Parameters
    ----------
    train_prompts, test_prompts : texts or lists of chat messages
    train_ids, test_ids : names for examples; default: the indices
    threshold : least similarity of near duplicates, above 0 and at most 1

    Raises
    ------
    PromptError
        If a prompt is neither text nor chat messages.

    Examples
    --------
    >>> found = audit(["Name the capital of France, please."], ["name the  capital of France, please!", "Hello"])
    >>> found.n_exact, found.n_near, found.rows.tolist()
    (0, 1, [0])
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold!r}; expected a similarity above 0 and at most 1")
    distinct: dict[str, int] = {}
    train, test = (
        np.array([distinct.setdefault(normalised(Prompt.parse(prompt).text), len(distinct)) for prompt in prompts], int)
        for prompts in (train_prompts, test_prompts)
    )
    ids = _names(train_ids, len(train)), _names(test_ids, len(test))
    sets = WeightedSets.of(list(distinct))
    return LeakageAudit(
        n_train=len(train),
        n_test=len(test),
        threshold=threshold,
        twins=_twins(sets, train, test, ids=ids, threshold=threshold),
        in_train=_repeats(sets, train, threshold),
        in_test=_repeats(sets, test, threshold),
    )


def _names(ids: Sequence[str] | None, n: int) -> Sequence[str]:
    if ids is None:
        return [str(row) for row in range(n)]
    if len(ids) != n:
        raise ValueError(f"got {len(ids)} ids for {n} prompts; expected one each")
    return ids


def _twins(
    sets: WeightedSets, train: Rows, test: Rows, *, ids: tuple[Sequence[str], Sequence[str]], threshold: float
) -> tuple[Twin, ...]:
    texts, first_row = np.unique(train, return_index=True)
    row_of: Mapping[int, int] = dict(zip(texts.tolist(), first_row.tolist(), strict=True))
    # Texts of training were numbered first, so every text that only test has comes after them.
    only_test = np.setdiff1d(test, train)
    nearest, similarity = sets.nearest_before(only_test, texts, threshold)
    near = dict(zip(only_test.tolist(), zip(nearest.tolist(), similarity.tolist(), strict=True), strict=True))
    twins = []
    for row, text in enumerate(test.tolist()):
        twin, alike = near.get(text, (text, 1.0))
        if twin >= 0:
            at = row_of[twin]
            twins.append(Twin(row, at, ids[1][row], ids[0][at], alike, exact=text == twin))
    return tuple(twins)


def _repeats(sets: WeightedSets, side: Rows, threshold: float) -> Repeats:
    texts = np.unique(side)
    nearest, _ = sets.nearest_before(texts, texts, threshold)
    return Repeats(n_exact=len(side) - len(texts), n_near=int((nearest >= 0).sum()))
