"""Clients that leave, many at once, and a service that is told to end in the middle of streams."""

import asyncio
import json
import signal
import time
from pathlib import Path

import httpx2
import pytest
from http_load import post
from processes import eventually
from proxied import KINDS, providers_toml, proxied, silent_toml
from proxy_calls import ask, body_of, heard
from waiting import until

WITHIN_S = 1.0  # the provider sees the hang-up
LEAVERS = 1000
AT_ONCE = 200


def client_of(service, **options):
    headers = {"authorization": f"Bearer {service.key}"}
    limits = httpx2.Limits(max_connections=AT_ONCE)
    return httpx2.AsyncClient(
        base_url=service.url, headers=headers, limits=limits, timeout=60, trust_env=False, **options
    )


def asks(part, received):
    """Whether the model that a request asked for has this in its name."""
    return part in received.path + received.body.get("model", "")


async def leave(client, surface, model, *, after_token):
    """Ask for a stream, and hang up before its first token, or after it."""
    path, body = body_of(surface, model, stream=True)
    if not after_token:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await client.post(path, json=body)
        return
    async with client.stream("POST", path, json=body) as response:
        async for _ in response.aiter_bytes():
            return


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("after_token", "play"), [(False, "late_first_token"), (True, "slow"), (False, "silence")])
async def test_a_client_that_leaves_hangs_up_on_the_provider(proxy, upstream, kind, after_token, play):
    """At once; and what was consumed is in the log, as nobody's failure."""
    model = f"{kind}.alone.{play}.leaver-{after_token}"
    async with client_of(proxy) as client:
        await leave(client, "chat", model, after_token=after_token)
    left_s = time.monotonic()
    (received,) = [
        one for one in upstream.received if asks(f"leaver-{after_token}", one) and (one.play, one.kind) == (play, kind)
    ]
    eventually(lambda: received.gone_s, "the provider saw it", limit_s=5)
    assert received.gone_s - left_s < WITHIN_S
    (row,) = eventually(lambda: proxy.rows("attempts", model=model), "it is in the log")
    assert row["error_type"] == "client_gone"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_leaves_a_whole_answer_hangs_up_too(proxy, upstream, kind):
    model = f"{kind}.alone.silence.whole-leaver"
    path, body = body_of("chat", model, stream=False)
    async with client_of(proxy) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await client.post(path, json=body)
    left_s = time.monotonic()
    (received,) = [one for one in upstream.received if asks("whole-leaver", one) and one.kind == kind]
    eventually(lambda: received.gone_s, "the provider saw it", limit_s=5)
    assert received.gone_s - left_s < WITHIN_S
    (row,) = eventually(lambda: proxy.rows("attempts", model=model), "it is in the log")
    assert (row["error_type"], row["usage_estimated"], row["output_tokens"]) == ("client_gone", "input_missing", 0)
    assert row["input_tokens"] > 0  # the provider has read it, and charges for it


def test_200_streams_at_once_are_all_whole(proxy):
    """Each asks something else, of all formats; each gets its own answer."""

    async def go():
        async with client_of(proxy) as client:
            return await asyncio.gather(
                *(
                    ask(client, "chat", f"{KINDS[n % 3]}.alone.paced.many-{n}", stream=True, prompt=f"number {n}")
                    for n in range(AT_ONCE)
                )
            )

    for n, outcome in enumerate(asyncio.run(go())):
        assert (outcome.status, outcome.errors, outcome.ends, outcome.is_complete) == (200, [], 1, True)
        assert outcome.text == heard("chat", prompt=f"number {n}").text()


def n_tasks(service):
    service.metrics()  # counts them
    return int((service.folder / "tasks").read_text())


def n_descriptors(service):
    return sum(1 for _ in Path(f"/proc/{service.process.pid}/fd").iterdir())


