"""docs/security.md: what a key with each role can do, asked of the service, and in which files a prompt is."""

import re
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from router_model.serving.access.issuing import create_key
from router_model.serving.app import create_app
from router_model.serving.common.callers import Role
from router_model.serving.common.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
FORBIDDEN = 403


@pytest.fixture(scope="module")
def allowed(trained, tmp_path_factory):
    """The roles that each documented operation lets in, by asking with a key of each role."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "providers.toml").write_text('[echo]\nkind = "echo"\nmodels = ["*"]\n')
    keys = {role: create_key(folder / "keys.toml", name=role, roles=[role])[1] for role in Role}
    settings = Settings(
        artifact=trained.path, keys=folder / "keys.toml", providers=folder / "providers.toml", log="none"
    )  # fmt: skip
    app = create_app(settings)
    found = {}
    with TestClient(app, base_url="http://127.0.0.1:8484") as client:
        for path, operations in app.openapi()["paths"].items():
            at = re.sub(r"\{[^}]*\}", "x", path)
            for method, said in operations.items():
                answers = {
                    role: client.request(method, at, content=b"{}", headers={"authorization": f"Bearer {key}"})
                    for role, key in keys.items()
                }
                roles = {role for role, answer in answers.items() if answer.status_code != FORBIDDEN}
                found[f"{method.upper()} {path}"] = (roles, said["description"])
    return found


def test_the_table_of_roles_is_what_the_service_does(allowed):
    table = PAGE.read_text("utf-8").partition("## What a key can do\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {one: set(roles.split(", ")) for named, roles, _ in rows for one in re.findall(r"`([^`]+)`", named)}
    everybody = {str(role) for role in Role}
    found = {name: {str(role) for role in roles} for name, (roles, _) in allowed.items()}
    assert told == {name: roles for name, roles in found.items() if roles != everybody}


def test_what_an_operation_says_of_its_roles_is_what_it_does(allowed):
    for name, (roles, description) in allowed.items():
        said = re.search(r"Role: ([\w -]+)\.", description)
        assert roles == (set(said[1].split(" or ")) if said else set(Role)), name


@pytest.mark.parametrize(("kept", "files"), [("full", {"log.db", "comments"}), ("hash", {"comments"})])
def test_a_prompt_is_in_the_files_that_the_page_names_and_in_no_line(trained, tmp_path, capfd, kept, files):
    """A prompt, an answer that repeats it, and a comment; with the access log, as JSON."""
    (tmp_path / "providers.toml").write_text('[echo]\nkind = "echo"\nmodels = ["*"]\n')
    settings = Settings(
        artifact=trained.path, providers=tmp_path / "providers.toml", insecure=True, log_prompts=kept, budget_usd=9,
        log=f"sqlite:///{tmp_path}/log.db", log_spool=tmp_path / "spool", budget_file=tmp_path / "budgets.db",
        access_log=True, log_format="json",
    )  # fmt: skip
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8484") as client:
        body = {"model": "auto", "messages": [{"role": "user", "content": "zebra quartz 7741"}]}
        answer = client.post("/v1/chat/completions", json=body)
        decision = answer.headers["x-router-decision-id"]
        given = {"decision_id": decision, "thumb": "up", "comment": "comment of 7742"}
        assert (answer.status_code, client.post("/v1/feedback", json=given).status_code) == (200, 202)
        told = client.get("/metrics").text
    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = {name for name, content in written.items() if b"zebra quartz" in content}
    found |= {"comments" for content in written.values() if b"comment of 7742" in content}
    assert found == files
    said = "".join(capfd.readouterr()) + told
    assert "zebra" not in said
    assert "7742" not in said


def test_a_router_has_no_text_of_the_prompts_that_it_learned_from(trained, table):
    """The words stand in its vocabulary of word pieces; no prompt stands there in a row."""
    prompts = [prompt.encode() for prompt in pl.read_parquet(table)["prompt"].unique()]
    assert len(prompts) > 100
    for path in trained.path.iterdir():
        content = path.read_bytes()
        assert not any(prompt in content for prompt in prompts), path.name
