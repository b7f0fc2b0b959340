import pytest
from simulated_world import BOLD

from router_model.training import load_or_train as module
from router_model.training.load_or_train import load_or_train
from router_model.training.table.frames import sha256_of


class BeganError(Exception):
    """Says that a training began."""


@pytest.fixture
def _no_training(monkeypatch):
    def refuse(*_, **__):
        raise BeganError

    monkeypatch.setattr(module, "train", refuse)


@pytest.mark.usefixtures("_no_training")
def test_the_router_of_the_same_table_and_settings_is_loaded(trained, table):
    assert load_or_train(table, trained.path, config=BOLD).models == trained.router.models


@pytest.mark.usefixtures("_no_training")
def test_another_table_other_settings_or_no_router_are_trained(trained, table, graded, tmp_path):
    for other, out, config in (
        (table, trained.path, None),
        (table, tmp_path / "none", BOLD),
        (table, graded.path, BOLD),
    ):
        with pytest.raises(BeganError):
            load_or_train(other, out, config=config)


def test_a_router_knows_the_hash_of_the_table_that_it_was_trained_on(trained, table):
    assert trained.router.artifact.provenance["table"]["sha256"] == sha256_of(table)
