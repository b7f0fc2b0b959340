"""The official SDKs of OpenAI, Anthropic and Google, pointed at us: nothing is different from asking the provider.

The provider repeats in its answer all that it heard (`scripted_request`), so that what a translation loses or changes
is seen. Each case of `sdk_cases` is asked directly of a provider that speaks the SDK's own format, and through the
proxy of providers of every format.
"""

import asyncio
import contextlib
import threading

import anthropic
import openai
import pytest
from google.genai import errors as google_errors
from off_spec import ANSWERS, STREAMS
from processes import eventually
from proxied import ALL_KINDS, KINDS
from sdk_cases import CASES, SURFACES, Chat

IMPOSSIBLE = {  # what a provider cannot do is refused, not left out
    ("chat", "several", "anthropic"),
    ("chat", "several_streamed", "anthropic"),
    ("chat", "logprobs", "anthropic"),
    ("generate", "several", "anthropic"),
    ("responses", "logprobs", "anthropic"),
    ("chat", "stop", "openai-responses"),
    ("chat", "several", "openai-responses"),
    ("chat", "several_streamed", "openai-responses"),
    ("messages", "stop", "openai-responses"),
    ("generate", "stop", "openai-responses"),
    ("generate", "several", "openai-responses"),
}
ALL_PAIRS = [
    (surface, case, kind)
    for surface, asked in SURFACES.items()
    for case in CASES
    if hasattr(asked, case)
    for kind in ALL_KINDS
    if (surface, case, kind) not in IMPOSSIBLE and (case, kind) != ("logprobs", "gemini")
]
PAIRS = [
    pytest.param(surface, case, kind, marks=[pytest.mark.slow] * ((CASES.index(case) + ALL_KINDS.index(kind)) % 2))
    for surface, case, kind in ALL_PAIRS
]
"""`make test` asks each case of half of the kinds of providers, in turn; `make test-all` asks the others."""


OPENAIS = ("chat", "responses")


def base_url(service, surface):
    return f"{service.url}/v1" if surface in OPENAIS else service.url


@pytest.fixture(scope="module")
def connect():
    """Return what makes an SDK's client. All are closed in the end: an open socket fails whichever test runs later."""
    with contextlib.ExitStack() as opened:

        def made(surface, url, key):
            return opened.enter_context(contextlib.closing(SURFACES[surface].client(url, key)))

        yield made


@pytest.fixture(scope="module")
def clients(proxy, connect):
    """A client of each SDK, pointed at us."""
    return {surface: connect(surface, base_url(proxy, surface), proxy.key) for surface in SURFACES}


@pytest.fixture(scope="module")
def theirs(upstream, connect):
    """A client of each SDK, pointed at the provider itself."""
    return {
        surface: connect(surface, upstream.url(asked.kind, prefix=surface in OPENAIS), "sk-direct")
        for surface, asked in SURFACES.items()
    }


@pytest.fixture(scope="module")
def direct(theirs):
    """Return what a case gives where the SDK asks the provider itself; each is asked once."""
    known = {}

    def ask(surface, case):
        if (surface, case) not in known:
            known[surface, case] = getattr(SURFACES[surface], case)(theirs[surface], "m")
        return known[surface, case]

    return ask


@pytest.mark.parametrize(("surface", "case", "kind"), PAIRS)
def test_the_answer_is_the_providers(clients, direct, surface, case, kind):
    assert getattr(SURFACES[surface], case)(clients[surface], f"{kind}/m") == direct(surface, case)


OFF_SPEC = [
    (kind, variant, cases)
    for kind in KINDS
    for variants, cases in ((STREAMS[kind], ("stream", "tools_streamed")), (ANSWERS[kind], ("text", "tools")))
    for variant in variants
]


@pytest.mark.parametrize(("kind", "variant", "cases"), OFF_SPEC)
def test_an_answer_off_the_book_is_the_same(clients, direct, kind, variant, cases):
    """Whatever a server makes of its format, the official SDK sees what it would of one that keeps to it."""
    for surface, asked in SURFACES.items():
        for case in cases:
            told = getattr(asked, case)(clients[surface], f"{kind}.alone.off_spec.{variant}.{surface}")
            assert told == direct(surface, case), (surface, case)


@pytest.mark.parametrize(("surface", "case", "kind"), sorted(IMPOSSIBLE))
def test_what_the_provider_cannot_do_is_refused(clients, surface, case, kind):
    refused = (openai.BadRequestError, anthropic.BadRequestError, google_errors.ClientError)
    with pytest.raises(refused, match="('n'|stop|logprobs|candidateCount|candidate_count)"):
        getattr(SURFACES[surface], case)(clients[surface], f"{kind}/m")


