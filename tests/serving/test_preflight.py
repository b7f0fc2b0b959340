import pytest
from click.testing import CliRunner

from router_model.cli import group
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.preflight import about

ECHO = '[echo]\nkind = "echo"\nmodels = {models}\n'


@pytest.fixture
def said(trained, tmp_path, monkeypatch):
    """Return what is said of the router of coder, large and small, with a provider of some models."""
    monkeypatch.chdir(tmp_path)
    providers = tmp_path / "providers.toml"

    def said(models):
        if models is not None:
            providers.write_text(ECHO.format(models=models))
        settings = Settings(
            artifact=trained.path, log="none", insecure=True, providers=None if models is None else providers
        )
        return dict(line.split(": ", 1) for line in about(settings))

    return said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"log": "none"}, "none; nothing is kept, so nothing can be learned from"),
        ({}, ".db; of prompts their texts: 'router-model train' can learn from them"),
        ({"store_responses": True}, "can learn from them; and the answers of /v1/responses, for their callers"),
        ({"log_prompts": "hash"}, ".db; of prompts their hashes: nothing can be learned from them (--log-prompts feat"),
        ({"log_prompts": "none"}, ".db; of prompts nothing: nothing can be learned from them (--log-prompts feat"),
        ({"log_prompts": "features", "log_key": "log.key"}, "can learn from them with ROUTER_LOG_KEY=log.key"),
    ],
)
def test_what_a_training_can_learn_from_is_said(trained, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(group, ["log", "new-key", "log.key"], catch_exceptions=False).exit_code == 0
    lines = about(Settings(artifact=trained.path, insecure=True, **given))
    assert said in next(line for line in lines if line.startswith("logging: "))


def test_kept_responses_need_a_log_with_prompts(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(artifact=trained.path, insecure=True, store_responses=True, log_prompts="hash")
    with pytest.raises(SettingsError, match="--store-responses .* keeps of prompts 'hash'; say --log-prompts full"):
        about(settings)


def test_a_trusted_host_that_is_none_is_said_before_anything_listens(trained):
    settings = Settings(artifact=trained.path, log="none", insecure=True, trusted_hosts=("http://router.example.com",))
    with pytest.raises(SettingsError, match="trusted host 'http://router.example.com'; expected a name or address"):
        about(settings)


def test_all_models_served_is_said_in_a_word(said):
    lines = said('["*"]')
    assert lines["forwarding"] == "echo"
    assert lines["try"] == (
        "curl http://{address}/v1/chat/completions "
        """--json '{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}'"""
    )


def test_models_that_nobody_serves_are_named(said):
    assert said('["small"]')["forwarding"] == "echo; 'auto' never chooses what none of them serves: coder, large"


def test_a_file_that_serves_no_model_of_the_router_is_said_to_be_of_no_use_to_auto(said):
    assert "none of them serves a model of the router, so 'auto' will fail" in said('["echo/parrot"]')["forwarding"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"providers": "providers.toml", "log": "none"},
            "alias 'careful': target_sucess: unknown field",
        ),
        (
            {"providers": "lost.toml", "log": "none"},
            "alias 'fast' leads to 'smal', which no provider serves and the router does not know",
        ),
        ({"log": "parquet://log", "follow_levels": 1.5}, "--follow-levels reads feedback from the log, and"),
        (
            {"log": "none", "default_plan": ("large", "smal")},
            "--default-plan: nobody has smal: no provider serves it, .* known are coder, large, small",
        ),
        (
            {"log": "none", "artifact": None, "providers": "one.toml", "default_plan": ("larg",)},
            "nobody has larg.*small",
        ),
    ],
)
def test_what_would_end_the_start_is_said_before_it_listens(trained, tmp_path, monkeypatch, given, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "providers.toml").write_text(
        ECHO.format(models='["small"]') + '[aliases]\ncareful = { model = "auto", target_sucess = 0.9 }\n'
    )
    (tmp_path / "one.toml").write_text(ECHO.format(models='["small"]'))
    (tmp_path / "lost.toml").write_text(ECHO.format(models='["small"]') + '[aliases]\nbig = "large"\nfast = "smal"\n')
    with pytest.raises(SettingsError, match=words):
        about(Settings(**{"artifact": trained.path, "insecure": True} | given))


@pytest.mark.parametrize("given", [{}, {"artifact": "gone"}, {"providers": "stars.toml"}])
def test_a_default_plan_that_nobody_can_know_starts(tmp_path, monkeypatch, given):
    """A service that only decides names what the gateway has; a router that is missing may know it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stars.toml").write_text(ECHO.format(models='["*"]'))
    assert about(Settings(log="none", insecure=True, default_plan=("any",), **given))


def test_an_alias_to_a_model_of_a_router_that_is_missing_does_not_end_the_start(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "providers.toml").write_text(ECHO.format(models='["small"]') + '[aliases]\nfast = "of-code"\n')
    routers = f"support={trained.path}", "code=gone"
    lines = about(Settings(router=routers, log="none", insecure=True, providers="providers.toml"))
    assert "nothing yet, the service tries again" in lines[1]


def test_without_providers_a_decision_is_to_be_tried(said):
    lines = said(None)
    assert lines["forwarding"] == "to nobody (no providers)"
    assert lines["try"].startswith('curl http://{address}/v1/route --json \'{"messages"')
