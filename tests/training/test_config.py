from pathlib import Path

import pytest

from router_model import TrainingError
from router_model.prediction.kernel import Kernel
from router_model.training.config import read_config


def write(tmp_path: Path, content: str) -> Path:
    (tmp_path / "train.toml").write_text(content)
    return tmp_path / "train.toml"


def test_a_file_changes_defaults_and_options_win(tmp_path):
    path = write(
        tmp_path, "seed = 3\nquality_bars = [0.5, 1]\n[fit.evidence]\nkernel_penalties = [7]\nkernel.bag = 3\n"
    )
    config = read_config(path, {"seed": 4})
    assert read_config(write(tmp_path, "target_success = [0.9]\ndelta = 0.2"), {}).target_success == (0.9,)
    assert (config.seed, config.quality_bars, config.fit.evidence.kernel_penalties) == (4, (0.5, 1.0), (7.0,))
    assert config.fit.evidence.kernel == Kernel(bag=3.0)
    assert config.fit.boosters == read_config(None, {}).fit.boosters


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            "sed = 1",
            "unknown setting sed; expected some of delta, encoder, fit, holdout, keep_prompts, max_quality_loss",
        ),
        ("[fit.evidence]\nk = 1", r"\[fit\]: \[evidence\]: unknown setting k"),
        ("seed = 'x'", "seed is 'x'; expected something like 0"),
        ("seed = true", "seed is True"),
        ("quality_bars = 0.5", r"quality_bars is 0.5; expected something like \(0.5, 0.7, 0.9\)"),
        ("fit = 3", "fit is 3; expected a table of settings"),
        ("[fit.evidence]\nkernel_penalties = [2, 1]", r"kernel_penalties=\[2.0, 1.0\]; expected positive numbers"),
        ("[fit.evidence.kernel]\ntopic = 1", r"\[kernel\]: unknown setting topic; expected some of bag, embedding"),
        ("[fit.evidence]\nhead_penalties = []", r"head_penalties=\[\]; expected positive"),
        ("[fit.boosters]\nnum_leaves = 1", "boosters: num_leaves=1 cannot be used"),
        ("[fit.boosters]\nmax_rounds = 0", "boosters: max_rounds=0 cannot be used"),
        ("target_success = ['x']", "target_success is 'x'; expected something like 0.5"),
        ("seed =", "the settings cannot be read"),
    ],
)
def test_wrong_settings_are_named(tmp_path, content, match):
    with pytest.raises(TrainingError, match=match):
        read_config(write(tmp_path, content), {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.toml: the settings cannot be read"):
        read_config(tmp_path / "none.toml", {})
