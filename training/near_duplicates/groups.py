"""Groups of near duplicates, and keys that keep each group on one side of a split.

Two texts belong together if their similarity (`WeightedSets`) is `ALIKE` or more, or if a chain of such pairs connects
them. Groups are then joined with conversations: if two conversations hold twins, their prompts get one key.

A joined group may become too large to split: where stock phrases ("thanks, go on") occur in most conversations, or
where all prompts fill one template. If a group holds more than `MOST_TOGETHER` of all prompts, only its equal texts are
kept together, and if it is then still too large, only its conversations. The twins that are then on both sides are
counted when the router is measured (`router_model.training.near_duplicates.sketches`).

If some prompts were logged without their texts, the terms of all prompts are compared instead of their texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from router_model.features.bag import count_terms
from router_model.features.prompt import LoggedPrompt, Prompt, PromptLike
from router_model.features.word_pieces import tokenise
from router_model.training.near_duplicates.shingles import normalised
from router_model.training.near_duplicates.weighted_sets import WeightedSets
from router_model.training.table.outcomes import Outcomes
from router_model.training.table.split import split_prompts

ALIKE: Final = 0.7
"""The least similarity of prompts that are kept together.

It is less than the audit's (`router_model.training.benchmark.leakage`), because to keep two different prompts together
costs nothing, and to separate twins makes figures wrong. At 0.7 the largest groups of mmlu_pro, zeroeval and bfcl have
five prompts.
"""
MOST_TOGETHER: Final = 0.2

Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Together:
    """How many prompts of a table were kept together.

    Attributes
    ----------
    n_prompts, n_groups : int
        Prompts in groups that hold several prompts or conversations, and the number of these groups.
    n_moved : int
        Prompts on another side of the split than without their group.
    """

    n_prompts: int
    n_groups: int
    n_moved: int

    @classmethod
    def of(cls, outcomes: Outcomes, *, seed: int, holdout: bool) -> "Together":
        """Count the groups of outcomes from `join_near_duplicates`."""
        alone, joined = outcomes.conversation_keys, outcomes.split_keys
        conversations: dict[str, set[str]] = {}
        for group, conversation in zip(joined, alone, strict=True):
            conversations.setdefault(group, set()).add(conversation)
        several = {group for group, members in conversations.items() if len(members) > 1}
        before, after = (split_prompts(keys, seed=seed, holdout=holdout) for keys in (alone, joined))
        sides = ((before.train, after.train), (before.calibration, after.calibration), (before.test, after.test))
        n_stayed = sum(len(np.intersect1d(*pair, assume_unique=True)) for pair in sides)
        return cls(sum(group in several for group in joined), len(several), len(outcomes) - n_stayed)

    def __str__(self) -> str:
        groups = "1 group" if self.n_groups == 1 else f"{self.n_groups:,} groups"
        return (
            f"{self.n_prompts:,} prompts have near duplicates ({groups}). Each group is on one side of "
            f"the split and in one fold; {self.n_moved:,} prompts changed sides for it"
        )


def join_near_duplicates(outcomes: Outcomes) -> Outcomes:
    """Return the outcomes with split keys (`Outcomes.split_keys`) that keep near duplicates together.

    Prompts without near duplicates keep their keys.
    """
    return replace(outcomes, groups=group_keys(outcomes.conversation_keys, _contents(outcomes.prompts)))


def near_duplicate_labels(prompts: Sequence[PromptLike]) -> Labels:
    """Return a number for each prompt, shape (n,), which only its near duplicates share.

    >>> near_duplicate_labels(["Name the capital of France, please.", "Hello", "name the capital of france, please!"])
    array([0, 1, 0])
    """
    return _near_labels(_contents(prompts))


def _contents(prompts: Sequence[PromptLike]) -> Sequence[str | bytes]:
    """Return what is compared of each prompt: its normalised text, or if some have no text, the terms of all of them.

    Terms are word pieces and pairs of them, as bytes of their codes.
    """
    if not any(isinstance(prompt, LoggedPrompt) for prompt in prompts):
        return [normalised(Prompt.parse(prompt).text) for prompt in prompts]
    return [_terms(prompt).tobytes() for prompt in prompts]


def _terms(prompt: PromptLike) -> npt.NDArray[np.int64]:
    if isinstance(prompt, LoggedPrompt):
        return prompt.term_codes
    return count_terms(tokenise([Prompt.parse(prompt).text]).pieces[0])[0]


def group_keys(conversations: Sequence[str], texts: Sequence[str | bytes]) -> list[str]:
    """Return one key for all prompts that a chain of conversations and near duplicates connects.

    The common key is the first of their conversations' keys in alphabetical order, so it does not depend on the order
    of the table.

    Parameters
    ----------
    conversations : n keys
    texts : n normalised texts, or their terms as bytes

    Examples
    --------
    >>> texts = [*"0123456789abcdefghijklmnopqr", "the same", "the same", "the same", "another"]
    >>> group_keys([*"0123456789abcdefghijklmnopqr", "z", "x", "y", "y"], texts)[-5:]
    ['r', 'x', 'x', 'x', 'x']
    """
    names, of_prompt = np.unique(np.array(conversations, dtype=object), return_inverse=True)
    near, same = (_joined(of_prompt, labels) for labels in (_near_labels(texts), _numbered(texts)))
    # Equal texts without conversations stay together however many they are, or they would predict themselves.
    apart = np.where(_too_large(same) & _in_conversations(same, of_prompt), of_prompt, same)
    found: list[str] = names[np.where(_too_large(near), apart, near)].tolist()
    return found


def _near_labels(texts: Sequence[str | bytes]) -> Labels:
    of_text = _numbered(texts)
    rows = np.arange(int(of_text.max(initial=-1)) + 1)
    found = [np.zeros((2, 0), dtype=np.intp)]
    found += [np.stack(pair) for *pair, _ in _sets(list(dict.fromkeys(texts))).pairs(rows, rows, ALIKE)]
    return _components(len(rows), *np.concatenate(found, axis=1))[of_text]


def _sets(different: Sequence[str | bytes]) -> WeightedSets:
    texts = [one for one in different if isinstance(one, str)]
    if len(texts) == len(different):
        return WeightedSets.of(texts)
    codes = [np.frombuffer(one, dtype=np.int64) for one in different if isinstance(one, bytes)]
    terms, columns = np.unique(np.concatenate(codes), return_inverse=True)
    ends = np.cumsum([0, *map(len, codes)])
    return WeightedSets.of_sets(sp.csr_array((np.ones(len(columns)), columns, ends), shape=(len(codes), len(terms))))


def _numbered(texts: Sequence[str | bytes]) -> Labels:
    """Give equal texts one number, from 0 in the order in which they first come."""
    numbers: dict[str | bytes, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.intp)


def _joined(of_prompt: Labels, labels: Labels) -> Labels:
    """Return for each prompt the first conversation that a chain of conversations and labels connects with it."""
    n = int(of_prompt.max(initial=-1)) + 1
    component = _components(n + int(labels.max(initial=-1)) + 1, of_prompt, n + labels)[of_prompt]
    first = np.full(int(component.max(initial=-1)) + 1, n)
    np.minimum.at(first, component, of_prompt)
    return np.asarray(first[component], dtype=np.intp)


def _too_large(groups: Labels) -> npt.NDArray[np.bool_]:
    return np.asarray(np.bincount(groups, minlength=1)[groups] > max(1, MOST_TOGETHER * len(groups)))


def _in_conversations(groups: Labels, of_prompt: Labels) -> npt.NDArray[np.bool_]:
    """Return which prompts belong to a group in which some conversation has several prompts."""
    several = np.bincount(of_prompt, minlength=1)[of_prompt] > 1
    return np.asarray(np.bincount(groups, several, minlength=1)[groups] > 0)


def _components(n: int, first: Labels, second: Labels) -> Labels:
    """Return the connected component of each of n nodes, given edges from `first` to `second`."""
    edges = sp.coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.intp)
