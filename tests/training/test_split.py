from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.table.split import assign_folds, sample_whole, split_prompts

IDS = [f"prompt-{i}" for i in range(2000)]


def test_sides_are_those_of_the_published_rule():
    """int(sha256(f'{id}:{seed}')) % 100: below 60 train, 60-69 calibration, from 70 test."""
    split = split_prompts(IDS, seed=3)
    for side, low, high in ((split.train, 0, 60), (split.calibration, 60, 70), (split.test, 70, 100)):
        for row in side[:50]:
            assert low <= int(sha256(f"{IDS[row]}:3".encode()).hexdigest(), 16) % 100 < high


def test_every_prompt_is_on_one_side():
    split = split_prompts(IDS, seed=0)
    rows = np.concatenate([split.train, split.calibration, split.test])
    assert np.array_equal(np.sort(rows), np.arange(len(IDS)))


def test_without_holdout_test_prompts_are_trained_on():
    held, whole = split_prompts(IDS, seed=0), split_prompts(IDS, seed=0, holdout=False)
    assert np.array_equal(whole.train, np.sort(np.concatenate([held.train, held.test])))
    assert np.array_equal(whole.calibration, held.calibration)
    assert len(whole.test) == 0


@given(st.permutations(range(30)))
def test_sides_and_folds_do_not_depend_on_order(order):
    ids = [f"p{i}" for i in range(30)]
    shuffled = [ids[i] for i in order]
    assert {shuffled[row] for row in split_prompts(shuffled, seed=1).train} == {
        ids[row] for row in split_prompts(ids, seed=1).train
    }
    assert dict(zip(shuffled, assign_folds(shuffled, seed=1), strict=True)) == dict(
        zip(ids, assign_folds(ids, seed=1), strict=True)
    )


@pytest.mark.parametrize("n", [5, 23, 100])
def test_folds_are_balanced(n):
    counts = np.bincount(assign_folds(IDS[:n], seed=0), minlength=5)
    assert counts.max() - counts.min() <= 1


def test_prompts_of_one_id_stay_together():
    """Three turns a conversation: whole conversations on a side, and in a fold."""
    sessions = [f"s{i // 3}" for i in range(300)]
    split, folds = split_prompts(sessions, seed=0), assign_folds(sessions, seed=0)
    sides = [{sessions[row] for row in side} for side in (split.train, split.calibration, split.test)]
    assert sum(map(len, sides)) == 100
    assert len(set(zip(sessions, folds.tolist(), strict=True))) == 100
    assert np.bincount(folds).tolist() == [60] * 5


def test_a_sample_keeps_prompts_of_one_key_together():
    keys = [f"k{i // 3}" for i in range(3000)]
    rows = sample_whole(keys, 900, seed=0)
    chosen = {keys[row] for row in rows}
    assert 800 <= len(rows) <= 1000
    assert [row for row, key in enumerate(keys) if key in chosen] == rows.tolist()
    assert len(sample_whole(keys, 3000, seed=0)) == 3000
