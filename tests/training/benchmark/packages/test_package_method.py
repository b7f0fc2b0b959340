"""`PackageMethod` with a tiny package, whose environment is the interpreter that runs the tests."""

import sys

import numpy as np
import pytest

from router_model.training.benchmark.method import MethodCard, MethodUnavailableError, Routing
from router_model.training.benchmark.packages.environment import PackageEnvironment
from router_model.training.benchmark.packages.exchange import Variant
from router_model.training.benchmark.packages.package_method import PackageMethod, choose

FAKE = """
import json, pathlib, sys
import numpy as np
folder = pathlib.Path(sys.argv[1])
task = np.load(folder / "task.npz", allow_pickle=False)
m = task["quality_train"].shape[1]
choices = {side: np.stack([np.zeros((m, n), int), np.repeat(np.arange(m)[:, None], n, 1)])
           for side in ("validation", "test") for n in [len(task["vectors_" + side])]}
np.savez(folder / "answer.npz", **{"choices_" + side: array for side, array in choices.items()})
report = {"settings": [{"arm": "first"}, {"arm": "each"}], "fit_s": 1, "decide_s": [0.5, 0.25]}
(folder / "answer.json").write_text(json.dumps(report))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return what makes a method of some code, its environment found in the cache."""
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path))
    environment = PackageEnvironment("fake", ("fake==1",))
    python = environment.folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)

    def method(code=FAKE, **options):
        (tmp_path / "fake_rival.py").write_text(code)
        card = MethodCard("fake", "package", "fake 1", "arm")
        return PackageMethod(card, environment, tmp_path / "fake_rival.py", **options)

    return method


def test_method_answers_with_the_variant_that_is_better_on_validation(fake, trial):
    """Every model for everything has a higher hull than the first model alone."""
    said = []
    routed = fake().route(trial.blinded(), said.append)
    assert routed.settings == {"arm": "each"}
    assert routed.test.choices.tolist() == [[model] * len(trial.test) for model in range(3)]
    assert (routed.fit_s, routed.decide_s) == (1.0, 0.25)
    assert said == ["fake is installed"]


def test_method_of_pairs_refuses_other_tables(fake, trial, pair_trial):
    with pytest.raises(MethodUnavailableError, match="needs exactly two models; the table has 3"):
        fake(pair_only=True).route(trial, lambda _: None)
    assert fake(pair_only=True).route(pair_trial.blinded(), lambda _: None).test.choices.shape[0] == 2


def test_method_whose_package_fails_says_why(fake, trial):
    with pytest.raises(MethodUnavailableError, match="code 1: ModuleNotFoundError: No module named 'no_such_rival'"):
        fake("import no_such_rival").route(trial, lambda _: None)
    with pytest.raises(MethodUnavailableError, match="within 1 s"):
        fake("import time; time.sleep(600)", time_limit_s=1).route(trial, lambda _: None)
    with pytest.raises(MethodUnavailableError, match="without writing answer.npz"):
        fake("").route(trial, lambda _: None)


def test_choose_takes_the_first_of_equals(trial):
    def variant(name, column):
        routing = Routing(np.full((1, len(trial.validation)), column, dtype=np.intp))
        return Variant(routing, routing, {"name": name}, 0.0, 0.0)

    assert choose([variant("a", 2), variant("b", 2)], trial.validation).settings == {"name": "a"}
