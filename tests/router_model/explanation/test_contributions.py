from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_world import WORDS

from router_model.explanation.contributions import SOURCES, explain_success, source_of
from router_model.features.featuriser import featurise
from router_model.prediction.calibration import Blend, Calibration
from router_model.prediction.predictor import pair_rows

f32 = np.float32
SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


def with_parts(router, *, members=None, slopes=(0, 1, 1, 1), trust=20.0, rise=0.0, level=0.0):
    """Return the router's predictor with another blend and calibration; `rise` makes higher bars look easier."""
    predictor = router.artifact.predictor
    n_bars = len(predictor.grid)
    weights = predictor.blend.weights if members is None else np.asarray(members, f32) / f32(np.sum(members))
    by_bar = np.repeat(np.array(slopes, f32)[:, None], n_bars, axis=1)
    by_bar[0] += np.linspace(0, rise, n_bars, dtype=f32)
    return replace(
        predictor,
        blend=Blend(predictor.blend.members, weights),
        calibration=Calibration(
            by_bar,
            np.linspace(-level, level, 3 * n_bars, dtype=f32).reshape(3, n_bars),
            np.array([trust, 0, 0, 0], f32),
        ),
    )


def all_weight_on(router, member):
    return [float(name == member) for name in router.artifact.predictor.blend.members]


def explain(predictor, router, prompt=SUM, bar=0.5):
    return explain_success(predictor, featurise([prompt], router.encoder), range(3), quality_bar=bar)


def by_source(success):
    return {contribution.source: contribution.log_odds for contribution in success.contributions}


words = st.lists(st.sampled_from([word for task in WORDS.values() for word in task]), max_size=15).map(" ".join)


@given(
    prompt=words,
    bar=st.sampled_from([0.1, 0.3, 0.5, 0.55, 0.66, 0.7, 0.85, 0.9, 0.95]),
    members=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
    slopes=st.tuples(st.floats(-1, 1), *[st.floats(0.2, 1.5)] * 3),
    trust=st.floats(-3, 3),
    rise=st.sampled_from([0.0, 3.0, 6.0]),
)
def test_contributions_add_up_to_the_log_odds_of_success(trained, graded, *, prompt, bar, members, slopes, trust, rise):
    for router in (trained.router, graded.router):
        predictor = with_parts(router, members=members, slopes=slopes, trust=trust, rise=rise, level=0.5)
        features = featurise([prompt], router.encoder)
        predicted = predictor.predict(features, quality_bar=bar).p_success[0]
        for p, success in zip(predicted, explain(predictor, router, prompt, bar), strict=True):
            total = success.record_log_odds + success.calibration + sum(by_source(success).values())
            assert success.p_success == pytest.approx(float(p), abs=1e-6)
            assert total == pytest.approx(success.log_odds, abs=2e-3)  # p is float32, and log odds of it are steep
            assert [contribution.source for contribution in success.contributions] == list(SOURCES)
            assert all(c.log_odds == pytest.approx(c.difficulty + c.edge) for c in success.contributions)


def test_a_blend_of_one_member_is_explained_by_it_alone(trained):
    """All weight on the embedding's head: what the log odds differ from the record's is its learned score."""
    predictor = with_parts(trained.router, members=all_weight_on(trained.router, "embedding_head"))
    for success in explain(predictor, trained.router):
        found = by_source(success)
        assert found.pop("learned_scores") == pytest.approx(success.log_odds - success.record_log_odds, abs=1e-4)
        assert list(found.values()) == pytest.approx([0] * 5, abs=1e-6)
        assert success.calibration == pytest.approx(0, abs=1e-6)


def test_a_blend_of_the_boosters_alone_is_explained_by_their_tree_contributions(trained):
    """Chords there and back cancel: what trees add to their own score is what they add to the log odds."""
    router = trained.router
    predictor = with_parts(router, members=all_weight_on(router, "booster"))
    features = featurise([SUM], router.encoder)
    rows = pair_rows(
        predictor.evidence_model.evidence(features),
        predictor.evidence_model.surface_of(features),
        predictor.grid.bars,
        targets=[0],
    )
    trees = np.mean([booster.predict(rows, pred_contrib=True) for booster in predictor.boosters], axis=0)
    sources = np.array([source_of(name) for name in predictor.boosters[0].feature_name()])
    for row, success in zip(trees, explain(predictor, router), strict=True):
        for source, log_odds in by_source(success).items():
            own = row[:-1][sources == source].sum()
            bias = row[-1] - success.record_log_odds if source == "record" else 0.0
            assert log_odds == pytest.approx(own + bias, abs=1e-4)


def test_without_trust_nothing_tells_models_apart_but_their_records(trained):
    """Edges are nothing, and the difficulty, doubled, is the same for all models."""
    predictor = with_parts(trained.router, slopes=(0.25, 1, 2, 1), trust=-30.0)
    known = [success.contributions for success in explain(predictor, trained.router)]
    for each in zip(*known, strict=True):
        assert [contribution.edge for contribution in each] == pytest.approx([0, 0, 0], abs=1e-6)
        assert len({round(contribution.difficulty, 9) for contribution in each}) == 1
    assert [success.calibration for success in explain(predictor, trained.router)] == pytest.approx([0.25] * 3)


def test_edges_of_all_models_cancel(trained):
    for each in zip(
        *(s.contributions for s in explain(trained.router.artifact.predictor, trained.router)), strict=True
    ):
        assert sum(contribution.edge for contribution in each) == pytest.approx(0, abs=1e-9)


def test_surface_features_are_named_and_strongest_first(trained):
    for success in explain(trained.router.artifact.predictor, trained.router):
        sizes = [abs(feature.log_odds) for feature in success.surface]
        assert len(sizes) <= 3
        assert sizes == sorted(sizes, reverse=True)
        assert all(feature.meaning for feature in success.surface)


def test_a_bar_that_every_logged_answer_meets_needs_no_explanation(graded):
    low = graded.router.artifact.predictor.grid.low
    assert low > 0
    assert explain(graded.router.artifact.predictor, graded.router, bar=low) == [None, None, None]
