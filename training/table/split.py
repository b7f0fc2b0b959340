"""Split prompts into training, calibration and test prompts, and training prompts into folds.

Both splits depend only on the prompt's id and a seed. So every method, encoder and run is compared on the same prompts,
whatever the order or the size of the table. Conversations and groups of near duplicates are split whole: the key of the
group replaces the prompt id (`router_model.training.table.outcomes.Outcomes.split_keys`). For a turn must not be
predicted from the turn before it, and a prompt not from its copy.

Groups of dissimilar prompts are divided, too: they measure how predictions do on prompts unlike the training prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from router_model.errors import TrainingError

Rows = npt.NDArray[np.intp]

CALIBRATION_FROM = 60
TEST_FROM = 70
N_FOLDS = 5
N_CLUSTERS = 3
"""Number of groups for a table without tasks: few, so that leaving out a group removes a whole kind of prompts."""

_MIN_SHARE = 0.01  # smaller tasks form one group together


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the prompts on each side."""

    train: Rows
    calibration: Rows
    test: Rows


def split_prompts(prompt_ids: Sequence[str], *, seed: int, holdout: bool = True) -> Split:
    """Split prompts 60 : 10 : 30 by a hash of their ids.

    Parameters
    ----------
    prompt_ids : one id for each prompt; prompts with the same id are on the same side
    seed : int
    holdout : bool
        If False, the test prompts are training prompts too.

    Examples
    --------
    >>> split = split_prompts([f"p{i}" for i in range(1000)], seed=0)
    >>> len(split.train), len(split.calibration), len(split.test)
    (599, 105, 296)
    """
    percent = percentiles(prompt_ids, seed=seed)
    test = percent >= TEST_FROM
    calibration = (percent >= CALIBRATION_FROM) & ~test
    train = percent < CALIBRATION_FROM
    if not holdout:
        train, test = train | test, np.zeros_like(test)
    return Split(*(np.flatnonzero(side) for side in (train, calibration, test)))


def percentiles(prompt_ids: Sequence[str], *, seed: int) -> npt.NDArray[np.int64]:
    """Return a number in ``range(100)`` for each id by hashing, shape (n,); `split_prompts` cuts at 60 and 70."""
    return np.array([_hash(f"{prompt_id}:{seed}") % 100 for prompt_id in prompt_ids], dtype=np.int64)


def assign_folds(prompt_ids: Sequence[str], *, seed: int) -> npt.NDArray[np.int64]:
    """Assign each id a fold in ``range(N_FOLDS)``, of equal sizes, in an order given by hashing, shape (n,)."""
    order = sorted(set(prompt_ids), key=lambda prompt_id: (_hash(f"{prompt_id}:fold:{seed}"), prompt_id))
    fold_of = {prompt_id: rank % N_FOLDS for rank, prompt_id in enumerate(order)}
    return np.array([fold_of[prompt_id] for prompt_id in prompt_ids], dtype=np.int64)


def sample_whole(keys: Sequence[str], size: int, *, seed: int) -> Rows:
    """Return the indices of about `size` prompts, ascending, with all that share their keys; of all if they are fewer.

    Keys are drawn until there are so many prompts, and at least as many keys as four for each fold: a few long
    conversations would say little.

    >>> len(sample_whole([f"p{i}" for i in range(1000)], 200, seed=0))
    200
    """
    if len(keys) <= size:
        return np.arange(len(keys))
    names, of_row, counts = np.unique(np.array(keys), return_inverse=True, return_counts=True)
    order = np.argsort([_hash(f"{name}:sample:{seed}") for name in names.tolist()], kind="stable")
    n_drawn = max(int(np.searchsorted(np.cumsum(counts[order]), size)) + 1, 4 * N_FOLDS)
    drawn = np.zeros(len(names), dtype=bool)
    drawn[order[:n_drawn]] = True
    return np.flatnonzero(drawn[of_row])


def sample_rows(n: int, size: int, *, seed: int = 0) -> Rows:
    """Return all of ``range(n)``, or `size` numbers drawn from it without replacement, ascending.

    >>> sample_rows(3, 5).tolist(), len(set(sample_rows(100, 5).tolist()))
    ([0, 1, 2], 5)
    """
    return np.arange(n) if n <= size else np.sort(np.random.default_rng(seed).choice(n, size, replace=False))


def novelty_groups(tasks: Sequence[str], embedding: npt.NDArray[np.float32], *, seed: int) -> npt.NDArray[np.int64]:
    """Return a group for each prompt, shape (n,): its task or, if the table has fewer than two tasks, its cluster.

    Parameters
    ----------
    tasks : n labels; empty where unknown
    embedding : shape (n, dimension)
    """
    if len(tasks) != len(embedding):
        raise TrainingError(f"{len(tasks)} tasks for {len(embedding)} prompts; expected one each")
    names, groups, counts = np.unique(np.array(tasks), return_inverse=True, return_counts=True)
    large = np.flatnonzero((counts >= _MIN_SHARE * len(tasks)) & (names != ""))
    if len(large) < 2:  # noqa: PLR2004
        # Centring removes what all prompts share from the distances; "++" starts from distant prompts.
        centred = embedding.astype(np.float64) - embedding.mean(axis=0)
        _, labels = kmeans2(centred, N_CLUSTERS, minit="++", rng=np.random.default_rng(seed))
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    merged = np.where(np.isin(groups, large), groups, -1)
    return np.unique(merged, return_inverse=True)[1].astype(np.int64)


def group_folds(groups: npt.NDArray[np.int64], *, n_folds: int) -> npt.NDArray[np.int64]:
    """Put whole groups into folds of about equal size, shape (n,): the largest group first, into the emptiest fold.

    >>> group_folds(np.array([0, 0, 0, 1, 1, 2, 2]), n_folds=2).tolist()
    [0, 0, 0, 1, 1, 1, 1]
    """
    sizes = np.bincount(groups)
    filled = np.zeros(n_folds)
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of[groups]


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest())