def test_openais_answers_are_passed_on_untouched(clients, theirs):
    """But for the model's id, who answered, and the costs; a field that nobody knows is there, too."""
    ask = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
    ours = clients["chat"].chat.completions.create(model="openai/m", **ask).to_dict()
    direct = theirs["chat"].chat.completions.create(model="m", **ask).to_dict()
    assert ours["model"] == "openai/m"
    assert ours["x_provider_note"] == "kept"
    assert (ours.pop("provider"), ours.pop("system_fingerprint")) == ("openai-healthy", None)
    usage, direct_usage = ours.pop("usage"), direct.pop("usage")
    assert {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        name: direct_usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    assert ours | {"model": "m"} == direct


def test_anthropics_answers_are_passed_on_untouched(clients, theirs):
    ask = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
    ours = clients["messages"].messages.create(model="anthropic/m", **ask).to_dict()
    direct = theirs["messages"].messages.create(model="m", **ask).to_dict()
    usage = ours.pop("usage")
    assert {name: usage[name] for name in direct["usage"]} == direct.pop("usage")
    assert ours | {"model": "m"} == direct


def test_unknown_fields_reach_the_provider(clients, upstream):
    extra = {"brand_new": {"deep": [1, 2]}, "user": "u-1", "seed": 7}
    Chat.ask(clients["chat"], "openai/untouched", extra_body=extra)
    body = upstream.of("untouched")[-1].body
    assert {name: body[name] for name in extra} == extra
    assert "router" not in body


def test_auto_decides_and_says_who_answered(clients):
    raw = clients["chat"].chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": "add 12 and 45 total"}], max_tokens=50
    )
    answer = raw.parse()
    assert answer.model in ("small", "coder", "large")
    assert raw.headers["x-router-model"] == answer.model
    assert raw.headers["x-router-decision-id"].startswith("dec_")
    assert raw.headers["x-router-attempts"] == "1"
    assert answer.usage.cost > 0
    assert answer.usage.cost == pytest.approx(float(raw.headers["x-router-cost-usd"]))


def test_auto_decides_for_responses_and_says_who_answered(proxy, clients):
    raw = clients["responses"].responses.with_raw_response.create(
        model="auto", input="add 12 and 45 total", max_output_tokens=50, extra_body={"session_id": "s-responses"}
    )
    answer = raw.parse()
    assert answer.model == raw.headers["x-router-model"] in ("small", "coder", "large")
    assert 0 < answer.usage.cost == pytest.approx(float(raw.headers["x-router-cost-usd"]))
    decision_id = raw.headers["x-router-decision-id"]
    logged = {}
    for table in ("decisions", "attempts"):
        (logged[table],) = eventually(
            lambda table=table: [one for one in proxy.rows(table) if one["decision_id"] == decision_id], "it is logged"
        )
    assert logged["decisions"]["surface"] == "responses"
    assert logged["attempts"]["response_id"] == answer.id


@pytest.mark.parametrize("surface", ["responses", "messages", "generate"])
def test_auto_decides_for_the_other_surfaces(clients, surface, direct):
    """Whichever of the three formats the chosen model speaks, the answer is the same."""
    assert SURFACES[surface].text(clients[surface], "auto") == direct(surface, "text")


def test_embeddings_are_the_providers(clients, theirs):
    ours = clients["chat"].embeddings.create(model="openai/embed", input=["a", "b"])
    direct = theirs["chat"].embeddings.create(model="embed", input=["a", "b"])
    assert [one.embedding for one in ours.data] == [one.embedding for one in direct.data]
    assert ours.usage.prompt_tokens == 6


def test_models_are_listed(clients):
    listed = {model.id for model in clients["chat"].models.list()}
    assert {"small", "coder", "large"} <= listed


_OPENAIS = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}
REFUSALS = {
    "chat": _OPENAIS,
    "responses": _OPENAIS,
    "messages": {
        400: anthropic.BadRequestError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
    },
    "generate": {
        400: google_errors.ClientError,
        404: google_errors.ClientError,
        429: google_errors.ClientError,
        500: google_errors.ServerError,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 404, 429, 500])
@pytest.mark.parametrize("surface", list(SURFACES))
def test_refusals_are_the_sdks_own_errors(clients, surface, status, kind):
    fault = "status_429_long" if status == 429 else f"status_{status}"
    with pytest.raises(REFUSALS[surface][status], match="scripted refusal"):
        SURFACES[surface].text(clients[surface], f"{kind}.alone.{fault}.sdk-{surface}")


@pytest.mark.parametrize("surface", list(SURFACES))
def test_a_wrong_key_is_an_authentication_error(proxy, surface, connect):
    errors = (openai.AuthenticationError, anthropic.AuthenticationError, google_errors.ClientError)
    client = connect(surface, base_url(proxy, surface), "rm_wrong")
    with pytest.raises(errors, match="401|key"):
        SURFACES[surface].text(client, "openai/m")


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
def test_a_stream_that_breaks_raises(clients, surface):
    """Not even an application that looks at nothing takes a part for the whole."""
    kind = SURFACES[surface].kind
    with pytest.raises((openai.APIError, anthropic.APIError)):
        SURFACES[surface].stream(clients[surface], f"{kind}.alone.cut_stream.sdk-{surface}")


async def test_async_clients(proxy, direct):
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0) as client:
        messages = [{"role": "user", "content": "What is 6 times 7?"}]
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model=f"{kind}/m", messages=messages, max_tokens=100, stop=["END", "FIN"]
                )
                for kind in KINDS
            )
        )
    assert [Chat.seen(answer) for answer in answers] == [direct("chat", "stop")] * len(KINDS)


@pytest.mark.parametrize("surface", ["chat", "messages"])
def test_closing_a_stream_hangs_up_on_the_provider(clients, upstream, surface):
    kind = SURFACES[surface].kind
    model, ask = (
        f"{kind}.alone.slow.cancel-{surface}",
        {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 9},
    )
    create = clients[surface].chat.completions.create if surface == "chat" else clients[surface].messages.create
    stream = create(model=model, stream=True, **ask)
    next(iter(stream))
    stream.close()
    (received,) = upstream.of(f"cancel-{surface}")
    eventually(lambda: received.gone_s, "the provider saw it", limit_s=5)
    assert not received.is_answered


def test_threads_share_a_client(clients, direct):
    """Many threads of one application: every one gets its own answer."""
    wanted, found = direct("chat", "text"), []
    threads = [
        threading.Thread(target=lambda kind=kind: found.append(Chat.text(clients["chat"], f"{kind}/m")))
        for kind in KINDS * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [wanted] * len(threads)
