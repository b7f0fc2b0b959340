"""Kept responses, with OpenAI's own SDK: any provider can go on from them, and their key alone can read them."""

import contextlib
import json

import httpx
import openai
import pytest
from client_service import CHAT, served

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role
from router_model.serving.decision_log.sql_store import SqlStore
from router_model.serving.decision_log.store import StoreError

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
NATIVE = {
    "id": "resp_native",
    "object": "response",
    "status": "completed",
    "model": "native-x",
    "store": True,
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Seven."}]},
    ],
    "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
}


def providers_of(folder, upstream):
    base = f"http://127.0.0.1:{upstream.server_address[1]}"
    tables = [
        f'[{name}]\nkind = "{kind}"\nbase_url = "{base}/{name}/v1"\nstream_whole_answers = false\nmodels = {models}\n'
        for name, kind, models in (
            ("openai", "openai", '["gpt-x"]'),
            ("anthropic", "anthropic", '["claude-x"]'),
            ("native", "openai-responses", '["native-x"]'),
            ("second", "openai-responses", '["native-x"]'),
        )
    ]
    (folder / "providers.toml").write_text("\n".join(tables))
    return folder / "providers.toml"


@pytest.fixture(scope="module")
def service(upstream_of_all, tmp_path_factory):
    """The address of a service that keeps responses, and the keys of two callers."""
    folder = tmp_path_factory.mktemp("stored")
    keys = [create_key(folder / "keys.toml", name=name, roles=[Role.PROXY, Role.ADMIN])[1] for name in ("a", "b")]
    with served(
        insecure=False,
        keys=folder / "keys.toml",
        providers=providers_of(folder, upstream_of_all),
        log=f"sqlite+aiosqlite:///{folder}/log.db",
        log_spool=folder / "spool",
        log_flush_s=0.02,
        store_responses=True,
    ) as url:
        yield url, keys


@pytest.fixture
def clients(service, upstream):  # noqa: ARG001  (its script is empty then)
    """The SDK with the one key and with the other."""
    url, keys = service
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20))
            for key in keys
        ]


def asked(upstream, place=-1):
    return upstream.seen[place][2]


def said(messages):
    return [(one["role"], one["content"]) for one in messages]


def stream_of(*deltas):
    about = {"id": "c1", "object": "chat.completion.chunk", "created": 1790000000, "model": "gpt-x"}
    choices = [{"index": 0, "delta": {"content": one}, "finish_reason": None} for one in deltas]
    choices[-1]["finish_reason"] = "stop"
    events = [b"data: " + json.dumps(about | {"choices": [choice]}).encode() + b"\n\n" for choice in choices]
    return b"".join(events) + b"data: [DONE]\n\n"


def test_a_conversation_goes_on_from_its_last_response_at_any_provider(clients, upstream):
    """Three turns: whole, streamed, and by a provider of another kind. Instructions are those of each turn alone."""
    client, _ = clients
    first = client.responses.create(model="gpt-x", input="One.", instructions="Be brief.")
    upstream.script["openai"] = 200, stream_of("Tw", "o.")
    with client.responses.create(
        model="gpt-x", input="And then?", previous_response_id=first.id, stream=True
    ) as events:
        second = [*events][-1].response
    third = client.responses.create(
        model="claude-x", input="Last?", previous_response_id=second.id, max_output_tokens=9
    )
    assert (first.store, second.store, second.previous_response_id) == (True, True, first.id)
    assert said(asked(upstream, 1)["messages"]) == [("user", "One."), ("assistant", "hello"), ("user", "And then?")]
    assert [one["role"] for one in asked(upstream)["messages"]] == ["user", "assistant"] * 2 + ["user"]
    assert "Two." in str(asked(upstream)["messages"][3])
    assert len({first.id, second.id, third.id}) == 3  # whatever ids the providers gave
    assert third.previous_response_id == second.id


