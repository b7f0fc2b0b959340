import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from simulated_world import simulate

from router_model import ArtifactError, Router
from router_model.explanation.neighbours import logged_outcome, nearest_prompts
from router_model.features.featuriser import featurise
from router_model.prediction.bars import BarGrid
from router_model.saved.artifact import MANIFEST, _digest, _sealed, load_artifact, save_artifact
from router_model.saved.bank_prompts import BankPrompts
from router_model.training.fitting.boosters import BoosterConfig
from router_model.training.fitting.evidence import EvidenceConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.train import TrainConfig, train

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"
FILE = "bank_prompts.json"
QUICK = FitConfig(EvidenceConfig(max_bank=60), BoosterConfig(max_rounds=5), BoosterConfig(max_rounds=5))


@pytest.fixture(scope="module")
def kept(table, catalog, tmp_path_factory):
    """A router with a sample of its training prompts in the bank, and their texts."""
    path = tmp_path_factory.mktemp("kept") / "router"
    train(table, path, catalog=catalog, config=TrainConfig(keep_prompts=True, fit=QUICK))
    return Router.load(path)


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "router")
    return tmp_path / "router"


def test_neighbours_of_arithmetic_are_arithmetic_with_their_logged_outcomes(trained):
    logged = simulate(500)
    near = trained.router.route(SUM, explain=True).explanation.neighbours
    assert len({neighbour.prompt_id for neighbour in near}) == len(near) == 5
    for neighbour in near:
        rows = logged.filter(pl.col("prompt_id") == neighbour.prompt_id)
        assert set(rows["task"]) == {"arithmetic"}
        quality = dict(zip(rows["model"], rows["quality"], strict=True))
        assert {o.model: o.quality_from for o in neighbour.outcomes} == quality
        assert {o.model: float(o.success) for o in neighbour.outcomes} == quality
    similarity = [neighbour.similarity for neighbour in near]
    assert similarity == sorted(similarity, reverse=True)
    assert all(n.similarity == max(n.embedding_similarity, n.bag_similarity) for n in near)


def test_a_logged_prompt_is_its_own_neighbour(kept):
    for row in (0, 31, 59):
        text = kept.artifact.bank_prompts.texts[row]
        nearest = kept.route(text, explain=True).explanation.neighbours[0]
        assert (nearest.prompt_id, nearest.text) == (kept.artifact.bank_prompts.ids[row], text)
        assert nearest.similarity == pytest.approx(1, abs=1e-4)


def test_a_prompt_without_text_is_like_none(trained):
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}
    assert trained.router.route([image], explain=True).explanation.neighbours == ()


def test_ids_and_texts_are_those_of_the_sampled_bank(kept):
    """Every text, embedded again, is the vector of its row; every id is the one of its text."""
    prompts, texts = kept.artifact.bank_prompts, dict(simulate(500).select("prompt_id", "prompt").iter_rows())
    vectors = np.asarray(kept.artifact.predictor.evidence_model.embedding.index).T
    assert len(prompts.ids) == 60
    assert [texts[name] for name in prompts.ids] == list(prompts.texts)
    assert featurise(prompts.texts, kept.encoder).embedding == pytest.approx(
        vectors, abs=2**-15
    )  # half a step of the grid


def test_texts_are_stored_only_as_asked(trained, kept):
    assert trained.router.artifact.bank_prompts.texts is None
    assert set(json.loads((trained.path / FILE).read_text())) == {"ids"}
    logged = simulate(500)["prompt"].to_list()
    files = b"".join(path.read_bytes() for path in trained.path.iterdir())
    assert not any(text.encode() in files for text in logged)
    assert all(neighbour.text is None for neighbour in trained.router.route(SUM, explain=True).explanation.neighbours)
    assert set(kept.artifact.bank_prompts.texts) <= set(logged)


def test_saved_and_loaded_prompts_are_the_same(kept, tmp_path):
    save_artifact(kept.artifact, tmp_path / "router")
    assert load_artifact(tmp_path / "router").bank_prompts == kept.artifact.bank_prompts


def reseal(folder, content):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["content_hash"]
    if content is None:
        (folder / FILE).unlink()
        del manifest["files"][FILE]
    else:
        (folder / FILE).write_text(content)
        manifest["files"][FILE] = _digest(content.encode())
    (folder / MANIFEST).write_bytes(_sealed(manifest))


def test_an_artifact_without_ids_loads_and_explains_without_them(copy):
    reseal(copy, None)
    near = Router.load(copy).route(SUM, explain=True).explanation.neighbours
    assert [(neighbour.prompt_id, neighbour.text) for neighbour in near] == [(None, None)] * 5


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"ids": ["a", "b"]}', r"2 ids for \d+ prompts in the bank; expected one each, train again"),
        ('{"ids": [1]}', "'ids' is not a list of strings"),
        ('{"ids": "abc"}', "'ids' is not a list of strings"),
        ('{"texts": []}', "expected an object with 'ids' and perhaps 'texts'"),
        ('{"ids": [], "names": []}', "expected an object with 'ids'"),
        ("[]", "expected an object with 'ids'"),
        ("{", "not valid JSON"),
    ],
)
def test_sealed_forgeries_are_refused_and_named(copy, content, match):
    reseal(copy, content)
    with pytest.raises(ArtifactError, match=f"^{FILE}: .*{match}"):
        load_artifact(copy)


def test_texts_must_be_as_many_as_prompts(trained):
    ids = list(trained.router.artifact.bank_prompts.ids)
    with pytest.raises(ArtifactError, match=f"1 texts for {len(ids)} prompts"):
        BankPrompts.from_dict({"ids": ids, "texts": ["x"]}, n_bank=len(ids), origin=FILE)


def test_half_a_surrogate_pair_can_be_stored():
    said = BankPrompts(("a",), ("x\ud800",)).as_dict()
    assert BankPrompts.from_dict(said, n_bank=1, origin=FILE).texts == ("x?",)


def test_models_that_were_not_tried_have_no_outcome(trained):
    artifact = trained.router.artifact
    model = artifact.predictor.evidence_model
    weight = model.bank.weight.copy()
    weight[:, 1] = 0
    bank = replace(model.bank, weight=weight)
    predictor = replace(artifact.predictor, evidence_model=replace(model, bank=bank))
    near = nearest_prompts(predictor, featurise([SUM], trained.router.encoder), None, quality_bar=0.5)
    assert [(o.success, o.quality_from) for n in near for o in n.outcomes if o.model == "large"] == [(None, None)] * 5


def test_stepwise_qualities_are_exact_and_others_lie_between_bars():
    """Levels 0, 0.5 and 1: an answer that met only the first bar has quality 0.5."""
    steps = BarGrid(np.array([0.5, 1.0], np.float32), low=0.0, high=1.0, stepwise=True)
    found = [logged_outcome("m", np.array(met, np.float32), steps, 0.7) for met in ([0, 0], [1, 0], [1, 1])]
    assert [(o.success, o.quality_from, o.quality_to) for o in found] == [
        (False, 0, 0),
        (False, 0.5, 0.5),
        (True, 1, 1),
    ]
    spread = BarGrid(np.array([0.5, 0.75], np.float32), low=0.1, high=0.9, stepwise=False)
    found = [logged_outcome("m", np.array(met, np.float32), spread, 0.6) for met in ([0, 0], [1, 0], [1, 1])]
    assert [(o.success, o.quality_from, o.quality_to) for o in found] == [
        (False, 0.1, 0.5), (None, 0.5, 0.75), (True, 0.75, 0.9),
    ]  # fmt: skip
