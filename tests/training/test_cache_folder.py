from pathlib import Path

from router_model.training.cache_folder import cache_folder


def test_the_environment_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("ROUTER_MODEL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("ROUTER_MODEL_CACHE", "~/kept")
    assert cache_folder() == Path.home() / "kept"


def test_else_the_platform_does(monkeypatch, tmp_path):
    monkeypatch.setenv("ROUTER_MODEL_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "router-model"
