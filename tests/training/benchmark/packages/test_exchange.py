import json
from dataclasses import replace

import numpy as np
import pytest

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.benchmark.packages.exchange import read_answer, write_task

N_VALIDATION, N_TEST, N_MODELS = 4, 5, 3


def answered(folder, *, n_variants=2, **changes):
    """Write an answer that fits `small_trial`, but for `changes`; None leaves an entry out."""
    arrays = {
        "choices_validation": np.zeros((n_variants, 7, N_VALIDATION), dtype=np.int64),
        "choices_test": np.ones((n_variants, 7, N_TEST), dtype=np.int64),
        "p_success_validation": np.full((n_variants, N_VALIDATION, N_MODELS), 0.25),
        "p_success_test": np.full((n_variants, N_TEST, N_MODELS), 0.5),
    }
    report = {"settings": [{"k": i} for i in range(n_variants)], "fit_s": 2.0, "decide_s": [0.1] * n_variants}
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None and name not in report}
    np.savez(folder / "answer.npz", **arrays)
    kept = {name: value for name, value in (report | changes).items() if name in report and value is not None}
    (folder / "answer.json").write_text(json.dumps(kept))


def test_task_holds_vectors_and_known_outcomes_and_nothing_of_the_test_outcomes(trial, tmp_path):
    write_task(tmp_path, trial)
    with np.load(tmp_path / "task.npz", allow_pickle=False) as task:
        assert sorted(name for name in task.files if "test" in name) == ["vectors_test"]
        np.testing.assert_array_equal(task["vectors_test"], trial.test.features.embedding)
        np.testing.assert_array_equal(task["quality_train"], trial.train.quality)
        np.testing.assert_array_equal(task["cost_validation"], trial.validation.cost_usd)
        assert task["values"][0] == 0
        assert int(task["seed"]) == 0


def test_task_keeps_unknown_outcomes_unknown(trial, tmp_path):
    write_task(tmp_path, replace(trial, train=trial.train.blinded()))
    with np.load(tmp_path / "task.npz", allow_pickle=False) as task:
        assert np.isnan(task["success_train"]).all()


def test_answer_is_one_variant_for_each_setting(small_trial, tmp_path):
    answered(tmp_path)
    first, second = read_answer(tmp_path, small_trial)
    assert (first.settings, second.settings) == ({"k": 0}, {"k": 1})
    assert first.validation.choices.shape == (7, N_VALIDATION)
    assert second.test.choices.tolist() == [[1] * N_TEST] * 7
    assert second.test.p_success.tolist() == [[0.5] * N_MODELS] * N_TEST
    assert (second.fit_s, second.decide_s) == (2.0, 0.1)


def test_answer_without_probabilities_has_none(small_trial, tmp_path):
    answered(tmp_path, p_success_validation=None, p_success_test=None)
    assert read_answer(tmp_path, small_trial)[0].test.p_success is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"choices_test": None}, "answer.npz has no 'choices_test'"),
        (
            {"choices_test": np.zeros((2, 7, 4), dtype=int)},
            r"'choices_test' has shape \(2, 7, 4\), expected \(2, configurations, 5\)",
        ),
        ({"choices_test": np.zeros((2, 6, 5), dtype=int)}, "must be the same on both sides; got .*7.*6"),
        ({"choices_test": np.zeros((2, 0, 5), dtype=int)}, r"shape \(2, 0, 5\)"),
        ({"choices_test": np.full((2, 7, 5), 3)}, "whole numbers from 0 to 2; it holds int64 values to 3"),
        ({"choices_test": np.full((2, 7, 5), -1)}, "whole numbers from 0 to 2"),
        ({"choices_test": np.zeros((2, 7, 5))}, "it holds float64 values to 0.0"),
        ({"p_success_test": np.zeros((2, 5, 4))}, r"'p_success_test' has shape \(2, 5, 4\), expected \(2, 5, 3\)"),
        ({"p_success_test": np.full((2, 5, 3), 1.2)}, r"outside \[0, 1\]"),
        ({"p_success_test": np.full((2, 5, 3), np.nan)}, r"outside \[0, 1\]"),
        ({"settings": None}, "no list 'settings'"),
        ({"settings": []}, "no list 'settings'"),
        ({"decide_s": [0.1]}, "2 settings and 1 decide_s"),
        ({"fit_s": None}, "no number 'fit_s'"),
        ({"choices_test": np.array([["pickled"]], dtype=object)}, "its answer cannot be read .*allow_pickle"),
    ],
)
def test_answer_that_does_not_fit_is_refused(small_trial, tmp_path, changes, reason):
    answered(tmp_path, **changes)
    with pytest.raises(MethodUnavailableError, match=reason):
        read_answer(tmp_path, small_trial)


def test_answer_that_is_missing_or_no_object_is_refused(small_trial, tmp_path):
    with pytest.raises(MethodUnavailableError, match="without writing answer.npz"):
        read_answer(tmp_path, small_trial)
    answered(tmp_path)
    (tmp_path / "answer.json").write_text("[]")
    with pytest.raises(MethodUnavailableError, match="answer.json holds a list, expected an object"):
        read_answer(tmp_path, small_trial)
    (tmp_path / "answer.json").write_text("{")
    with pytest.raises(MethodUnavailableError, match="its answer cannot be read"):
        read_answer(tmp_path, small_trial)
