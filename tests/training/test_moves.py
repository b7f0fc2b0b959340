"""A retrain that moves more traffic than its new evidence supports is not saved."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from simulated_world import BOLD

from router_model import Router, TrainingError
from router_model.features.featuriser import featurise
from router_model.training.measuring.moves import (
    ALWAYS_SUPPORTED,
    LARGEST_JUDGE,
    MOVES_PER_EVIDENCE,
    measure_moves,
    new_grades,
    same_settings,
)
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.split import split_prompts
from router_model.training.train import train

pytestmark = pytest.mark.slow


def changed(outcomes, n, judge=None):
    """Turn the first `n` grades of the first model over; they are of a judge."""
    quality = outcomes.quality.copy()
    quality[:n, 0] = 1 - (quality[:n, 0] >= 0.5)
    if judge is None:
        return replace(outcomes, quality=quality)
    judges = np.full(quality.shape, -1)
    judges[:n, 0] = np.arange(n) % len(judge)
    return replace(outcomes, quality=quality, judge=judges, judge_names=tuple(judge))


@pytest.fixture(scope="module")
def outcomes(table):
    return read_outcomes(table)


@pytest.fixture(scope="module")
def split(outcomes):
    return split_prompts(outcomes.split_keys, seed=0)


@pytest.fixture(scope="module")
def learned(outcomes, split):
    """What the router of the tests was trained on."""
    return outcomes.take(split.train)


def test_only_grades_that_differ_are_new(trained, learned):
    assert not new_grades(trained.router.artifact, learned).any()
    new = new_grades(trained.router.artifact, changed(learned, 7))
    assert new[:7, 0].all()
    assert new.sum() == 7


def test_prompts_that_the_former_router_had_not_are_new(trained, outcomes, split):
    unseen = outcomes.take(split.test[:5])
    assert new_grades(trained.router.artifact, unseen).sum() == (~np.isnan(unseen.quality)).sum()


def test_a_judge_counts_for_a_twentieth_at_most(trained, learned, outcomes, split):
    """Of n grades, n / 5 are new. By the operator: 3 x 1 / 5. By one judge: 3 x 1 / 20; by two: twice that."""
    features = featurise(outcomes.take(split.test).prompts, trained.router.encoder)
    n, n_grades = len(learned) * 3 // 5, len(learned) * 3
    share = n / n_grades
    for judge, counted in ((None, share), (["k"], LARGEST_JUDGE), (["k", "l"], 2 * LARGEST_JUDGE)):
        moves = measure_moves(trained.router, trained.router, changed(learned, n, judge), features)
        assert moves.supported == pytest.approx(MOVES_PER_EVIDENCE * counted)
        assert (moves.moved, moves.new_grades, moves.is_supported) == (0, n, True)
    nothing = measure_moves(trained.router, trained.router, learned, features)
    assert (nothing.supported, nothing.by_judge) == (ALWAYS_SUPPORTED, {})


def test_other_settings_are_no_comparison(trained):
    known = trained.router.artifact
    assert same_settings(known, known.provenance["config"])
    assert not same_settings(known, {**known.provenance["config"], "seed": 99})
    assert not same_settings(replace(known, provenance={}), known.provenance["config"])


def test_a_retrain_that_moves_much_on_little_is_refused(trained, table, catalog, tmp_path):
    """A cheap model's failures all become successes, and nobody signed it: the former router stays until told."""
    out, spoilt = tmp_path / "router", tmp_path / "spoilt.parquet"
    shutil.copytree(trained.path, out)
    is_small = pl.col("model") == "small"
    pl.read_parquet(table).with_columns(quality=pl.when(is_small).then(1.0).otherwise("quality")).write_parquet(spoilt)
    with pytest.raises(TrainingError, match=r"not saved.*go to another model.*grades are new.*--accept-moves"):
        train(spoilt, out, catalog=catalog, config=BOLD)
    assert Router.load(out).artifact.content_hash == trained.report.content_hash
    accepted = train(spoilt, out, catalog=catalog, config=BOLD, accept_moves=True)
    assert any(warning.startswith("accepted: ") for warning in accepted.warnings)
    assert accepted.moves.main_move[1] == "small"


@pytest.mark.slow
def test_the_same_table_again_moves_nothing(trained, table, catalog, tmp_path):
    again = train(table, tmp_path / "router", catalog=catalog, config=BOLD, former=trained.path)
    assert (again.moves.moved, again.moves.new_grades, again.content_hash) == (0, 0, trained.report.content_hash)
