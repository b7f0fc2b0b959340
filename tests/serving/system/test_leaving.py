"""Clients that leave, many at once, and a service that is told to end in the middle of streams."""

import asyncio
import time

import httpx2
import pytest
from processes import eventually
from proxied import KINDS, providers_toml, proxied, rows
from proxy_calls import ask, body_of, heard
from system import WATCHED_SERVE
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
def test_a_client_that_leaves_hangs_up_on_the_provider(proxy, upstream, kind, after_token, play):
    """At once; and what was consumed is in the log, as nobody's failure."""
    model = f"{kind}.alone.{play}.leaver-{after_token}"

    async def go():
        async with client_of(proxy) as client:
            await leave(client, "chat", model, after_token=after_token)
        return time.monotonic()

    left_s = asyncio.run(go())
    (received,) = [
        one for one in upstream.received if asks(f"leaver-{after_token}", one) and (one.play, one.kind) == (play, kind)
    ]
    eventually(lambda: received.gone_s, "the provider saw it", limit_s=5)
    assert received.gone_s - left_s < WITHIN_S
    (row,) = eventually(lambda: [row for row in rows(proxy, "attempts") if row["model"] == model], "it is in the log")
    assert row["error_type"] == "client_gone"


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_leaves_a_whole_answer_hangs_up_too(proxy, upstream, kind):
    model = f"{kind}.alone.silence.whole-leaver"

    async def go():
        path, body = body_of("chat", model, stream=False)
        async with client_of(proxy) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await client.post(path, json=body)
        return time.monotonic()

    left_s = asyncio.run(go())
    (received,) = [one for one in upstream.received if asks("whole-leaver", one) and one.kind == kind]
    eventually(lambda: received.gone_s, "the provider saw it", limit_s=5)
    assert received.gone_s - left_s < WITHIN_S


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


@pytest.fixture(scope="module")
def watched(trained, upstream, tmp_path_factory):
    """A service of its own that counts its tasks; nobody else calls it."""
    folder = tmp_path_factory.mktemp("watched") / "service"
    with proxied(folder, trained.path, providers_toml(upstream), program=WATCHED_SERVE) as running:
        yield running


def n_tasks(service):
    service.metrics()  # counts them
    return int((service.folder / "tasks").read_text())


def n_descriptors(service):
    from pathlib import Path

    return sum(1 for _ in Path(f"/proc/{service.process.pid}/fd").iterdir())


def test_abandoned_streams_leave_nothing(watched, upstream):
    """1,000 streams, each left after its first token: no connection, task or descriptor more than after ten."""

    async def abandon(n, *, until):
        gate = asyncio.Semaphore(50)

        async def one(number):
            async with gate, client_of(watched) as client:
                await leave(client, "chat", f"{KINDS[number % 3]}.alone.slow.left-{until}-{number}", after_token=True)

        await asyncio.gather(*(one(number) for number in range(n)))

    def quiet():
        return all(one.is_answered or one.gone_s for one in upstream.received)

    asyncio.run(abandon(10, until="first"))
    eventually(quiet, "the provider saw the first", limit_s=5)
    tasks, descriptors = n_tasks(watched), n_descriptors(watched)
    asyncio.run(abandon(LEAVERS, until="all"))
    eventually(quiet, "the provider saw all", limit_s=10)
    eventually(lambda: n_tasks(watched) <= tasks + 2, "no task is left", limit_s=10)
    eventually(lambda: n_descriptors(watched) <= descriptors + 5, "no descriptor is left", limit_s=10)
    logged = eventually(
        lambda: [found for found in [rows(watched, "attempts")] if len(found) == LEAVERS + 10], "all are in the log"
    )
    assert {row["error_type"] for row in logged[0]} == {"client_gone"}


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
    assert [row["error_type"] for row in rows(service, "attempts")] == [None] * 12
    assert "Traceback" not in service.output
