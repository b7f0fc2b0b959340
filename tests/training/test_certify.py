from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from resplits import certify_draws, naive_draws, random_sides, task_sides
from scipy.stats import binom
from simulated_world import simulate

from router_model import TableError, TrainingError
from router_model.certificate import LIKELIEST_USD
from router_model.training.measuring.certify import (
    SUCCESS_VALUES,
    RuleCounts,
    certificates_of,
    certify,
    check_targets,
    chosen_by_value,
    default_targets,
    last_rejected,
    prompts_needed,
    why_not,
)
from router_model.training.measuring.design_effect import design_effects
from router_model.training.table.outcomes import read_outcomes
from router_model.wording import percent

DELTA = 0.1
N_DRAWS = 2000
ERROR = 3 * np.sqrt(DELTA * (1 - DELTA) / N_DRAWS)  # three standard errors of a share of DELTA


def outcomes(frame, tmp_path):
    frame.write_parquet(tmp_path / "t.parquet")
    return read_outcomes(tmp_path / "t.parquet")


def closed_form_world(seed=0, n_kinds=60, noise=0.15):
    """Kinds of prompts, equally frequent, with known chances of four models; predictions are off by noise.

    Returns the true chance of success of every (value, kind): a rule's true rate is the mean of its row.
    """
    rng = np.random.default_rng(seed)
    skill = np.array([-0.5, 0.5, 1.5, 2.5])
    truth = 1 / (1 + np.exp(-(skill + rng.normal(0, 1, (n_kinds, 1)) + rng.normal(0, 0.7, (n_kinds, 4)))))
    predicted = np.clip(truth + rng.normal(0, noise, truth.shape), 0.01, 0.99)
    cost = np.array([1e-5, 1e-4, 1e-3, 1e-2]) * rng.lognormal(0, 0.5, (n_kinds, 4))
    chosen = chosen_by_value(predicted, cost, np.ones(truth.shape, bool))
    return truth[np.arange(n_kinds), chosen]


def draw_counts(chance, n_prompts, seed):
    """Count successes of every rule in `N_DRAWS` calibration sets of the closed-form world, (n_values, n_draws).

    One uniform number a prompt decides the outcome under every rule, so rules that agree succeed together.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((len(chance), N_DRAWS))
    for draw in range(N_DRAWS):
        kinds = rng.integers(chance.shape[1], size=n_prompts)
        counts[:, draw] = (rng.random(n_prompts) < chance[:, kinds]).sum(axis=1)
    return counts


@pytest.mark.parametrize(("world", "n_prompts"), [(0, 200), (1, 500), (2, 60)])
def test_the_promise_is_broken_no_more_often_than_delta(world, n_prompts):
    """In a world whose rates are known exactly; targets within the family's range, where breaking is easy."""
    chance = closed_form_world(world)
    rate = chance.mean(axis=1)
    counts = draw_counts(chance, n_prompts, seed=world)
    for share in (0.98, 0.9, 0.8):
        target = float(rate[0] * share)
        last = last_rejected(counts, n_prompts, target=target, level=DELTA)
        broken = (last >= 0) & (rate[last] < target)
        assert broken.mean() <= DELTA + ERROR, (share, broken.mean())


def test_the_test_is_not_vacuous():
    """The tempting choice, the cheapest value that reached the target, breaks it several times as often."""
    chance = closed_form_world(1)
    rate, n_prompts = chance.mean(axis=1), 500
    counts = draw_counts(chance, n_prompts, seed=1)
    target = float(rate[0] * 0.9)
    reached = counts / n_prompts >= target
    cheapest = len(rate) - 1 - np.argmax(reached[::-1], axis=0)
    naive = (reached.any(axis=0) & (rate[cheapest] < target)).mean()
    last = last_rejected(counts, n_prompts, target=target, level=DELTA)
    assert naive > 3 * DELTA
    assert (last >= 0).mean() > 0.9  # and certification does certify
    assert ((last >= 0) & (rate[last] < target)).mean() > 0.01  # near its limit, not merely shy


def test_several_targets_together_break_no_more_often_than_delta():
    chance = closed_form_world(2)
    rate, n_prompts = chance.mean(axis=1), 300
    counts = draw_counts(chance, n_prompts, seed=2)
    broken = np.zeros(N_DRAWS, dtype=bool)
    targets = [float(rate[0] * share) for share in (0.97, 0.9, 0.8, 0.7)]
    for target in targets:
        last = last_rejected(counts, n_prompts, target=target, level=DELTA / len(targets))
        broken |= (last >= 0) & (rate[last] < target)
    assert broken.mean() <= DELTA + ERROR


