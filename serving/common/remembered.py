"""A bounded memory of things by name. Names without anything learned about them are forgotten first.

A caller can make up names without end. Names without anything learned must not drive out names with it,
so they are forgotten first; then those that were used longest ago.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Thing = TypeVar("Thing")

_KEPT = 0.75
"""The share that is kept where room has to be made: then the next names cost nothing for a while."""


class Remembered(Generic[Name, Thing]):
    """Things by name.

    Parameters
    ----------
    make : callable
        Makes the thing of a new name.
    most : int
        That are remembered.
    is_blank : callable, optional
        Tells whether a thing says no more than a new one would.

    Examples
    --------
    >>> lists = Remembered(list, most=4, is_blank=lambda found: not found)
    >>> lists.of("real").append(1)
    >>> for name in "abcdefg":
    ...     _ = lists.of(name)
    >>> len(lists) <= 4, lists.get("real"), lists.get("a")
    (True, [1], None)
    """

    def __init__(
        self, make: Callable[[], Thing], *, most: int, is_blank: Callable[[Thing], bool] = lambda _: False
    ) -> None:
        self._make = make
        self._most = most
        self._is_blank = is_blank
        self._things: OrderedDict[Name, Thing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, name: Name) -> Thing | None:
        """Return what is remembered about a name."""
        return self._things.get(name)

    def of(self, name: Name) -> Thing:
        """Return the thing of a name, which is remembered from now on."""
        thing = self._things.get(name)
        if thing is not None:
            self._things.move_to_end(name)
            return thing
        if len(self._things) >= self._most:
            self._make_room()
        thing = self._things[name] = self._make()
        return thing

    def items(self) -> list[tuple[Name, Thing]]:
        """Return all that are remembered."""
        return list(self._things.items())

    def _make_room(self) -> None:
        for name in [name for name, thing in self._things.items() if self._is_blank(thing)]:
            del self._things[name]
        while len(self._things) > _KEPT * self._most:
            self._things.popitem(last=False)
