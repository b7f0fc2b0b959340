"""Divide prompts into dissimilar groups, to measure how predictions do on prompts unlike the training prompts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from router_model.errors import TrainingError

N_CLUSTERS = 3
"""Number of groups for a table without tasks: few, so that leaving out a group removes a whole kind of prompts."""

_MIN_SHARE = 0.01  # smaller tasks form one group together


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
