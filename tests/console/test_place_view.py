"""The folder of published routers, and the changes that an operator makes to it."""

import asyncio

import pytest

from router_model.saved.place import Mode, Place
from router_model.serving.common.service_errors import InvalidRequestError, ReloadRefusedError
from router_model.serving.common.settings import Settings
from router_model.serving.console import training_commands
from router_model.serving.console.place_view import Action, change, place_as_seen, place_view


@pytest.fixture
def place(valued, tmp_path) -> Place:
    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    place.challenge(valued["cheap"], Mode.SHADOW, 0.1)
    return place


def view(place):
    return asyncio.run(place_view(Settings(artifact=place.folder)))


def act(place, action, seen, reason="it is better"):
    async def done():
        await change(await place_as_seen(Settings(artifact=place.folder), action, seen), action, reason)

    asyncio.run(done())


def test_rollback_and_the_end_of_a_challenge_are_in_the_history(place):
    place.publish(place.folder / place.challenger.router, {}, instead_of=place.current)
    now = view(place)
    assert now.actions == (Action.ROLL_BACK,)
    act(place, Action.ROLL_BACK, now.seen, "a mistake")
    assert view(place).current == now.previous
    place.challenge(place.folder / now.current, Mode.SHADOW, 0.1)
    act(place, Action.STOP, view(place).seen, "enough")
    assert place.challenger is None
    last, _, rolled_back = view(place).history[:3]
    assert (last["action"], last["reason"]) == ("stop challenge", "enough")
    assert (rolled_back["action"], rolled_back["reason"]) == ("rollback", "a mistake")


def test_change_is_refused_if_the_place_names_something_else_by_now(place, valued):
    seen = view(place).seen
    place.challenge(valued["weighing"], Mode.CANARY, 0.2)
    with pytest.raises(ReloadRefusedError, match="have changed since"):
        act(place, Action.STOP, seen)
    assert place.challenger is not None


def test_action_that_is_not_possible_is_refused(place):
    with pytest.raises(ReloadRefusedError, match="have changed since"):
        act(place, Action.ROLL_BACK, view(place).seen)


class Command:
    """Stands for `run_command`, and remembers what it was asked."""

    async def __call__(self, _settings, name, arguments, variables):
        self.asked = [name, *arguments, *variables.items()]
        return {"promoted": False, "sentence": "it is worse", "checks": []}


@pytest.mark.parametrize(
    ("settings", "period", "has"),
    [
        ({"log": "postgresql://me:secret@host/log"}, "7d", ["--since", "7d"]),
        ({"promotion_table": "unseen.parquet"}, "none", ["--table", "unseen.parquet"]),
        ({"log": "none"}, "7d", []),
    ],
    ids=["a log", "a table", "neither"],
)
def test_gate_is_asked_about_what_is_at_hand(place, monkeypatch, settings, period, has):
    monkeypatch.setattr(training_commands, "run_command", command := Command())
    at_hand = Settings(artifact=place.folder, **settings)
    passage = asyncio.run(training_commands.promote(at_hand, view(place), period=period, reason="why", is_forced=False))
    assert (passage.is_promoted, passage.sentence) == (False, "it is worse")
    folder, challenger = str(place.folder), str(place.folder / place.challenger.router)
    words = ["promote", challenger, "--to", folder, "--reason", "why", "--no-track", *has]
    assert [word for word in command.asked if isinstance(word, str)] == words  # the URL's password is not among them
    assert ("cannot be checked" in training_commands.AtHand.of(at_hand).cannot_be_checked) == (
        settings == {"log": "none"}
    )


def test_period_that_there_is_none_of_is_refused(place):
    asked = training_commands.promote(
        Settings(artifact=place.folder), view(place), period="1y", reason="", is_forced=False
    )
    with pytest.raises(InvalidRequestError, match="expected one of 1d, 7d, 30d, none"):
        asyncio.run(asked)


def test_damaged_pointer_is_said_and_can_be_removed(place):
    (place.folder / "challenger").write_text("{")
    found = view(place)
    assert "is damaged" in found.error
    assert found.current is not None


def test_service_of_a_single_router_has_no_place(valued):
    settings = Settings(artifact=valued["dear"])
    assert asyncio.run(place_view(settings)).folder == ""
    with pytest.raises(InvalidRequestError, match="folder of published routers"):
        asyncio.run(place_as_seen(settings, Action.PROMOTE, ""))
