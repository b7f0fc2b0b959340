"""A LiteLLM proxy, the decision service and a provider, each in a process or thread of its own, over real sockets."""

import openai
import pytest
from fake_provider import FakeProvider, fake_provider
from litellm_proxy import MASTER_KEY, LiteLLMProxy, litellm_proxy
from processes import eventually
from relay import Relay, relay
from fake_service import fake_service

SETTINGS = """
litellm_settings:
  callbacks: litellm_hook.router_hook
  num_retries: 0
"""


@pytest.fixture(scope="module")
def service():
    with fake_service() as running:
        yield running


@pytest.fixture(scope="module")
def provider():
    with fake_provider() as running:
        yield running


@pytest.fixture(scope="module")
def wire(service):
    with relay(service.url) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(service, provider, wire, tmp_path_factory):
    env = {"ROUTER_URL": wire.url, "ROUTER_DEFAULT_MODEL": "spare", "ROUTER_API_KEY": "k", "ROUTER_TIMEOUT_S": "2"}
    folder = tmp_path_factory.mktemp("litellm")
    with litellm_proxy(folder, provider=provider.url, models=["small", "large", "spare"], settings=SETTINGS, **env) as p:
        yield p

def test_it(proxy, service, provider, wire):
    c = openai.OpenAI(base_url=proxy.url + "/v1", api_key=MASTER_KEY, max_retries=0)
    r = c.chat.completions.with_raw_response.create(model="auto", messages=[{"role": "user", "content": "hi"}], extra_body={"router": {"quality_bar": .5}})
    print({k: v for k, v in r.headers.items() if "router" in k})
    eventually(lambda: service.records, "x")
    print(service.seen, provider.bodies)
    r = c.chat.completions.create(model="auto", stream=True, messages=[{"role": "user", "content": "hi"}])
    print(list(r)[0].id)
    provider.broken = {"small"}
    print(c.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}]).id)
    provider.broken = set()
    wire.down = True
    r = c.chat.completions.with_raw_response.create(model="auto", messages=[{"role": "user", "content": "hi"}])
    print({k: v for k, v in r.headers.items() if "router" in k})
    wire.down = False
    eventually(lambda: len(service.records) > 3, "x")
    print(*service.records.items(), sep="\n")
    print(provider.bodies)
    import httpx2
    r = httpx2.post(proxy.url + "/v1/messages", json={"model": "auto", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}, headers={"x-api-key": MASTER_KEY}, timeout=20)
    print(r.status_code, r.text, r.headers)
    r = httpx2.post(proxy.url + "/v1/responses", json={"model": "auto", "input": "hi"}, headers={"authorization": "Bearer " + MASTER_KEY}, timeout=20)
    print(r.status_code, r.text, r.headers)
    import time; time.sleep(2)
    print(*service.records.items(), sep="\n")
    print(service.seen[-3:])
    print(proxy.output.read_text()[-3000:])
    assert 0
