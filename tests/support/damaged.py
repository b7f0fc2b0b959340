"""JSON with something else in one or two of its places: what a careless or hostile sender makes of a good example."""

import copy

from hypothesis import strategies as st

odd = st.sampled_from([None, True, -1, 0.5, "", "x", [], [None], ["x"], {}, {"type": "x"}, {"type": None}])


def places(value, path=()):
    """Yield the paths of all values within a value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


@st.composite
def damaged(draw, value):
    """A value with something else in one or two of its places."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([path for path in places(value) if path]))
        holder = value
        for key in path:
            holder = holder[key]
        holder[last] = copy.deepcopy(draw(odd))
    return value
