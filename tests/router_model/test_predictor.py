from dataclasses import replace

import numpy as np
import pytest

from router_model.prediction.evidence import Evidence
from router_model.prediction.predictor import member_probabilities, pair_names, pair_rows

f32 = np.float32


def evidence(values, record=0.0):
    values = np.asarray(values, f32)
    record = np.broadcast_to(np.asarray(record, f32), values.shape[:3])
    return Evidence(("near",), values, record, np.array([[0.5, 0.25, 0.75]] * len(values), f32))


def test_pair_rows_are_value_difficulty_and_edge():
    """One prompt, two models, one bar: evidence 0.2 and 0.8, so the difficulty is 0.5 and the edges -0.3, 0.3."""
    rows = pair_rows(
        evidence([[[[0.2]], [[0.8]]]], record=[[0.4], [0.6]]),
        np.array([[7.0]], f32),
        np.array([0.5], f32),
        targets=[0],
    )
    names = pair_names(["near"], ["surface"], n_bars=1, n_targets=1)
    assert names == [
        "record", "familiarity_embedding", "familiarity_bag", "familiarity_coverage",
        "near", "near_difficulty", "near_edge", "surface",
    ]  # fmt: skip
    assert rows == pytest.approx(
        np.array([[0.4, 0.5, 0.25, 0.75, 0.2, 0.5, -0.3, 7], [0.6, 0.5, 0.25, 0.75, 0.8, 0.5, 0.3, 7]])
    )


def test_several_bars_are_rows_with_their_bar():
    values = np.zeros((2, 3, 2, 1))
    rows = pair_rows(evidence(values), np.zeros((2, 1), f32), np.array([0.5, 0.9], f32), targets=[0, 1])
    column = pair_names(["near"], ["surface"], n_bars=2, n_targets=2).index("quality_bar")
    assert rows.shape == (2 * 3 * 2, 9)
    assert rows[:, column].tolist() == pytest.approx([0.5, 0.9] * 6)


def test_amounts_have_no_bar():
    """Two bars, output tokens and latency."""
    found = replace(evidence(np.zeros((1, 2, 4, 1))), names=("kernel_1",))
    column = pair_names(found.names, ["surface"], n_bars=2, n_targets=4).index("quality_bar")
    for target, bar in enumerate([0.5, 0.9, 0, 0]):
        rows = pair_rows(found, np.zeros((1, 1), f32), np.array([0.5, 0.9], f32), targets=[target])
        assert rows[:, column].tolist() == pytest.approx([bar, bar])


def test_the_first_amount_is_evidence_for_every_target():
    """One bar and tokens: the kernel says 0.5 and -0.5 (log tokens off the mean), 0 on average, of two models."""
    values = np.array([[[[0.2, 0.3], [9.0, 0.5]], [[0.8, 0.7], [9.0, -0.5]]]])
    found = replace(evidence(values), names=("near", "kernel_1"))
    names = pair_names(found.names, ["surface"], n_bars=1, n_targets=2)
    assert names[-4:] == ["kernel_length", "kernel_length_difficulty", "kernel_length_edge", "surface"]
    for target in (0, 1):
        rows = pair_rows(found, np.array([[7.0]], f32), np.array([0.5], f32), targets=[target])
        assert rows[:, -4:] == pytest.approx(np.array([[0.5, 0, 0.5, 7], [-0.5, 0, -0.5, 7]]))


def test_members_are_record_evidence_and_booster():
    found = evidence([[[[0.2]], [[0.8]]]], record=[[0.4], [0.6]])
    members = member_probabilities(found, np.full((1, 2, 1), 0.9, f32))
    assert members == pytest.approx(np.array([[[[0.4, 0.2, 0.9]], [[0.6, 0.8, 0.9]]]], f32))
