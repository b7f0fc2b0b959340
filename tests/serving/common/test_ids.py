import uuid
from concurrent.futures import ThreadPoolExecutor

from router_model.serving.common.ids import IdMaker


def test_ids_are_uuids_of_version_7_with_the_time_in_front():
    made = IdMaker("dec_", clock_ms=lambda: 1_790_000_000_123)()
    parsed = uuid.UUID(made.removeprefix("dec_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_790_000_000_123


def test_ids_rise_within_a_millisecond_past_its_4096_counts_and_when_the_clock_goes_back():
    times = iter([5] * 9000 + [3] * 100 + [6, 7, 8, 9, 10])
    make = IdMaker("x", clock_ms=lambda: next(times))
    made = [make() for _ in range(9105)]
    assert made == sorted(set(made))


def test_ids_differ_between_threads_and_makers():
    make, other = IdMaker("x"), IdMaker("x")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: (make if i % 2 else other)(), range(4000)))
    assert len(set(made)) == 4000