def test_tools_are_answered_without_sending_their_calls_again(clients, upstream):
    client, _ = clients
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    upstream.script["openai"] = 200, CHAT | {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    first = client.responses.create(model="gpt-x", input="Look.", tools=[LOOK])
    output = {"type": "function_call_output", "call_id": "call_1", "output": "4"}
    client.responses.create(model="gpt-x", input=[output], tools=[LOOK], previous_response_id=first.id)
    user, assistant, tool = asked(upstream)["messages"]
    assert (user["content"], assistant["tool_calls"][0]["id"]) == ("Look.", "call_1")
    assert tool == {"role": "tool", "tool_call_id": "call_1", "content": "4"}


def test_a_response_is_read_listed_and_deleted_by_its_key_alone(clients):
    client, other = clients
    first = client.responses.create(model="gpt-x", input="One.")
    second = client.responses.create(model="gpt-x", input="Two.", previous_response_id=first.id)
    read = client.responses.retrieve(second.id)
    assert (read.id, read.output_text, read.previous_response_id) == (second.id, "hello", first.id)
    assert read.usage.total_tokens == second.usage.total_tokens
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [one.role for one in items] == ["user", "assistant", "user"]  # two pages
    assert len({one.id for one in client.responses.input_items.list(second.id)}) == 3
    for call in (other.responses.retrieve, other.responses.delete, other.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match="this key has no response with that id"):
            call(second.id)
    with pytest.raises(openai.BadRequestError, match="kept for this key") as caught:
        other.responses.create(model="gpt-x", input="Mine?", previous_response_id=second.id)
    assert caught.value.param == "previous_response_id"
    client.responses.delete(first.id)
    for call in (client.responses.retrieve, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(first.id)
    assert client.responses.retrieve(second.id).output_text == "hello"
    with pytest.raises(openai.BadRequestError, match="is kept no more") as caught:
        client.responses.create(model="gpt-x", input="Three.", previous_response_id=second.id)
    assert caught.value.code == "previous_response_not_found"


def test_what_is_not_to_be_stored_is_not_kept(clients):
    client, _ = clients
    answer = client.responses.create(model="gpt-x", input="One.", store=False)
    assert answer.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError, match="no response with the id .* is kept for this key"):
        client.responses.create(model="gpt-x", input="Two.", previous_response_id=answer.id)


def test_what_a_provider_keeps_itself_goes_back_to_it_unless_it_is_kept_here(clients, upstream):
    """Kept here too, the whole conversation goes to any provider; else the id goes to the one that made it."""
    client, other = clients
    upstream.script["native"] = 200, NATIVE
    upstream.script["second"] = 200, NATIVE
    kept = client.responses.create(model="native-x", input="Six?")
    client.responses.create(model="gpt-x", input="Then?", previous_response_id=kept.id)
    assert kept.id == "resp_native"
    assert said(asked(upstream)["messages"]) == [("user", "Six?"), ("assistant", "Seven."), ("user", "Then?")]
    upstream.script["second"] = 200, NATIVE | {"id": "resp_second"}
    order = {"provider": {"order": ["second"]}}
    client.responses.create(
        model="native-x", input="Six?", extra_body=order | {"conversation": "conv_1"}
    )  # its input is at the provider, so it is not kept here
    client.responses.create(model="native-x", input="Then?", previous_response_id="resp_second")
    kind, _, body = upstream.seen[-1]
    assert (kind, body["previous_response_id"], len(body["input"])) == ("second", "resp_second", len("Then?"))
    with pytest.raises(openai.BadRequestError, match="kept for this key"):
        other.responses.create(model="native-x", input="Mine?", previous_response_id="resp_second")


def test_while_the_log_cannot_be_read_nobody_goes_on_from_what_may_be_anothers(clients, upstream, monkeypatch):
    """The key that made it is known to this process; a deletion is noted without a look at the response."""
    client, other = clients
    upstream.script["native"] = 200, NATIVE | {"id": "resp_away"}
    order = {"provider": {"order": ["native"]}}
    client.responses.create(model="native-x", input="Six?", extra_body=order | {"conversation": "conv_1"})
    kept = client.responses.create(model="gpt-x", input="One.")

    async def away(*_):
        raise StoreError("the store is away")

    with monkeypatch.context() as outage:
        outage.setattr(SqlStore, "find", away)
        client.responses.create(model="native-x", input="Then?", previous_response_id="resp_away")
        n_sent = len(upstream.seen)
        for response_id in ("resp_away", "resp_older"):
            with pytest.raises(openai.InternalServerError, match="whether this key made that response") as caught:
                other.responses.create(model="native-x", input="Mine?", previous_response_id=response_id)
            assert (caught.value.status_code, len(upstream.seen)) == (503, n_sent)
        outage.setattr(SqlStore, "chain", away)
        with pytest.raises(openai.InternalServerError, match="the decision log cannot be read now"):
            client.responses.retrieve(kept.id)
        client.responses.delete(kept.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(kept.id)


def test_tokens_are_counted_with_the_conversation_before_them(clients, upstream):
    client, _ = clients
    first = client.responses.create(model="gpt-x", input="One. " * 100)
    alone = client.responses.input_tokens.count(model="gpt-x", input="Two.")
    after = client.responses.input_tokens.count(model="gpt-x", input="Two.", previous_response_id=first.id)
    assert after.object == "response.input_tokens"
    assert after.input_tokens > alone.input_tokens + 100
    upstream.script["native"] = 200, {"object": "response.input_tokens", "input_tokens": 77}
    assert client.responses.input_tokens.count(model="native-x", input="Hi", tools=[LOOK]).input_tokens == 77
    assert upstream.seen[-1] == (
        "native",
        "v1/responses/input_tokens",
        {"model": "native-x", "input": "Hi", "tools": [LOOK]},
    )


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=no", "after")]
)
def test_a_page_that_cannot_be_is_refused(clients, query, param):
    client, _ = clients
    answer = client.responses.create(model="gpt-x", input="One.")
    url = f"{client.base_url}responses/{answer.id}"
    headers = {"authorization": f"Bearer {client.api_key}"}
    refused = httpx.get(f"{url}/input_items?{query}", headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert httpx.get(f"{url}?stream=true", headers=headers).status_code == 400


def test_without_the_setting_it_is_said_what_to_set(chat):
    for call in (chat.responses.retrieve, chat.responses.delete, chat.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match=r"keeps no responses: start it with --store-responses"):
            call("resp_1")
    with pytest.raises(openai.BadRequestError, match="--store-responses") as caught:
        chat.responses.create(model="gpt-x", input="Hi", previous_response_id="resp_1")
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")
