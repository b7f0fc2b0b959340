"""Artifacts whose hashes are right and whose content is not: refused by a clear error, and never fatal."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as save_tensors

from router_model import ArtifactError, CatalogError, Router
from router_model.saved.artifact import MANIFEST, _digest, _sealed


@pytest.fixture
def forged(trained, tmp_path):
    """Return what writes another content into one file of a copy, with hashes that fit."""
    folder = tmp_path / "router"
    shutil.copytree(trained.path, folder)

    def forge(name, content):
        (folder / name).write_bytes(content)
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["files"][name] = _digest(content)
        del manifest["content_hash"]
        (folder / MANIFEST).write_bytes(_sealed(manifest))
        return folder

    forge.folder = folder
    return forge


DAMAGED_TREES = {
    "a child that is no node": lambda text: text.replace("left_child=1 ", "left_child=9 ", 1),
    "a column that does not exist": lambda text: text.replace("split_feature=", "split_feature=9", 1),
    "half of the text": lambda text: text[: len(text) // 2],
    "sizes that jump elsewhere": lambda text: text.replace("tree_sizes=", "tree_sizes=9", 1),
    "no trees to an iteration": lambda text: text.replace("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
    "a NUL": lambda text: text[:900] + "\0" + text[901:],
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("kind", DAMAGED_TREES)
def test_a_damaged_booster_is_refused_before_native_code_reads_it(forged, kind):
    name = "success_0.lgb.txt"
    text = (forged.folder / name).read_text()
    damaged = DAMAGED_TREES[kind](text)
    assert damaged != text
    with pytest.raises(ArtifactError, match=r"success_0\.lgb\.txt: .*train the router again"):
        Router.load(forged(name, damaged.encode()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["models", 0], "large"),
        (["models", 0], "a\r\nset-cookie: b"),
        (["models"], []),
        (["quality", "high"], 2),
        (["quality", "low"], True),
        (["n_boosters"], 1),
        (["n_boosters"], 10**9),
        (["trust_floor"], -0.1),
        (["trust_floor"], 7.0),
        (["longest_log_chars"], "long"),
        (["longest_log_chars"], -1),
        (["uncertainty", "sampling"], "x"),
        (["blend_members", 0], "other"),
        (["operating_point", "quality_value_usd"], -1),
        (["operating_point", "always_model"], "nobody"),
        (["operating_point", "quality_bar"], 0),
        (["safe_model"], "nobody"),
        (["kernel", "penalties"], []),
        (["amounts"], []),
    ],
    ids=str,
)
def test_a_description_that_cannot_be_is_refused(forged, path, value):
    said = json.loads((forged.folder / "predictor.json").read_text())
    *outer, last = path
    inner = said
    for key in outer:
        inner = inner[key]
    assert inner[last] != value
    inner[last] = value
    with pytest.raises(ArtifactError):
        Router.load(forged("predictor.json", json.dumps(said).encode()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tokens_per_piece", np.negative),
        ("tokens_per_piece", np.zeros_like),
        ("tokens_per_piece", lambda a: a[:1]),
        ("seen_prompts", lambda a: a[::-1]),
        ("bars", np.zeros_like),
        ("bank.outcome", lambda a: a + 1e6),
        ("bank.weight", np.negative),
        ("bank.base", lambda a: a.astype(np.int32)),
        ("bag.index.indptr", np.negative),
        ("bag.index.indptr", np.zeros_like),
        ("vocabulary.codes", lambda a: a[::-1]),
        ("output_tokens.smearing", np.negative),
        ("output_tokens.residual_quantiles", lambda a: a[:, ::-1]),
        ("kernel.weights", lambda a: np.full_like(a, 1e30)),
    ],
)
def test_arrays_that_cannot_be_are_refused(forged, name, change):
    arrays = load_file(forged.folder / "arrays.safetensors")
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    with pytest.raises(ArtifactError):
        Router.load(forged("arrays.safetensors", save_tensors(arrays)))


CARD = '[models."{}"]\nusd_per_mtok_input = {}\nusd_per_mtok_output = 1\n'


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (CARD.format("other", 1), "no price for"),
        (CARD.format("a\\r\\nb", 1), "expected a line of up to 256 characters"),
        (CARD.format("a" * 100_000, 1), "expected a line of up to 256 characters"),
        (CARD.format("a", "9e999999"), "got 9E[+]999999, expected USD"),
        ("a = " + "[" * 100_000, "not valid TOML"),
    ],
    ids=["no card", "lines", "length", "price", "depth"],
)
def test_a_hostile_catalog_is_refused(forged, content, match):
    with pytest.raises((ArtifactError, CatalogError), match=match):
        Router.load(forged("catalog.toml", content.encode()))


@pytest.mark.parametrize("name", [MANIFEST, "predictor.json", "catalog.toml"])
def test_a_huge_file_is_not_read(forged, name):
    """Sparse: it takes no place on the disk, and would take 3 GB of memory."""
    with (forged.folder / name).open("r+b") as file:
        file.truncate(3 << 30)
    with pytest.raises(ArtifactError, match="longer than|damaged"):
        Router.load(forged.folder)


@pytest.mark.parametrize(
    "files", [None, [], {"predictor.json": 3}, {"a": "sha256:0"}, {str(n): "" for n in range(2000)}]
)
def test_a_manifest_that_lists_no_router_is_refused(forged, files):
    manifest = json.loads((forged.folder / MANIFEST).read_text())
    del manifest["content_hash"]
    (forged.folder / MANIFEST).write_bytes(_sealed({**manifest, "files": files}))
    with pytest.raises(ArtifactError, match="lists no files of a router"):
        Router.load(forged.folder)
