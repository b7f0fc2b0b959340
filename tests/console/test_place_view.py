"""The folder of published routers, and the changes that an operator makes to it."""

import asyncio

import pytest

from router_model.saved.place import Mode, Place
from router_model.serving.common.service_errors import InvalidRequestError, ReloadRefusedError
from router_model.serving.common.settings import Settings
from router_model.serving.console.place_view import Action, change, place_view


class Following:
    """Stands for the engine, which is asked to follow a change."""

    def __init__(self):
        self.n_reloads = 0

    async def reload(self):
        self.n_reloads += 1


@pytest.fixture
def place(valued, tmp_path) -> Place:
    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    place.challenge(valued["cheap"], Mode.SHADOW, 0.1)
    return place


def view(place):
    return asyncio.run(place_view(Settings(artifact=place.folder)))


def act(place, action, engine, seen, reason="it is better"):
    settings = Settings(artifact=place.folder)
    return asyncio.run(change(engine, settings, action, seen=seen, reason=reason, key_id="k1"))


def test_promotion_and_rollback_change_the_place_and_are_in_its_history(place):
    engine, before = Following(), view(place)
    champion, challenger = before.current, before.challenger.router
    assert before.actions == (Action.PROMOTE, Action.STOP)
    act(place, Action.PROMOTE, engine, before.seen)
    now = view(place)
    assert (now.current, now.previous, now.challenger) == (challenger, champion, None)
    assert now.actions == (Action.ROLL_BACK,)
    act(place, Action.ROLL_BACK, engine, now.seen, "a mistake")
    last, promoted = view(place).history[:2]
    assert (last["action"], last["reason"]) == ("rollback", "a mistake (console, key k1)")
    assert (promoted["forced"], promoted["overridden"]) == (True, ["gate"])  # no check was made
    assert view(place).current == champion
    assert engine.n_reloads == 2


def test_challenger_is_stopped(place):
    act(place, Action.STOP, Following(), view(place).seen)
    assert place.challenger is None


def test_change_is_refused_if_the_place_names_something_else_by_now(place, valued):
    engine, seen = Following(), view(place).seen
    place.challenge(valued["weighing"], Mode.CANARY, 0.2)
    with pytest.raises(ReloadRefusedError, match="have changed since"):
        act(place, Action.PROMOTE, engine, seen)
    assert engine.n_reloads == 0


def test_action_that_is_not_possible_is_refused(place):
    with pytest.raises(ReloadRefusedError, match="have changed since"):
        act(place, Action.ROLL_BACK, Following(), view(place).seen)


def test_damaged_pointer_is_said_and_can_be_removed(place):
    (place.folder / "challenger").write_text("{")
    found = view(place)
    assert "is damaged" in found.error
    assert found.current is not None


def test_service_of_a_single_router_has_no_place(valued):
    settings = Settings(artifact=valued["dear"])
    assert asyncio.run(place_view(settings)).folder == ""
    with pytest.raises(InvalidRequestError, match="folder of published routers"):
        asyncio.run(change(Following(), settings, Action.PROMOTE, seen="", reason="", key_id="k"))
