"""A hostile caller beside a healthy one, over HTTP through the whole service, with one provider and one key."""

from itertools import cycle, islice

import pytest
from hostile_world import SCENARIOS, Seen, ask, callers

N_CALLS = 10


@pytest.fixture(scope="module")
def service(trained, tmp_path_factory):
    with callers(tmp_path_factory.mktemp("isolation") / "service", trained.path) as running:
        yield running


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
async def test_what_a_hostile_caller_provokes_is_not_the_healthy_ones(service, scenario):
    """They call in turn: all of the healthy one's calls are answered, each by the first of its models that can."""
    hostile, healthy = Seen(), Seen()
    if scenario.outage:
        await service.end_of_outage(scenario)
    async with service.client("hostile") as foe, service.client("healthy") as friend:
        for prompt in islice(cycle(scenario.prompts), N_CALLS):
            await ask(foe, scenario, prompt, ("a",), hostile)
            await ask(friend, scenario, "hi", scenario.models, healthy)
    assert healthy.statuses == {200: N_CALLS}
    assert set(hostile.statuses) <= scenario.statuses
    if "!bad" in scenario.prompts:
        assert hostile.statuses[400] == N_CALLS / 2
