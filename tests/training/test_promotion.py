import json
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from explored_log import explored_log
from simulated_world import simulate
from written_page import text_of

from router_model import ArtifactError, Catalog, RequestError, Router, TableError
from router_model.goal import TargetSuccess
from router_model.saved.artifact import save_artifact
from router_model.saved.place import Place
from router_model.training.measuring.evaluate import evaluate, learned_from
from router_model.training.measuring.paired import Resampling, paired_difference
from router_model.training.measuring.verdict import Difference, Estimate
from router_model.training.promotion.check import Limits, Status
from router_model.training.promotion.checks import gain
from router_model.training.promotion.evidence import Evidence
from router_model.training.promotion.promote import promote
from router_model.training.table.outcomes import read_outcomes

TOLERANT = Limits(max_quality_loss=0.1)
TODAY = date(2026, 11, 29)
N_LOGGED = 1500


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Prompts that no router of these tests was trained on."""
    path = tmp_path_factory.mktemp("fresh") / "fresh.parquet"
    simulate(600, seed=8).write_parquet(path)
    return path


@pytest.fixture
def place(tmp_path, valued):
    """A place that serves `dear`, to which everything is a cheaper challenger."""
    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    return place


def changed(trained, folder, **parts):
    save_artifact(replace(trained.router.artifact, **parts), folder)
    return folder


def dated(catalog, days):
    """Prices that were checked so many days before `TODAY`."""
    return Catalog({card.model: replace(card, price_date=TODAY - timedelta(days)) for card in catalog.cards.values()})


def read_outcomes_of(frame, path):
    frame.write_parquet(path)
    return read_outcomes(path)


def checks_of(promotion):
    return {check.name: check for check in promotion.checks}


def test_a_cheaper_challenger_that_is_not_worse_is_published(place, valued, fresh, trained, catalog):
    """All seven checks pass; what they found is in the history."""
    found = promote(
        valued["weighing"], place.folder, table=fresh, limits=TOLERANT, catalog=dated(catalog, 30), today=TODAY
    )
    assert {check.status for check in found.checks} == {Status.PASSED}
    assert place.current.name == found.challenger == trained.report.content_hash.removeprefix("sha256:")[:12]
    assert place.previous.name == found.champion
    assert found.sentence == f"{place.folder} serves {found.challenger} in place of {found.champion}"
    entry = place.history()[-1]
    assert (entry["forced"], entry["overridden"]) == (False, [])
    assert [check["name"] for check in entry["checks"]] == list(checks_of(found))
    assert checks_of(found)["prices"].figures["age_days"] == {"coder": 30, "large": 30, "small": 30}


def test_what_is_served_already_changes_nothing(place, valued):
    again = promote(valued["dear"], place.folder)
    assert again.promoted
    assert again.sentence.endswith("already; nothing was changed")
    assert len(place.history()) == 1


def test_the_first_router_of_a_place_has_nothing_to_beat(tmp_path, valued, fresh):
    found = promote(valued["weighing"], tmp_path / "new", table=fresh)
    assert found.promoted
    assert checks_of(found)["gain"].said.startswith("no champion yet")
    assert checks_of(found)["flips"].status is Status.UNKNOWN


def test_a_worse_challenger_is_refused_unless_forced(place, valued, fresh):
    refused = promote(valued["cheap"], place.folder, table=fresh)
    assert not refused.promoted
    assert place.current.name == refused.champion
    assert " is not promoted, because of gain: the challenger is cheaper and worse: " in refused.sentence
    forced = promote(valued["cheap"], place.folder, table=fresh, force=True)
    assert forced.forced
    assert place.current.name == forced.challenger
    assert (place.history()[-1]["forced"], place.history()[-1]["overridden"]) == (True, ["gain"])
    assert forced.sentence.endswith(", forced against gain")


def test_without_evidence_nothing_replaces_a_champion(place, valued):
    found = promote(valued["weighing"], place.folder)
    assert [check.name for check in found.failed] == ["gain"]
    assert "give --table with newer outcomes" in found.sentence


@pytest.mark.parametrize(
    ("quality", "saving", "passes"),
    [
        ((0.0, -0.005, 0.005), (0.3, 0.2, 0.4), True),  # not worse by a point, and cheaper
        ((0.02, 0.01, 0.03), (0.0, -0.005, 0.005), True),  # better, and not dearer
        ((0.0, -0.02, 0.02), (0.3, 0.2, 0.4), False),  # too few prompts to tell
        ((0.0, -0.005, 0.005), (0.0, -0.005, 0.005), False),  # a tie
        ((0.02, 0.01, 0.03), (-0.3, -0.4, -0.2), False),  # better and dearer: a person has to weigh it
        ((-0.05, -0.06, -0.04), (0.3, 0.2, 0.4), False),
        ((-0.05, -0.06, -0.04), (-0.3, -0.4, -0.2), False),
    ],
)
def test_evidence_of_any_source_passes_by_its_intervals(quality, saving, passes, tmp_path):
    difference = Difference(Estimate(*quality), Estimate(*saving), 5000, 5000)
    evidence = Evidence("a decision log", difference, 0.2, None, 0)
    check = gain(evidence, Limits(), champion=tmp_path, why_not="")
    assert (check.status is Status.PASSED) is passes
    assert "prompts of a decision log)" in check.said


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "n_tables", "least", "most"), [(0.05, 400, 0.0, 0.045), (0.0, 60, 0.9, 1.0)])
def test_a_challenger_at_the_limit_passes_in_one_of_forty_and_an_equal_one_nearly_always(
    loss, n_tables, least, most, tmp_path
):
    """Tables of 800 prompts, margin 0.05, half the cost. At the limit 2.5 % of 400 pass; 4.5 % is 2.5 % and 2.5 SE.

    Of equal ones nearly all pass, so 60 tables are enough: a gate that lets four in five pass fails with 97 %.
    """
    n, passed = 800, 0
    for seed in range(n_tables):
        rng = np.random.default_rng(seed)
        hard = rng.random(n)  # shared by both, so that the pairs are correlated
        quality = np.stack([hard * rng.uniform(0.8, 1.2, n) < 0.7, hard * rng.uniform(0.8, 1.2, n) < 0.7], axis=1)
        quality = quality.astype(np.float64)
        quality[rng.random(n) < loss / quality[:, 1].mean(), 1] = 0.0  # so many of its successes are lost
        cost = np.stack([rng.uniform(1, 3, n), rng.uniform(0.5, 1.5, n)], axis=1)
        champion, challenger = np.zeros(n, dtype=np.intp), np.ones(n, dtype=np.intp)
        drawn = Resampling.of(np.arange(n), seed=seed)
        difference = paired_difference(challenger, champion, quality, cost, drawn)
        check = gain(
            Evidence("a world", difference, 1.0, None, 0),
            Limits(max_quality_loss=0.05),
            champion=tmp_path,
            why_not="",
        )
        passed += check.status is Status.PASSED
    print(f"\nloss {loss:g}: {passed} of {n_tables} pass")
    assert least <= passed / n_tables <= most


def test_each_fault_of_a_challenger_is_found(place, fresh, trained, catalog, tmp_path):
    """One router has all faults that the gate looks for, beside the missing gain."""
    artifact = trained.router.artifact
    forged = replace(artifact.certificates[0], target_success=0.98, realised_success=1.0, n_prompts=400)
    provenance = {**artifact.provenance, "table": {**artifact.provenance["table"], "sha256": None}}
    faulty = changed(
        trained,
        tmp_path / "faulty",
        sketches=None,
        provenance=provenance,
        certificates=(forged,),
        catalog=dated(catalog, 91),
    )
    found = promote(faulty, place.folder, table=fresh, limits=Limits(max_calibration_error=0.0), today=TODAY)
    assert not found.promoted
    said = {check.name: check.said for check in found.failed}
    assert set(said) == {"gain", "leak audit", "calibration", "certificates", "reproducible", "prices"}
    assert "train it with this release" in said["leak audit"]
    assert "; limit 0" in said["calibration"]
    assert said["certificates"].startswith("success >= 0.98: 0.9")
    assert "does not name the hash of its table" in said["reproducible"]
    assert said["prices"].startswith("coder 91 days, large 91 days, small 91 days; limit 90.")
    assert found.sentence.endswith(" (5 more checks failed)")


def test_a_price_of_the_future_is_refused_and_one_without_a_date_is_named(place, valued, catalog):
    future = promote(valued["weighing"], place.folder, catalog=dated(catalog, -1), today=TODAY)
    assert "small -1 days" in checks_of(future)["prices"].said
    cards = dict(dated(catalog, 5).cards)
    cards["coder"] = catalog["coder"]
    undated = checks_of(promote(valued["weighing"], place.folder, catalog=Catalog(cards), today=TODAY))["prices"]
    assert undated.status is Status.UNKNOWN
    assert undated.said == "no price_date for coder; the others are up to 5 days old"


def test_training_prompts_and_their_near_duplicates_do_not_count(place, valued, trained, tmp_path):
    """Of 500 prompts of the training table those that teach are left out, and the copies of them with a word more."""
    known = simulate(500)
    twins = known.with_columns(prompt=pl.col("prompt") + " thanks", prompt_id=pl.col("prompt_id") + "/twin")
    pl.concat([known, twins]).write_parquet(tmp_path / "leaky.parquet")
    found = promote(valued["weighing"], place.folder, table=tmp_path / "leaky.parquet", limits=TOLERANT)
    figures = checks_of(found)["leak audit"].figures
    n_taught = len(trained.router.artifact.seen_prompts)
    assert 1.9 * n_taught < figures["n_left_out"] <= 2 * n_taught
    assert figures["n_prompts"] + figures["n_left_out"] == 1000


def test_a_table_of_training_prompts_alone_shows_nothing(place, valued, trained, tmp_path):
    known = simulate(500)
    outcomes = read_outcomes_of(known, tmp_path / "all.parquet")
    rows = np.flatnonzero(learned_from(trained.router, outcomes.prompts))
    ids = [outcomes.prompt_ids[row] for row in rows]
    known.filter(pl.col("prompt_id").is_in(ids)).write_parquet(tmp_path / "seen.parquet")
    first = checks_of(promote(valued["weighing"], tmp_path / "new", table=tmp_path / "seen.parquet"))
    assert first["leak audit"].said == f"no prompt is left: it was trained on {len(rows)} of them"
    assert first["calibration"].status is Status.UNKNOWN
    with pytest.raises(TableError, match=r"no prompt left to compare: .*; give newer outcomes"):
        promote(valued["weighing"], place.folder, table=tmp_path / "seen.parquet")


def test_a_champion_that_cannot_be_read_is_replaced_by_force_and_not_returned_to(place, valued, fresh):
    (place.current / "arrays.safetensors").write_bytes(b"short")
    found = promote(valued["weighing"], place.folder, table=fresh)
    assert "the champion cannot be compared with (" in found.sentence
    assert promote(valued["weighing"], place.folder, table=fresh, force=True).forced
    assert place.previous is None


@pytest.mark.slow
def test_what_cannot_be_examined_is_an_error(place, valued, fresh, tmp_path):
    bad = shutil.copytree(valued["weighing"], tmp_path / "bad")
    (bad / "arrays.safetensors").write_bytes(b"short")
    with pytest.raises(ArtifactError, match="damaged or edited"):
        promote(bad, place.folder, table=fresh, force=True)
    pl.read_parquet(fresh).filter(pl.col("model") != "large").write_parquet(tmp_path / "two.parquet")
    with pytest.raises(TableError, match="no outcomes of large"):
        promote(valued["weighing"], place.folder, table=tmp_path / "two.parquet")
    for limits, said in (
        (Limits(max_quality_loss=2), "max_quality_loss=2; expected a number from 0 to 1"),
        (Limits(max_price_age_days=-1), "max_price_age_days=-1"),
    ):
        with pytest.raises(RequestError, match=said):
            promote(valued["weighing"], place.folder, limits=limits)
    assert len(place.history()) == 1


def test_the_command_prints_a_table_of_80_columns_and_refuses_in_a_sentence(place, valued, fresh):
    done = run_command("promote", valued["cheap"], "--to", place.folder, "--table", fresh)
    assert done.returncode == 1
    assert max(map(len, done.stdout.splitlines())) <= 80
    for name in ("gain", "leak audit", "calibration", "certificates", "flips", "reproducible", "prices"):
        assert f"\n{name} " in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("refused: ")
    passed = run_command(
        "promote", valued["weighing"], "--to", place.folder, "--table", fresh, "--max-quality-loss", "0.1"
    )
    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout.splitlines()[-1].startswith(f"{place.folder} serves ")


def test_the_command_prints_json_and_writes_a_page(place, valued, fresh, tmp_path):
    page = ("--html", tmp_path / "page.html")
    done = run_command("promote", valued["cheap"], "--to", place.folder, "--table", fresh, "--json", *page)
    said = json.loads(done.stdout)
    assert (done.returncode, said["promoted"], said["forced"]) == (1, False, False)
    assert [check["name"] for check in said["checks"] if check["status"] == "failed"] == ["gain"]
    assert set(said["evidence"]["difference"]["quality"]) == {"value", "low", "high"}
    assert "gain" in text_of(tmp_path / "page.html")


def test_a_certificate_that_is_kept_passes(place, valued, fresh, trained):
    """The rate beside it is what `evaluate` finds by the same rule."""
    check = checks_of(promote(valued["weighing"], place.folder, table=fresh))["certificates"]
    assert check.status is Status.PASSED
    for one in check.figures["promised"]:
        alone = evaluate(Router.load(trained.path), read_outcomes(fresh), goal=TargetSuccess(one["target"], 0.5))
        assert one["realised"]["value"] == pytest.approx(alone.router.success)
    assert np.isfinite(check.figures["promised"][0]["realised"]["low"])


@pytest.fixture(scope="module")
def logs(valued, tmp_path_factory):
    """What `dear` logged while it explored a challenger's choices on half of their disagreements, by challenger."""
    folder, dear = tmp_path_factory.mktemp("logs"), Router.load(valued["dear"])
    for name in ("weighing", "cheap"):
        table, _ = explored_log(dear, N_LOGGED, seed=60, share=0.5, challenger=Router.load(valued[name]))
        table.write_parquet(folder / f"{name}.parquet")
    return folder


