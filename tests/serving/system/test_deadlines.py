"""Providers that are silent, or stall, over real connections: time is left for the next one, and all ends well."""

import asyncio
from collections import Counter

import httpx2
import pytest
from proxied import KINDS, proxied, silent_toml
from proxy_calls import ask, heard
from waiting import until

SURFACES = ("chat", "messages", "generate")
TOTAL_S = 4
SLACK_S = 1.5  # of a busy machine
N_UNDER_WAY = 20


@pytest.fixture
def service(trained, upstream, tmp_path):
    """The service before providers that stall, whose drain takes a second."""
    with proxied(tmp_path / "service", trained.path, silent_toml(upstream), drain_s=1) as running:
        yield running


def client_of(service):
    headers = {"authorization": f"Bearer {service.key}"}
    return httpx2.AsyncClient(base_url=service.url, headers=headers, timeout=60, trust_env=False)


@pytest.mark.slow
def test_the_next_provider_has_half_of_the_time(service):
    """4 s in all: a provider that says nothing, or stalls while the answer can be taken back, is left after 2 s."""
    guard = {"x_router_stream_guard": "buffer"}
    cases = [
        (
            f"{play}, {how}",
            surface,
            f"{KINDS[number % 3]}.{play}.{how}",
            how != "whole",
            guard if how == "guard" else {},
        )
        for play in ("silence", "stall")
        for how in ("whole", "stream", "guard")
        for number, surface in enumerate(SURFACES)
        if (play, how) != ("stall", "stream")
    ]

    async def go():
        async with client_of(service) as client:
            return await asyncio.gather(
                *(
                    ask(client, surface, model, stream=stream, x_router_timeout_s=str(TOTAL_S), **more)
                    for _, surface, model, stream, more in cases
                )
            )

    for (name, surface, model, *_), outcome in zip(cases, asyncio.run(go()), strict=True):
        print(f"{name}, {surface}: failed over and answered after {outcome.seconds:.2f} s")
        assert (outcome.status, outcome.errors, outcome.is_complete) == (200, [], True), (name, outcome)
        assert outcome.text == heard(surface).text(), name
        assert outcome.headers["x-router-provider"] == f"{model.partition('.')[0]}-healthy"
        assert TOTAL_S / 2 <= outcome.seconds < TOTAL_S / 2 + SLACK_S, name


@pytest.mark.slow
def test_what_outlasts_the_drain_ends_by_the_book(service, upstream):
    """20 of 20 at SIGTERM: streams get their surface's error event and end, whole answers and held streams a 503."""
    asked = [
        (
            SURFACES[number % 3],
            f"{KINDS[(number // 3) % 3]}.alone.{number}",
            ("stream", "whole", "guard")[number % 4 % 3],
        )
        for number in range(N_UNDER_WAY)
    ]

    def received():
        return sum(one.play == "stall" for one in upstream.received)

    async def go():
        async with client_of(service) as client:
            tasks = [
                asyncio.create_task(
                    ask(
                        client,
                        surface,
                        model,
                        stream=how != "whole",
                        **({"x_router_stream_guard": "buffer"} if how == "guard" else {}),
                    )
                )
                for surface, model, how in asked
            ]
            before = received()
            await until(lambda: received() - before == N_UNDER_WAY)
            await asyncio.sleep(0.3)
            service.process.terminate()
            return await asyncio.gather(*tasks)

    outcomes = asyncio.run(go())
    assert service.process.wait(timeout=30) == 0, service.output
    assert Counter(outcome.status for outcome in outcomes) == {200: 10, 503: 10}
    for (surface, model, how), outcome in zip(asked, outcomes, strict=True):
        assert outcome.status == (200 if how == "stream" else 503), (model, outcome)
        assert (len(outcome.errors), outcome.ends, outcome.is_complete) == (1, 0, True), (model, outcome)
        error = outcome.errors[0]
        assert "send the request again" in error["message"]
        assert {"chat": "server_error", "messages": "overloaded_error"}.get(surface) == error.get("type")
        assert surface != "generate" or (error["code"], error["status"]) == (503, "UNAVAILABLE")
    logged = service.rows("attempts")
    assert Counter(row["error_type"] for row in logged) == {"shutdown": N_UNDER_WAY}
    assert all(row["first_token_s"] and row["input_tokens"] and row["output_tokens"] for row in logged)
    assert "Traceback" not in service.output
