from pathlib import Path

import pytest
from click.testing import CliRunner

from router_model.serving import create_app
from router_model.serving.commands.serve import command
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import (
    PromptStorage,
    Settings,
    as_environment,
    option_name,
    read_settings,
    variable,
)


def test_every_setting_is_an_option_with_its_variable():
    shown = " ".join(CliRunner().invoke(command, ["--help"]).stdout.split())
    for name in Settings.model_fields:
        if name != "artifact":
            assert option_name(name) in shown
            assert f"{variable(name)}]".replace("-", "") in shown.replace("- ", "").replace("-", "")


def test_options_win_over_variables_and_variables_over_defaults(monkeypatch):
    monkeypatch.setenv("ROUTER_PORT", "1")
    monkeypatch.setenv("ROUTER_WORKERS", "2")
    settings = read_settings(artifact=Path("r"), port=3, workers=None, trusted_hosts=(), insecure=None)
    assert (settings.port, settings.workers, settings.drain_s, settings.insecure) == (3, 2, 10.0, False)


def test_settings_survive_the_environment(monkeypatch):
    """What workers read is what the command was given."""
    given = Settings(
        artifact="r",
        default_plan=("a", "b"),
        log="postgresql://u:p@h/n?x=1",
        log_prompts=PromptStorage.HASH,
        keys="keys.toml",
        insecure=True,
        port=0,
        explore_share=0.05,
        requests_per_minute=None,
    )
    for name, value in as_environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_a_server_that_is_told_nothing_says_what_is_missing(monkeypatch):
    """`uvicorn serving:create_app --factory` reads the environment alone; its last line names the variable."""
    with pytest.raises(SettingsError, match="no artifact: expected the folder of a trained router"):
        create_app()
    monkeypatch.setenv("ROUTER_ARTIFACT", "r")
    monkeypatch.setenv("ROUTER_WORKERS", "many")
    with pytest.raises(SettingsError, match=r"--workers \(or ROUTER_WORKERS\): input should be a valid integer"):
        create_app()


def test_passwords_of_settings_are_not_shown():
    with pytest.raises(SettingsError, match="--port") as raised:
        read_settings(artifact=Path("r"), log="postgresql://u:hunter2@h/n", port=-1)
    assert "hunter2" not in str(raised.value)
