"""How much less prompts that belong together say than as many independent ones: the design effect of a mean.

Prompts of one conversation, and near duplicates, succeed and fail together. The variance of their mean is then
larger than if they were independent; the quotient of the two is the design effect (Kish 1965), and n prompts count as
n divided by it. The variance is estimated with one cluster for each conversation and one for each group of near
duplicates, both ways at once (Cameron, Gelbach & Miller 2011).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Float64Array = npt.NDArray[np.float64]

_RULES_AT_ONCE = 8  # bounds the memory at a few times 8 x n_prompts floats
_ADDED = 0.3  # of a cluster; 0.1 to 1 hold the promise in simulation, and 1 certifies less


def design_effects(quality: npt.NDArray[Any], sessions: Sequence[object], texts: Sequence[object]) -> Float64Array:
    """Return the design effect of each row's mean, shape (n_rules,), 1 or more.

    Parameters
    ----------
    quality : 0 or more, on any scale; or bool; shape (n_rules, n_prompts)
    sessions, texts : of length n_prompts
        Prompts with equal entries belong together.

    Examples
    --------
    Twenty texts, five copies of each, half of the texts succeed: a hundred prompts count as about twenty.

    >>> texts = np.repeat(np.arange(20), 5)
    >>> [round(float(effect), 1) for effect in design_effects((texts < 10)[None], range(100), texts)]
    [5.3]
    >>> design_effects((texts < 10)[None], range(100), range(100)).round(2).tolist()
    [1.0]
    """
    of_session, of_text, of_both = (
        key_numbers(sessions),
        key_numbers(texts),
        key_numbers(list(zip(sessions, texts, strict=True))),
    )
    by_session, by_text = _effect(quality, of_session), _effect(quality, of_text)
    both = by_session + by_text - _effect(quality, of_both)
    return np.asarray(np.maximum.reduce([by_session, by_text, both, np.ones(len(quality))]))


def key_numbers(keys: Sequence[object]) -> npt.NDArray[np.intp]:
    """Give equal keys one number, from 0 in the order in which they first come."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def _effect(quality: npt.NDArray[Any], labels: npt.NDArray[np.intp]) -> Float64Array:
    """Return the clustered over the independent variance of each row's mean.

    Where nearly all prompts succeed, the few failures cannot show whether a cluster fails together. So a part of one
    more cluster of the usual size is added that fails altogether: without failures the effect is then the size of a
    cluster, which is the worst case, and with many failures the added part does not matter.
    """
    n_prompts, n_clusters = len(labels), int(labels.max()) + 1
    if n_clusters == n_prompts:  # no two prompts belong together
        return np.ones(len(quality))
    sizes = np.bincount(labels).astype(np.float64)
    usual = float((sizes**2).sum() / n_prompts)
    total = n_prompts + _ADDED * usual
    rate = quality.sum(axis=1) / total
    members = sp.csr_array((np.ones(n_prompts), (labels, np.arange(n_prompts))), shape=(n_clusters, n_prompts))
    clustered, independent = _ADDED * (usual * rate) ** 2, _ADDED * usual * rate**2
    for start in range(0, len(quality), _RULES_AT_ONCE):
        rules = slice(start, start + _RULES_AT_ONCE)
        deviation = quality[rules].T.astype(np.float64) - rate[rules]
        independent[rules] += (deviation**2).sum(axis=0)
        clustered[rules] += ((members @ deviation) ** 2).sum(axis=0)
    n = n_clusters + _ADDED
    usually = np.full(len(quality), usual)
    return np.asarray(np.divide(clustered * n / (n - 1), independent, out=usually, where=independent > 0))