def test_a_challenger_is_published_by_what_a_log_shows(place, valued, logs):
    found = promote(valued["weighing"], place.folder, log=logs / "weighing.parquet", limits=TOLERANT)
    checks = checks_of(found)
    assert found.promoted, found.sentence
    assert checks["gain"].said.startswith("the challenger is better: it saves ")
    assert checks["gain"].said.endswith(" decisions of the log)")
    assert checks["leak audit"].said.startswith(f"none of {N_LOGGED:,} prompts is a training prompt of either")
    assert checks["calibration"].said.endswith(f" beyond chance on {N_LOGGED:,} logged answers; limit 0.05")
    assert checks["certificates"].status is Status.UNKNOWN
    assert checks["flips"].figures["main_move"][0] == "large"
    assert place.history()[-1]["checks"][0]["figures"]["saving"]["low"] > 0
    said = found.as_dict()["evidence"]
    assert said["difference"]["quality"] == said["log"]["challenger_minus_champion"]["by_estimator"]["quality"]["DR"]


def test_a_log_that_shows_a_loss_refuses(place, valued, logs):
    found = promote(valued["cheap"], place.folder, log=logs / "cheap.parquet")
    assert not found.promoted
    assert " because of gain: the challenger is cheaper and worse: " in found.sentence


@pytest.mark.slow
def test_a_log_that_cannot_tell_refuses_and_says_what_would(place, valued, logs, tmp_path):
    """Too few explored answers; a choice that could not be explored; none left that neither learned from."""
    table = pl.read_parquet(logs / "weighing.parquet")
    table.head(150).write_parquet(tmp_path / "short.parquet")
    short = promote(valued["weighing"], place.folder, log=tmp_path / "short.parquet", limits=TOLERANT)
    assert "because of gain: this log cannot tell: about " in short.sentence
    assert "more requests of such exploration would" in short.sentence
    sure = pl.lit(json.dumps({"propensities": {"large": 1.0}}))
    table.with_columns(model=pl.lit("large"), propensity=1.0, extra=sure).write_parquet(tmp_path / "sure.parquet")
    unexplored = promote(valued["weighing"], place.folder, log=tmp_path / "sure.parquet", log_name="March")
    assert (
        "because of gain: March cannot tell: the log could not have made the choice of a router" in unexplored.sentence
    )
    prompts = simulate(500).unique("prompt_id", maintain_order=True)["prompt"]
    taught = prompts.filter(learned_from(Router.load(valued["weighing"]), prompts.to_list())).head(50)
    table.head(50).with_columns(prompt=taught).write_parquet(tmp_path / "seen.parquet")
    seen = promote(valued["weighing"], place.folder, log=tmp_path / "seen.parquet")
    assert "cannot tell: a router was trained on the prompts of all 50 decisions, or nearly" in seen.sentence
    assert place.current.name == short.champion


