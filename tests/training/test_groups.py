import numpy as np

from router_model.training.table.split import N_CLUSTERS, group_folds, novelty_groups

EMBEDDING = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)


def test_tasks_are_the_groups_and_tiny_ones_share_one():
    tasks = ["a"] * 150 + ["b"] * 148 + ["c", "d"]
    groups = novelty_groups(tasks, EMBEDDING, seed=0)
    assert len(set(groups)) == 3
    assert groups[0] != groups[150]
    assert groups[298] == groups[299]


def test_without_tasks_far_apart_prompts_fall_into_different_groups():
    centres = np.repeat(10 * np.eye(8, dtype=np.float32)[:N_CLUSTERS], 100, axis=0)
    groups = novelty_groups([""] * 300, centres + 0.1 * EMBEDDING, seed=0)
    assert [len(set(groups[start : start + 100])) for start in (0, 100, 200)] == [1, 1, 1]
    assert len(set(groups)) == N_CLUSTERS
    assert np.array_equal(groups, novelty_groups([""] * 300, centres + 0.1 * EMBEDDING, seed=0))


def test_a_group_is_in_one_fold_and_folds_are_balanced():
    groups = np.repeat(np.arange(14), np.arange(10, 24))
    folds = group_folds(groups, n_folds=5)
    assert all(len(set(folds[groups == group])) == 1 for group in range(14))
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 23