def test_a_target_beyond_every_rule_is_almost_never_certified():
    chance = closed_form_world(0)
    counts = draw_counts(chance, 200, seed=3)
    target = float(chance.mean(axis=1).max() + 0.005)
    assert (last_rejected(counts, 200, target=target, level=DELTA) >= 0).mean() <= DELTA + ERROR


def test_the_walk_is_a_plain_loop():
    rng = np.random.default_rng(0)
    counts = np.sort(rng.integers(70, 100, (30, 40)), axis=0)[::-1]
    counts[3:9] = rng.integers(70, 100, (6, 40))  # not monotone
    for draw, last in enumerate(last_rejected(counts, 100, target=0.85, level=0.1)):
        expected = -1
        for n_succeeded in counts[:, draw]:
            if binom.sf(n_succeeded - 1, 100, 0.85) > 0.1:
                break
            expected += 1
        assert last == expected


def test_the_family_goes_from_the_likeliest_to_the_cheapest_model():
    p = np.array([[0.9, 0.899999, 0.2], [0.3, 0.1, 0.2]])
    cost = np.array([[0.5, 0.001, 1e-6], [0.5, 0.001, 1e-6]])
    chosen = chosen_by_value(p, cost, np.ones(p.shape, bool))
    assert chosen[0].tolist() == [0, 0]
    assert chosen[-1].tolist() == [2, 2]
    assert SUCCESS_VALUES[0] == LIKELIEST_USD
    assert list(SUCCESS_VALUES) == sorted(set(SUCCESS_VALUES), reverse=True)


def rule_counts(n_succeeded, n_prompts, *, n_missing=0, effect=1.0):
    n_succeeded = np.asarray(n_succeeded)
    rules = np.ones(len(n_succeeded))
    return RuleCounts(n_prompts, n_succeeded, (n_missing * rules).astype(int), effect * rules)


def test_certificates_by_hand():
    """Of 100 prompts 97, 95, then 94 succeed; "0.9 at level 0.1" takes 95, and at level 0.05 takes 96.

    P(Bin(100, 0.9) >= 95) = 0.058, >= 94: 0.117, >= 96: 0.024.
    """
    counts = np.full(len(SUCCESS_VALUES), 94)
    counts[:2] = 97, 95
    arguments = {
        "delta": 0.1,
        "models": ("a", "b"),
        "quality_bar": 0.5,
        "split_hash": "sha256:0",
    }
    (alone,) = certificates_of(rule_counts(counts, 100), np.array([0.91, 0.96]), targets=(0.9,), **arguments)
    assert (alone.success_value_usd, alone.realised_success, alone.reason) == (SUCCESS_VALUES[1], 0.95, None)
    assert (alone.safest_model, alone.safest_success) == ("b", 0.96)
    pair = certificates_of(rule_counts(counts, 100), np.array([0.91, 0.96]), targets=(0.9, 0.99), **arguments)
    assert pair[0].success_value_usd == SUCCESS_VALUES[0]  # each is tested at 0.05
    assert not pair[1].certified
    assert "100 calibration prompts are too few: 299 or more are needed, even if all succeed" in pair[1].in_words()
    assert "go to b, the best single model on these prompts (0.960)" in pair[1].in_words()
    copies = rule_counts(5 * counts, 500, n_missing=3, effect=5.0)
    (five,) = certificates_of(copies, np.array([0.91, 0.96]), targets=(0.9,), **arguments)
    assert (five.success_value_usd, five.n_prompts, five.n_missing) == (alone.success_value_usd, 500, 3)
    assert (
        "0.950 of 500 calibration prompts, which count as 100 succeeded, 3 (0.6 %) without an outcome"
        in five.in_words()
    )


def test_reasons_say_what_was_reached_and_what_it_takes():
    needed = prompts_needed(0.9, 0.05)
    assert 0.9**needed <= 0.05 < 0.9 ** (needed - 1)
    assert why_not(rule_counts([71], 100), target=0.9, level=0.1) == (
        "of 100 calibration prompts only 0.710 succeed even if each goes to the model likeliest to succeed"
    )
    assert "takes 0.950" in why_not(rule_counts([93], 100), target=0.9, level=0.1)


def test_default_targets_come_from_known_outcomes_only():
    """The best model succeeds on 2 of its 2 known prompts: 0.95 and 0.9; a model that always fails gives none."""
    success = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    known = np.array([[True, True], [False, True], [True, True]])
    assert default_targets(success, known) == (0.9, 0.95)
    assert default_targets(np.zeros((3, 2)), known) == ()


