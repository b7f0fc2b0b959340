"""Groups of near duplicates, and the keys by which a table is split."""

import numpy as np
import pytest

from router_model.training.near_duplicates.groups import Together, group_keys, join_near_duplicates
from router_model.training.table.outcomes import MATRIX_COLUMNS, Outcomes
from router_model.training.table.split import assign_folds, split_prompts

SENTENCE = "a farmer sells fourteen baskets of apples at three dollars each; how much does she earn in {}?"
OTHERS = [f"{word} {word[::-1]} {i * 7919}" for i, word in enumerate(["river", "garden", "planet", "violin"] * 10)]


def outcomes_of(prompts, *, ids=None, sessions=()):
    blank = {name: np.ones((len(prompts), 2)) for name in MATRIX_COLUMNS}
    ids = ids or [f"p{i}" for i in range(len(prompts))]
    return Outcomes(
        prompt_ids=ids, prompts=prompts, tasks=[""] * len(prompts), models=("a", "b"), sessions=sessions, **blank
    )


@pytest.mark.parametrize(
    ("conversations", "texts", "expected"),
    [
        (["c", "b"], [SENTENCE.format("may"), SENTENCE.format("june")], ["b", "b"]),
        (["c", "b"], ["one question", "another thing"], ["c", "b"]),
        (["c", "b", "a"], [SENTENCE.format("may"), SENTENCE.format("june"), SENTENCE.format("july")], ["a", "a", "a"]),
        (["s", "s", "a"], ["one question", SENTENCE.format("may"), SENTENCE.format("june")], ["a", "a", "a"]),
    ],
    ids=["a pair", "strangers", "a chain", "through a conversation"],
)
def test_keys_of_a_group_are_its_first(conversations, texts, expected):
    alone = [f"x{i}" for i in range(len(OTHERS))]
    keys = group_keys([*conversations, *alone], [*texts, *OTHERS])
    assert keys[: len(texts)] == expected
    assert keys[len(texts) :] == alone


def test_keys_do_not_depend_on_the_order():
    texts = [SENTENCE.format("may"), *OTHERS, SENTENCE.format("june")]
    names = [f"p{i}" for i in range(len(texts))]
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = group_keys([names[i] for i in order], [texts[i] for i in order])
    keys = group_keys(names, texts)
    assert shuffled == [keys[i] for i in order]


def test_a_stock_phrase_does_not_make_all_conversations_one():
    """Thirty conversations of two prompts, which all end in the same words."""
    conversations = [f"s{i // 2}" for i in range(60)]
    texts = [other for question in OTHERS[:30] for other in (question, "thanks, go on")]
    assert group_keys(conversations, texts) == conversations


def test_copies_without_conversations_stay_together_however_many():
    texts = ["the same text"] * 20 + OTHERS
    assert len(set(group_keys([f"p{i:02}" for i in range(60)], texts)[:20])) == 1


def test_no_prompts_have_no_keys():
    assert group_keys([], []) == []


def test_split_and_folds_keep_twins_together_and_leave_others_where_they_were():
    originals = [f"{OTHERS[i % 40]} {SENTENCE.format(i * 104729)} {i * 1299709}" for i in range(300)]
    originals = [f"{' '.join(np.random.default_rng(i).permutation(originals[i].split()))}" for i in range(300)]
    alone = outcomes_of(originals)
    table = join_near_duplicates(outcomes_of([*originals, *(f"{text} please" for text in originals[:60])]))
    split, former = split_prompts(table.split_keys, seed=0), split_prompts(alone.split_keys, seed=0)
    side = np.zeros(360, dtype=int)
    for number, rows in enumerate((split.train, split.calibration, split.test)):
        side[rows] = number
    assert (side[:60] == side[300:]).all()
    unmoved = np.arange(60, 300)
    assert set(former.test.tolist()) & set(unmoved.tolist()) == set(split.test.tolist()) & set(unmoved.tolist())
    folds = assign_folds(table.split_keys, seed=0)
    assert (folds[:60] == folds[300:]).all()
    found = Together.of(table, seed=0, holdout=True)
    assert (found.n_prompts, found.n_groups) == (120, 60)
    assert 20 < found.n_moved < 50
    assert "120 prompts have near duplicates (60 groups)" in str(found)


@pytest.mark.real_data
@pytest.mark.parametrize(("table", "n_prompts"), [("zeroeval", 15), ("mmlu_pro", 694), ("bfcl", 203)])
@pytest.mark.slow
def test_templates_of_real_tables_are_no_groups(real_data, table, n_prompts):
    from router_model.training.table.outcomes import read_outcomes

    outcomes = join_near_duplicates(read_outcomes(real_data / table / "outcomes.parquet"))
    assert Together.of(outcomes, seed=0, holdout=True).n_prompts == n_prompts
    assert max(np.unique(outcomes.split_keys, return_counts=True)[1]) <= 5
