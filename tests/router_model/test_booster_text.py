import re

import lightgbm as lgb
import numpy as np
import pytest

from router_model.prediction.booster_text import BoosterTextError, check_booster, read_booster

NAMES = ["a", "b", "c"]


def grown(**parameters):
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 3)).astype(np.float32)
    rows[:40, 1] = np.nan
    said = (rows[:, 0] + rows[:, 2] ** 2 > 1).astype(float)
    given = {"objective": "binary", "num_leaves": 7, "verbosity": -1, **parameters}
    return lgb.train(given, lgb.Dataset(rows, said, feature_name=NAMES), 4)


@pytest.fixture(scope="module")
def text():
    return grown().model_to_string()


def resized(text):
    """Return a text whose ``tree_sizes`` are right again, so that what else is wrong with it counts."""
    _, *trees = text.split("\nTree=")
    *trees, last = trees
    blocks = [f"Tree={tree}\n" for tree in trees] + [f"Tree={last.partition('end of trees')[0]}"]
    return re.sub(r"tree_sizes=.*", f"tree_sizes={' '.join(str(len(block)) for block in blocks)}", text)


def put(text, name, place, value):
    """Put a value into one place of a line of the third tree; ``slice`` places cut the line."""

    def changed(line):
        numbers = line[1].split(" ")
        numbers[place] = [] if isinstance(place, slice) else str(value)
        return f"\n{name}={' '.join(numbers)}\n"

    head, tree = text.split("\nTree=2\n")
    return resized(f"{head}\nTree=2\n" + re.sub(rf"\n{name}=(.*)\n", changed, "\n" + tree, count=1)[1:])


def test_what_lightgbm_writes_is_read_as_lightgbm_reads_it(text):
    booster = read_booster(text)
    dump = grown().dump_model()
    assert (booster.names, booster.objective, len(booster.trees)) == (NAMES, "binary sigmoid:1", 4)
    for tree, info in zip(booster.trees, dump["tree_info"], strict=True):
        root = info["tree_structure"]
        assert (tree.columns[0], tree.thresholds[0]) == (root["split_feature"], root["threshold"])
        assert len(tree.leaf_values) == info["num_leaves"]


@pytest.mark.parametrize(
    "parameters",
    [{"min_data_in_leaf": 1000}, {"objective": "regression_l1"}, {"zero_as_missing": True}, {"num_leaves": 2}],
)
def test_all_that_is_trained_here_can_be_read(parameters):
    assert read_booster(grown(**parameters).model_to_string()).trees


@pytest.mark.parametrize(
    ("name", "place", "value", "match"),
    [
        ("left_child", 0, 9999, "outside the tree"),
        ("right_child", 0, -999, "outside the tree"),
        ("left_child", 0, 0, "two tests have it"),
        ("left_child", 1, 1, "two tests have it"),
        ("right_child", 0, 99_999_999_999, "not a list of whole numbers"),
        ("split_feature", 0, 3, "not within 3 columns"),
        ("split_feature", 0, -1, "not within 3 columns"),
        ("decision_type", 0, 1, "not of numerical tests"),
        ("decision_type", 0, 12, "not of numerical tests"),
        ("decision_type", 0, 255, "not of numerical tests"),
        ("num_leaves", 0, 8, "split_feature has 6 numbers, expected 7"),
        ("num_leaves", 0, 0, "num_leaves is 0"),
        ("num_leaves", 0, -3, "num_leaves is -3"),
        ("num_leaves", 0, 2_000_000_000, "num_leaves is 2000000000"),
        ("num_cat", 0, 5, "categorical tests"),
        ("is_linear", 0, 1, "linear leaves"),
        ("leaf_value", 0, "nan", "not a list of numbers"),
        ("leaf_value", 0, "1e999", "not finite"),
        ("leaf_value", 0, "0x1", "not a list of numbers"),
        ("leaf_value", slice(-2, None), [], "leaf_value has 5 numbers, expected 7"),
        ("threshold", slice(-2, None), [], "threshold has 4 numbers, expected 6"),
        ("threshold", 0, "nan", "not a list of numbers"),
        ("leaf_count", slice(-2, None), [], "leaf_count has 5 numbers, expected 7"),
        ("internal_value", 0, "1_000", "not a list of numbers"),
        ("shrinkage", 0, "inf", "shrinkage is not finite"),
    ],
)
def test_a_tree_that_cannot_be_is_refused(text, name, place, value, match):
    with pytest.raises(BoosterTextError, match=rf"tree 2: .*{match}"):
        read_booster(put(text, name, place, value))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("tree\n", "trees\n", "the first line is 'trees'"),
        ("objective=", "objective=\u0661", "not ASCII"),
        ("num_class=1", "num_class=3", "num_class"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0", "num_tree_per_iteration"),
        ("max_feature_idx=2", "max_feature_idx=2147483647", "max_feature_idx is '2147483647' with 3 columns"),
        ("feature_infos=[", "feature_infos=none [", "feature_infos are not a range for each column"),
        ("\nobjective=", "\naverage_output=1\nobjective=", r'unknown or repeated lines: \["average_output"\]'),
        ("\nlabel_index=0", "\nlabel_index=0\nlabel_index=0", "repeated"),
        ("Tree=2\n", "Tree=3\n", "tree 2: begins with 'Tree=3'"),
        ("tree_sizes=", "tree_sizes=-5 ", "tree 0 has -5 bytes"),
        ("tree_sizes=", "tree_sizes=99999999 ", "tree 0 has 99999999 bytes"),
        ("end of trees", "end of tree", "the text after the trees"),
        ("parameters:\n", "parameters:\nx\n", "the text after the trees"),
        ("pandas_categorical:null", "pandas_categorical:[[", "the text after the trees"),
    ],
)
def test_a_text_that_is_not_ours_is_refused(text, old, new, match):
    assert old in text
    with pytest.raises(BoosterTextError, match=match):
        read_booster(text.replace(old, new, 1))


def test_any_cut_or_dropped_line_is_refused(text):
    lines = text.splitlines(keepends=True)
    needed = range(lines.index("end of trees\n"))
    for dropped in needed:
        with pytest.raises(BoosterTextError):
            read_booster("".join(lines[:dropped] + lines[dropped + 1 :]))
    for size in range(0, len(text) - 40, 97):
        with pytest.raises(BoosterTextError):
            read_booster(text[:size])


def test_a_booster_must_predict_what_its_name_says_from_the_columns_there_are(text):
    check_booster(text, predicts="success", names=NAMES)
    with pytest.raises(BoosterTextError, match="expected 'regression_l1' for output_tokens"):
        check_booster(text, predicts="output_tokens", names=NAMES)
    with pytest.raises(BoosterTextError, match="3 columns, expected the 3 of this version by name"):
        check_booster(text, predicts="success", names=["a", "b", "d"])