@pytest.mark.parametrize(
    ("targets", "delta", "match"),
    [
        ((), 0.1, "expected one or more rates above 0 and below 1"),
        ((1.0,), 0.1, r"target success \[1.0\]"),
        ((0.9, 0.0), 0.1, r"\[0.9, 0.0\]"),
        ((float("nan"),), 0.1, "nan"),
        ((0.9,), 0.0, "delta=0.0; expected a probability above 0 and below 1"),
        ((0.9,), 1.0, "delta=1.0"),
    ],
)
def test_impossible_targets_are_refused(targets, delta, match):
    with pytest.raises(TrainingError, match=match):
        check_targets(targets, delta)


def test_targets_are_counted_once():
    assert check_targets((0.9, 0.8, 0.9), 0.1) == (0.8, 0.9)


def test_a_router_keeps_its_word_on_new_prompts(trained, tmp_path):
    """900 new prompts of the world it was trained in certify; 1,500 more show what was promised."""
    found = certify(trained.router, outcomes(simulate(900, seed=21), tmp_path), targets=(0.85, 0.5, 0.99))
    cheap, fair, impossible = found.certificates
    assert (cheap.certified, fair.certified, impossible.certified) == (True, True, False)
    assert cheap.success_value_usd < fair.success_value_usd
    assert impossible.safest_model == "large"
    router = replace(trained.router, artifact=replace(trained.router.artifact, certificates=found.certificates))
    frame = simulate(1500, seed=22)
    quality = {(row["prompt_id"], row["model"]): row["quality"] for row in frame.iter_rows(named=True)}
    prompts = frame.unique("prompt_id", maintain_order=True)
    for certificate in (cheap, fair):
        decisions = router.route_batch(prompts["prompt"].to_list(), target_success=certificate.target_success)
        rate = np.mean([quality[i, d.model] for i, d in zip(prompts["prompt_id"], decisions, strict=True)])
        assert rate >= certificate.target_success
        assert all(decision.certificate == certificate for decision in decisions)


def test_prompts_that_were_trained_on_do_not_count_and_missing_answers_are_failures(trained, table, tmp_path):
    frame = simulate(200, seed=5)
    missing = (pl.col("model") == "large") & pl.col("prompt_id").str.ends_with("7")
    partial = frame.with_columns(quality=pl.when(missing).then(None).otherwise(pl.col("quality")))
    found = certify(trained.router, outcomes(pl.concat([pl.read_parquet(table), partial]), tmp_path), targets=(0.99,))
    assert found.n_seen == trained.report.n_train
    (certificate,) = found.certificates
    assert certificate.n_prompts == found.n_prompts == 700 - found.n_seen
    assert 10 <= certificate.n_missing <= 20  # the likeliest model is nearly always "large"
    share = percent(certificate.n_missing / certificate.n_prompts)
    assert f"({certificate.n_missing} answers of that model, {share}, are missing" in certificate.reason


def test_one_answer_a_prompt_certifies_nothing_and_names_no_safe_model(trained, tmp_path):
    """Logged traffic: each prompt has one model's answer. Nothing is certified, and no certificate is replaced."""
    frame = simulate(300, seed=9).filter(pl.int_range(pl.len()) % 3 == pl.col("prompt_id").hash(seed=1) % 3)
    logged = outcomes(frame.unique("prompt_id", keep="first", maintain_order=True), tmp_path)
    with pytest.raises(
        TableError, match=r"for \d+ of \d+ prompts the table has no graded answer of the model likeliest"
    ):
        certify(trained.router, logged, targets=(0.5,))


def test_prompts_without_a_grade_are_counted(trained, tmp_path):
    frame = simulate(100, seed=5)
    ungraded = pl.col("prompt_id").str.ends_with("7")
    partial = frame.with_columns(quality=pl.when(ungraded).then(None).otherwise(pl.col("quality")))
    found = certify(trained.router, outcomes(partial, tmp_path), targets=(0.6,))
    assert (found.n_prompts, found.n_ungraded) == (90, 10)


def test_copies_and_conversations_do_not_make_a_certificate_stronger(trained, tmp_path):
    frame = simulate(100, seed=5)
    copies = pl.concat([frame.with_columns(prompt_id=pl.col("prompt_id") + f"-{n}") for n in range(5)])
    talk = copies.with_columns(
        prompt=pl.col("prompt") + " " + pl.col("prompt_id"),
        session_id=pl.col("prompt_id").str.replace(r"-\d+$", ""),
    )
    for each in (copies, talk):
        (once,) = certify(trained.router, outcomes(frame, tmp_path), targets=(0.6,)).certificates
        (five,) = certify(trained.router, outcomes(each, tmp_path), targets=(0.6,)).certificates
        assert five.n_prompts / five.design_effect == pytest.approx(once.n_prompts / once.design_effect, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "conversations", "failures go missing"])