@pytest.mark.slow
def test_with_both_the_table_decides_and_the_log_must_not_contradict(place, valued, logs, fresh, tmp_path):
    table = pl.read_parquet(logs / "weighing.parquet")
    table.with_columns(quality=pl.when(pl.col("model") == "large").then(1.0).otherwise(0.0)).write_parquet(
        tmp_path / "bad.parquet"
    )
    against = promote(valued["weighing"], place.folder, table=fresh, log=tmp_path / "bad.parquet", limits=TOLERANT)
    assert [check.name for check in against.failed] == ["log"]
    assert "because of log: the challenger is cheaper and worse: " in against.sentence
    pl.read_parquet(logs / "weighing.parquet").head(150).write_parquet(tmp_path / "short.parquet")
    found = promote(valued["weighing"], place.folder, table=fresh, log=tmp_path / "short.parquet", limits=TOLERANT)
    assert found.promoted
    assert checks_of(found)["log"].status is Status.UNKNOWN
    assert (found.evidence.source, found.beside.source) == ("fresh.parquet", "the log")


def test_a_router_is_not_trained_again_on_another_table(place, valued, fresh):
    other = checks_of(promote(valued["weighing"], place.folder, train_again_on=fresh))["reproducible"]
    assert other.status is Status.FAILED
    assert other.said.startswith("fresh.parquet is sha256:")


@pytest.mark.slow
def test_training_again_gives_the_same_router_and_shows_an_edited_one(place, valued, trained, table):
    """`cheap` says that it was trained on the table, and has another operating point than training chooses."""
    again = checks_of(promote(valued["weighing"], place.folder, train_again_on=table))["reproducible"]
    assert (again.status, again.figures["trained_again"]) == (Status.PASSED, trained.report.content_hash)
    edited = checks_of(promote(valued["cheap"], place.folder, train_again_on=table))["reproducible"]
    assert edited.status is Status.FAILED
    assert edited.said.startswith(f"trained again from {table.name}: {trained.report.content_hash[:19]}, not sha256:")


def test_the_command_reads_a_log(place, valued, logs):
    done = run_command("promote", valued["cheap"], "--to", place.folder, "--log", logs / "cheap.parquet", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["evidence"]["source"], said["beside"]) == (1, "cheap.parquet", None)
    alone = run_command("promote", valued["cheap"], "--to", place.folder, "--since", "7d")
    assert "--since, --until and --router are about --log, which is not given" in alone.stderr
