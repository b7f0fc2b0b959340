"""Check whether a retrained router's decisions changed more than its new evidence supports.

If a router is trained again with the same settings, only new grades change its decisions. A little new evidence may
move a little of the traffic. If it moves much, then either the former router was close to a tie between two models, or
somebody manipulated the grades. In both cases a person should look before the new router serves.

*Moved* is the share of held-out prompts that the two routers send to different models. *Supported* is
`MOVES_PER_EVIDENCE` times the share of new grades. A grade is new if the former router did not have its pair of prompt
and model, or had another outcome for it. At most `LARGEST_JUDGE` of all grades count for each judge, because ten
thousand grades of one judge are one opinion. Grades without a judge are the operator's own and count in full.

One simplification: the former router's grades are read from its bank, as success at its quality bars. If the table has
more prompts than the bank holds, prompts that the former router was trained on but that are not in its bank count as
unchanged.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.features.featuriser import PromptFeatures
from router_model.prediction.bars import succeeds
from router_model.router import Router
from router_model.saved.artifact import Artifact, hash_of
from router_model.training.table.outcomes import Outcomes
from router_model.wording import percent

MOVES_PER_EVIDENCE: Final = 3.0
LARGEST_JUDGE: Final = 0.05
"""The most that the new grades of one judge count, as a share of all grades."""
ALWAYS_SUPPORTED: Final = 0.05
"""Moves up to this share are always allowed, because two trainings on halves of a table differ by more."""

_UNNAMED: Final = "your own graders"


@dataclass(frozen=True, slots=True)
class Moves:
    """The changes of decisions by training again.

    Attributes
    ----------
    former : str
        Content hash of the former router.
    n_prompts : int
        Number of held-out prompts that both routers decided.
    moved, supported : float
        Shares of these prompts; see the module.
    new_grades : int
    n_grades : int
        Number of all grades that the new router learned from.
    by_judge : judge -> number of its new grades, the largest first
    main_move : (from, to, share) of the largest move between two models, or None if no prompt moved
    """

    former: str
    n_prompts: int
    moved: float
    supported: float
    new_grades: int
    n_grades: int
    by_judge: Mapping[str, int]
    main_move: tuple[str, str, float] | None

    @property
    def is_supported(self) -> bool:
        """Whether the new evidence supports the moves."""
        return self.moved <= self.supported

    def __str__(self) -> str:
        """Describe the moves in a sentence or two."""
        said = f"{percent(self.moved)} of {self.n_prompts:,} held-out prompts go to another model than before"
        said += main_move_in_words(self.main_move)
        judges = ", ".join(f"{judge} {n:,}" for judge, n in list(self.by_judge.items())[:3])
        new = f"{self.new_grades:,} of {self.n_grades:,} grades are new" + (f" (by {judges})" if judges else "")
        return f"{said}; {new}, which supports moving {percent(self.supported)}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def same_settings(former: Artifact, config: Mapping[str, Any]) -> bool:
    """Return whether the former router was trained with this configuration, so that only the evidence differs."""
    known = former.provenance.get("config")
    return known is not None and json.loads(json.dumps(known)) == json.loads(json.dumps(config))


def measure_moves(former: Router, router: Router, learned: Outcomes, held_out: PromptFeatures) -> Moves:
    """Compare a retrained router with the former one.

    Parameters
    ----------
    former, router : routers with the same encoder
    learned : the outcomes that `router` was trained on
    held_out : features of prompts that it was not trained on
    """
    before, after = (chosen_models(each, held_out) for each in (former.graded_only(), router.graded_only()))
    new = new_grades(former.artifact, learned)
    n_grades = int((~np.isnan(learned.quality)).sum())
    by_judge = _by_judge(new, learned)
    counted = sum(n if judge == _UNNAMED else min(n, LARGEST_JUDGE * n_grades) for judge, n in by_judge.items())
    return Moves(
        former=former.artifact.content_hash,
        n_prompts=len(held_out),
        moved=float((before != after).mean()),
        supported=min(1.0, max(ALWAYS_SUPPORTED, MOVES_PER_EVIDENCE * counted / n_grades)),
        new_grades=int(new.sum()),
        n_grades=n_grades,
        by_judge=by_judge,
        main_move=main_move(before, after),
    )


def new_grades(former: Artifact, learned: Outcomes) -> npt.NDArray[np.bool_]:
    """Return a mask of the grades that the former router lacked or had with another outcome, (n_prompts, n_models).

    Prompts are the same by id or exact text: a grade of a near duplicate is another grade, which the router lacked.
    """
    known = ~np.isnan(learned.quality)
    if former.bank_prompts is None:
        return known
    bank, bars = former.predictor.evidence_model.bank, former.predictor.grid.bars
    row_of = {prompt_id: row for row, prompt_id in enumerate(former.bank_prompts.ids)}
    rows = np.array([row_of.get(prompt_id, -1) for prompt_id in learned.prompt_ids])
    in_bank = np.flatnonzero(rows >= 0)
    same = np.zeros_like(known)
    for column, model in enumerate(learned.models):
        if model not in former.predictor.models:
            continue
        old = former.predictor.models.index(model)
        met = succeeds(learned.quality[in_bank, column, None], bars)
        had = bank.outcome[rows[in_bank], old, : len(bars)] > 0
        was_known = bank.weight[rows[in_bank], old, 0] > 0
        same[in_bank, column] = was_known & (met == had).all(axis=1)
    unbanked = np.flatnonzero(rows < 0)
    # Otherwise the bank holds all prompts that the former router was trained on.
    if len(former.bank_prompts.ids) < len(former.seen_prompts):
        hashes = np.array([_hash(learned, row) for row in unbanked.tolist()], dtype=np.uint64)
        same[unbanked[np.isin(hashes, former.seen_prompts)]] = True
    return known & ~same


def _hash(outcomes: Outcomes, row: int) -> int:
    return hash_of(outcomes.prompts[row])


def chosen_models(router: Router, features: PromptFeatures) -> npt.NDArray[np.str_]:
    """Return the model that the default rule chooses for each prompt, shape (n_prompts,)."""
    point = router.artifact.operating_point
    table = router.predict_features(features, point.quality_bar)
    eligible = np.ones(table.p_success.shape, dtype=np.bool_)
    first = router.rank(router.rule(), table, eligible)[:, 0]
    return np.array(router.models)[first]


def _by_judge(new: npt.NDArray[np.bool_], learned: Outcomes) -> dict[str, int]:
    if learned.judge is None:
        return {_UNNAMED: int(new.sum())} if new.any() else {}
    codes, counts = np.unique(learned.judge[new], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {learned.judge_names[codes[i]] if codes[i] >= 0 else _UNNAMED: int(counts[i]) for i in order}


def main_move(before: npt.NDArray[np.str_], after: npt.NDArray[np.str_]) -> tuple[str, str, float] | None:
    """Return the most frequent change of a prompt's model as (from, to, share of prompts); None if nothing changes.

    >>> main_move(np.array(["a", "a", "b", "a"]), np.array(["b", "b", "a", "a"]))
    ('a', 'b', 0.5)
    """
    moved = before != after
    if not moved.any():
        return None
    flows, counts = np.unique(np.stack([before[moved], after[moved]]), axis=1, return_counts=True)
    largest = int(counts.argmax())
    return str(flows[0, largest]), str(flows[1, largest]), float(counts[largest] / len(before))


def main_move_in_words(move: tuple[str, str, float] | None) -> str:
    """Say the most frequent change of the model in brackets; empty if nothing changes.

    >>> main_move_in_words(("large", "small", 0.081))
    ' (most from large to small: 8.1%)'
    """
    return "" if move is None else f" (most from {move[0]} to {move[1]}: {percent(move[2])})"
