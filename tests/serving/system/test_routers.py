"""Two routers in one service of two workers, from a client's call to a router that learned from its own rows alone."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import openai
import polars as pl
import pytest
from processes import eventually
from proxied import proxied
from simulated_world import BOLD, CATALOG, SUM, simulate
from system import LOADED

from router_model import Catalog
from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role
from router_model.training.train import train

pytestmark = pytest.mark.slow  # a service with workers, and a training

ECHO = '[echo]\nkind = "echo"\nmodels = { "*" = "*" }\n'


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """The folder of a router whose models are others than those of `trained`."""
    folder, catalog = tmp_path_factory.mktemp("code"), Catalog.parse(CATALOG, origin="catalog.toml")
    table = simulate(200, seed=5).with_columns(pl.concat_str(pl.lit("code-"), "model").alias("model"))
    table.write_parquet(folder / "outcomes.parquet")
    cards = {f"code-{name}": replace(card, model=f"code-{name}") for name, card in catalog.cards.items()}
    train(folder / "outcomes.parquet", folder / "router", catalog=Catalog(cards), config=BOLD)
    return folder / "router"


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "router_model", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=folder, env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_routers_from_a_call_to_a_retraining(trained, code, other, tmp_path):
    place, served = tmp_path / "place", shutil.copytree(trained.path, tmp_path / "served")
    run(tmp_path, "promote", code, "--to", place)
    options = {"workers": 2, "router": f"code={place}", "reload_every_s": 0.3, "explore_share": 0.2}
    with proxied(tmp_path / "it", served, ECHO, **options) as service, contextlib.ExitStack() as opened:
        _, coder = create_key(service.folder / "keys.toml", name="coder", roles=Role, router="code")
        clients = [
            opened.enter_context(openai.OpenAI(base_url=f"{service.url}/v1", api_key=key))
            for key in (service.key, coder)
        ]

        def answered(asked, client):
            messages = [{"role": "user", "content": SUM}]
            try:
                return client.chat.completions.create(model=asked, messages=messages).model
            except openai.AuthenticationError:
                return None

        def model_of(asked, client=clients[0]):
            # Each worker reads the file of keys by itself, so the other one may not know the new key yet.
            return eventually(lambda: answered(asked, client), "the new key is known")

        assert not model_of("auto").startswith("code-")
        assert model_of("auto:code").startswith("code-")
        assert model_of("auto", clients[1]).startswith("code-")
        assert not model_of("auto:default", clients[1]).startswith("code-")
        with pytest.raises(openai.NotFoundError, match="its routers are 'auto:default', 'auto:code'"):
            model_of("auto:nope")
        for n in range(40):
            asked = {"messages": [{"role": "user", "content": f"{SUM} {n}"}]}
            decided = service.route(model="auto:code", **asked)
            grade = {"decision_id": decided["id"], "score": float(n % 4 > 0)}
            assert service.call("POST", "/v1/feedback", grade).status_code == 202
            service.route(**LOADED)

        before = service.status()["routers"]
        shutil.rmtree(served)
        shutil.copytree(other[0], served)  # only the default router is replaced
        (place / "current").write_text("nothing-is-here\n")  # and the other one is broken
        eventually(
            lambda: service.status()["routers"]["default"]["artifact"] == other[1], "it is loaded anew", limit_s=120
        )
        after = service.status()["routers"]
        assert after["code"]["artifact"] == before["code"]["artifact"]
        eventually(lambda: "router code: the new artifact was refused" in service.output, "the other one is refused")
        assert service.call("GET", "/readyz").json()["routers"] == {"default": True, "code": True}
        assert model_of("auto:code").startswith("code-")
        assert {name for name in service.metrics() if name.startswith("router_ready")} == {
            'router_ready{router="default"}', 'router_ready{router="code"}',
        }  # fmt: skip
        assert service.end() == 0

    log = ("--log", service.log.replace("+aiosqlite", ""), "--spool", service.folder / "spool")
    run(tmp_path, "log", "export", *log, "--router", "code", "--out", "code.parquet")
    rows = pl.read_parquet(tmp_path / "code.parquet")
    assert rows["model"].str.starts_with("code-").all()
    assert rows["quality"].drop_nulls().len() == 40
    said = run(tmp_path, "spend", *log, "--by", "router", "--json")
    assert '"router": "code"' in said
    run(
        tmp_path, "retrain", *log, "--router", "code", "--base", code, "--table", code.parent / "outcomes.parquet",
        "--out", "better", "--accept-moves", "--no-track",
    )  # fmt: skip
    assert run(tmp_path, "inspect", "better").count("code-") >= 3