def test_the_promise_holds_where_prompts_are_not_independent(kind):
    """The audit's designs: each prompt five times, conversations of 20, and 5 % of the failed answers missing.

    Counted as independent, and with complete prompts only, the promise is broken several times as often.
    """
    chance, rng, n_draws = closed_form_world(3), np.random.default_rng(0), 500
    rate = chance.mean(axis=1)
    target, size = float(rate[0] * 0.97), {"copies": 5, "conversations": 20}.get(kind, 1)
    broken = naively = 0
    for _ in range(n_draws):
        cluster = np.repeat(np.arange(400 // size), size)
        kinds = rng.integers(chance.shape[1], size=cluster.max() + 1)[cluster]
        draw = rng.random(cluster.max() + 1)[cluster] if kind == "copies" else rng.random(len(cluster))
        success = draw < chance[:, kinds]
        kept = np.ones(len(cluster), dtype=bool)
        if kind == "failures go missing":  # a prompt lacks an answer of one of the rules' models
            kept = success[0] | (rng.random(len(cluster)) > 0.3)
        effect = design_effects(success, cluster, np.arange(len(cluster)))
        last = last_rejected(success.sum(axis=1) / effect, len(cluster) / effect, target=target, level=DELTA)
        broken += last >= 0 and rate[last] < target
        last = last_rejected(success[:, kept].sum(axis=1), kept.sum(), target=target, level=DELTA)
        naively += last >= 0 and rate[last] < target
    assert broken / n_draws <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / n_draws)
    assert naively / n_draws > 1.5 * DELTA


def test_no_prompt_left_is_said(trained, tmp_path):
    none = simulate(1, seed=7).with_columns(quality=pl.lit(None, dtype=pl.Float64))
    with pytest.raises(TableError, match="the router was trained on 0, and no answer to the others is graded"):
        certify(trained.router, outcomes(none, tmp_path), targets=(0.9,))


def test_the_split_hash_is_blind_to_order_and_not_to_prompts(trained, tmp_path):
    frame = simulate(60, seed=8)
    known = outcomes(frame, tmp_path)
    backwards = known.take(np.arange(len(known))[::-1])
    fewer = known.take(np.arange(59))
    hashes = [certify(trained.router, o, targets=(0.5,)).certificates[0].split_hash for o in (known, backwards, fewer)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_resplits_count_what_they_say():
    """Two values, four prompts; the first two calibrate. The first value succeeds on 2 of 2, then on 1 of 2."""
    succeeded = np.array([[1, 1, 1, 0], [1, 0, 1, 1]], dtype=bool)
    calibration = np.array([[1, 1, 0, 0]], dtype=bool)
    draws = certify_draws(succeeded, calibration, ~calibration, target=0.6, level=0.4)
    assert (draws.last.tolist(), draws.test_rate.tolist(), draws.all_rate.tolist()) == ([0], [0.5], [0.75])
    assert (draws.certified, draws.violations(0.6), draws.violations(0.6, on_test=True)) == (1.0, 0.0, 1.0)
    naive = naive_draws(succeeded, calibration, ~calibration, target=0.5)
    assert naive.last.tolist() == [1]
    nothing = certify_draws(succeeded, calibration, ~calibration, target=0.9, level=0.1)
    assert (nothing.certified, nothing.violations(0.9)) == (0.0, 0.0)


def test_sides_are_disjoint_and_tasks_are_not_shared():
    assert random_sides(10, 3, 5, seed=0).sum(axis=1).tolist() == [3] * 5
    tasks = np.array(list("aaabbbcccddd"))
    for calibration, test in zip(*task_sides(tasks, 4, 6, seed=0), strict=True):
        assert calibration.sum() == 4
        assert test.sum() == 6
        assert not set(tasks[calibration]) & set(tasks[test])


def test_graded_qualities_are_certified_at_any_trained_bar(graded, tmp_path):
    frame = simulate(400, seed=12, graded=True)
    known = outcomes(frame, tmp_path)
    strict = certify(graded.router, known, targets=(0.3,), quality_bar=0.9).certificates[0]
    loose = certify(graded.router, known, targets=(0.3,), quality_bar=0.5).certificates[0]
    assert (strict.quality_bar, loose.quality_bar) == (0.9, 0.5)
    assert strict.safest_success < loose.safest_success
