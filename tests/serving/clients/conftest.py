"""One service without a router before three scripted providers, and each vendor's own SDK."""

import contextlib

import pytest
from client_service import providers_file, scripted_providers, served

anthropic = pytest.importorskip("anthropic", reason="the vendor's SDK is not installed")
openai = pytest.importorskip("openai", reason="the vendor's SDK is not installed")
genai = pytest.importorskip("google.genai", reason="the vendor's SDK is not installed")


@pytest.fixture(scope="session")
def upstream_of_all():
    with scripted_providers() as running:
        yield running


@pytest.fixture
def upstream(upstream_of_all):
    """The providers, without a script."""
    upstream_of_all.script.clear()
    upstream_of_all.seen.clear()
    return upstream_of_all


@pytest.fixture(scope="session")
def url(upstream_of_all, tmp_path_factory):
    """The address of the service."""
    with served(providers=providers_file(tmp_path_factory.mktemp("clients"), upstream_of_all)) as address:
        yield address


@pytest.fixture
def chat(url, upstream):  # noqa: ARG001  (its script is empty then)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def responses(chat):
    """The same SDK's other surface."""
    return chat


@pytest.fixture
def claude(url, upstream):  # noqa: ARG001
    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def google(url, upstream):  # noqa: ARG001
    with contextlib.closing(genai.Client(api_key="any", http_options={"base_url": url})) as client:
        yield client