async def abandon(service, name, n):
    """Leave so many streams after their first token, fifty at a time; over plain connections, which cost little."""
    gate = asyncio.Semaphore(50)

    async def one(number):
        path, body = body_of("chat", f"{KINDS[number % 3]}.alone.slow.{name}-{number}", stream=True)
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(post(path, json.dumps(body).encode(), host=f"127.0.0.1:{service.port}", key=service.key))
            await reader.readuntil(b"choice 0")
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(one(number) for number in range(n)))


@pytest.mark.slow  # hostile/test_memory.py shows it in one process
def test_abandoned_streams_leave_nothing(proxy, upstream):
    """1,000 streams, each left after its first token: no connection, task or descriptor more than after thirty."""

    def quiet():
        return all(one.is_answered or one.gone_s for one in upstream.received)

    asyncio.run(abandon(proxy, "first", 30))
    eventually(quiet, "the provider saw the first", limit_s=5)
    tasks, descriptors = n_tasks(proxy), n_descriptors(proxy)
    asyncio.run(abandon(proxy, "left", LEAVERS))
    eventually(quiet, "the provider saw all", limit_s=10)
    eventually(lambda: n_tasks(proxy) <= tasks + 2, "no task is left", limit_s=10)
    eventually(lambda: n_descriptors(proxy) <= descriptors + 5, "no descriptor is left", limit_s=10)

    def logged():
        found = [row["error_type"] for row in proxy.rows("attempts") if ".slow.left-" in row["model"]]
        return found if len(found) == LEAVERS else None

    assert set(eventually(logged, "all are in the log")) == {"client_gone"}


@pytest.mark.slow  # test_serve.py shows it of answers
def test_sigterm_drains_streams(trained, upstream, tmp_path):
    """Streams that are under way at SIGTERM end whole, and are in the log; the service's exit status is 0."""
    with proxied(tmp_path / "service", trained.path, providers_toml(upstream)) as service:

        async def go():
            async with client_of(service) as client:
                asked = [
                    asyncio.create_task(ask(client, "chat", f"{KINDS[n % 3]}.alone.slow.drained-{n}", stream=True))
                    for n in range(12)
                ]
                await until(lambda: sum(asks("drained-", one) for one in upstream.received) == 12)
                await asyncio.sleep(0.3)
                service.process.terminate()
                return await asyncio.gather(*asked)

        outcomes = asyncio.run(go())
        assert service.process.wait(timeout=30) == 0, service.output
    for outcome in outcomes:
        assert (outcome.status, outcome.errors, outcome.ends, outcome.is_complete) == (200, [], 1, True)
        assert outcome.text == heard("chat").text()
    assert [row["error_type"] for row in service.rows("attempts")] == [None] * 12
    assert "Traceback" not in service.output


@pytest.fixture
def hears_sighup():
    """Let the service hear SIGHUP, too, where the tests run under nohup: a child inherits what is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.usefixtures("hears_sighup")
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGHUP])
def test_a_further_ctrl_c_ends_streams_at_once_and_loses_nothing(trained, upstream, tmp_path, first):
    """A stream that stalls gets its error event, long before `drain_s` is over, and its row in the log."""
    with proxied(tmp_path / "service", trained.path, silent_toml(upstream), drain_s=300) as service:

        async def go():
            path, body = body_of("chat", "openai.alone.hurried", stream=True)
            async with client_of(service) as client, client.stream("POST", path, json=body) as response:
                service.process.send_signal(first)
                await until(lambda: "no longer ready" in service.output)  # two signals that wait would be one
                service.process.send_signal(signal.SIGINT)
                return response.status_code, await response.aread()

        status, events = asyncio.run(go())
        assert service.process.wait(timeout=30) == 0, service.output
    assert (status, events.count(b'"error"')) == (200, 1)
    assert events.endswith(b"data: [DONE]\n\n")
    assert [row["error_type"] for row in service.rows("attempts")] == ["shutdown"]
    assert "Traceback" not in service.output
