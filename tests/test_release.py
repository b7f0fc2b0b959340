"""``scripts/release.py``; that builds are the same bytes is checked by `make release` itself."""

import pytest
from release import ReleaseError, prepare, section, written_versions

FORMER = "## [0.1.0] - 2026-01-01\n\n- That.\n"
CHANGELOG = f"# Changelog\n\n## [Unreleased]\n\n### Added\n\n- This.\n\n### Changed\n\n### Fixed\n\n{FORMER}"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "0.1.0"\n\n[tool]\nversion = "9"\n')
    chart = tmp_path / "deploy/helm/router-model/Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text('apiVersion: v2\nversion: 0.1.0\nappVersion: "0.1.0"\nkubeVersion: ">=1.27.0-0"\n')
    return tmp_path


def test_what_is_unreleased_becomes_the_version(project):
    prepare("0.2.0", "2026-12-01", root=project)
    text = (project / "CHANGELOG.md").read_text()
    empty = "## [Unreleased]\n\n### Added\n\n### Changed\n\n### Fixed\n\n"
    assert f"{empty}## [0.2.0] - 2026-12-01\n\n### Added\n\n- This.\n\n## [0.1.0]" in text
    assert section("0.2.0", text) == "### Added\n\n- This.\n"
    assert 'version = "0.2.0"\n\n[tool]\nversion = "9"' in (project / "pyproject.toml").read_text()
    chart = (project / "deploy/helm/router-model/Chart.yaml").read_text()
    assert 'v2\nversion: 0.2.0\nappVersion: "0.2.0"\nkubeVersion: ">=1.27' in chart
    assert written_versions(project) == {"0.2.0"}


def test_the_version_is_one():
    assert len(written_versions()) == 1


@pytest.mark.parametrize(
    ("version", "says"), [("0.2", "expected a version such as 0.2.0"), ("0.1.0", "has a section 0.1.0 already")]
)
def test_a_version_that_cannot_be_is_refused_and_nothing_is_written(project, version, says):
    with pytest.raises(ReleaseError, match=says):
        prepare(version, "2026-12-01", root=project)
    assert (project / "CHANGELOG.md").read_text() == CHANGELOG


def test_a_file_that_does_not_say_its_version_is_named_and_nothing_is_written(project):
    """The chart has one of its two versions."""
    before = (project / "pyproject.toml").read_text()
    (project / "deploy/helm/router-model/Chart.yaml").write_text("version: 0.1.0\nappVersion: v0.1.0\n")
    for ask in (lambda: prepare("0.2.0", "2026-12-01", root=project), lambda: written_versions(project)):
        with pytest.raises(ReleaseError, match=r"router-model/Chart.yaml: found 1 places of the version, expected 2"):
            ask()
    assert (project / "CHANGELOG.md").read_text() == CHANGELOG
    assert (project / "pyproject.toml").read_text() == before


def test_a_release_needs_notes(project):
    prepare("0.2.0", "2026-12-01", root=project)
    with pytest.raises(ReleaseError, match="nothing under"):
        prepare("0.3.0", "2026-12-02", root=project)
    with pytest.raises(ReleaseError, match=r"no section 0\.9\.0"):
        section("0.9.0", CHANGELOG)
