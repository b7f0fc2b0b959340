from dataclasses import replace

import pytest
from fake_results import TASKS, fake_results

from router_model.training.benchmark.margins import by_margin, is_shift, margins_of, shift_summary


def test_trials_are_tasks_or_seeds():
    assert is_shift(fake_results(shift=True))
    assert not is_shift(fake_results())
    assert not is_shift(replace(fake_results(), trials=()))


def test_a_margin_is_aiq_less_that_of_the_static_mix():
    method = fake_results(shift=True).methods[-1]
    trial = replace(method.trials[0], metrics={"aiq": 0.51, "aiq_singles": 0.53})
    unknown = replace(method.trials[1], metrics={"aiq": None, "aiq_singles": 0.53})
    assert margins_of(replace(method, trials=(trial, unknown))) == {"biology left out": pytest.approx(-0.02)}


def test_only_learned_methods_are_held_to_the_static_mix():
    found = by_margin(fake_results(shift=True))
    assert found[0][0].name == "ours"
    assert len(found) == 9
    assert all(len(margins) == len(TASKS) for _, margins in found)


def test_the_summary_names_tasks_below_the_static_mix():
    results = fake_results(shift=True)
    ours = results.methods[-1]
    worse = replace(ours.trials[3], metrics={"aiq": 0.1, "aiq_singles": 0.5})
    results = replace(
        results, methods=(*results.methods[:-1], replace(ours, trials=(*ours.trials[:3], worse, *ours.trials[4:])))
    )
    first, own = shift_summary(results)
    assert first.startswith("Tasks never seen: kNN 100 is number 1 of 9 learned methods")
    assert own.startswith("Tasks never seen: ours is number 9 of 9")
    assert own.endswith("below it on 1 (computer science left out).")
