"""The line that installs an extra: from a checkout before a release, by the package's name after it."""

import pytest

from router_model import install_line as module
from router_model.install_line import install_line


class Installed:
    def __init__(self, note):
        self.note = note

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.note


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (None, "pip install 'router-model[serve]'"),
        ('{{"url": "file://{folder}/my%20checkout"}}', "pip install '{folder}/my checkout[serve]'"),
        ('{{"url": "file://{folder}/gone.whl"}}', "pip install 'router-model[serve]'"),
        ('{{"url": "https://github.com/a/b.git"}}', "pip install 'router-model[serve]'"),
    ],
)
def test_the_line_names_what_the_package_was_installed_from(monkeypatch, tmp_path, note, line):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "router_model" / "install_line.py"))
    (tmp_path / "my checkout").mkdir()
    note = None if note is None else note.format(folder=tmp_path)
    monkeypatch.setattr(module, "distribution", lambda _: Installed(note))
    assert install_line("serve") == line.format(folder=tmp_path)


def test_in_a_checkout_it_is_the_checkout(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "router_model" / "install_line.py"))
    assert install_line("serve") == f"pip install '{tmp_path}[serve]'"
    monkeypatch.chdir(tmp_path)
    assert install_line("serve") == "pip install '.[serve]'"
