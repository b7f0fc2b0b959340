from datetime import UTC, datetime

import pytest

from router_model.serving.common.retry_after import limit_ends_s, retry_after_s

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "20", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "20", "retry-after-ms": "soon"}, 20.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 -0000"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:20 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_seconds_milliseconds_and_dates_are_read(headers, seconds):
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "3", "x-ratelimit-reset": "60"}, "Try again in 9s", 3.0),
        ({}, "Please try again in 7.5s. Visit us.", 7.5),
        ({}, "Limit 10. Please retry in 1h2m3s", 3723.0),
        ({}, "try again in 40 years", None),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, "", 360.0),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "4"}, "", None),
        ({"x-ratelimit-reset-tokens": "17ms", "x-ratelimit-remaining-tokens": "0"}, "", 0.017),
        ({"x-ratelimit-reset": "1"}, "", 1.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, "", 30.0),
        ({"x-ratelimit-reset": str((int(NOW.timestamp()) + 45) * 1000)}, "", 45.0),
        ({"ratelimit-reset": "12"}, "", 12.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-10-21T07:28:20Z", "anthropic-ratelimit-tokens-remaining": "0"},
         "", 20.0),
        ({"x-ratelimit-reset": "-5"}, "", 0.0),
        ({"x-ratelimit-reset": "nan"}, "", None),
        ({"x-ratelimit-reset": "1e300"}, "", None),
        ({"x-ratelimit-reset": "soon"}, "", None),
        ({"x-ratelimit-limit": "7"}, "", None),
    ],
)  # fmt: skip
def test_when_a_limit_ends_is_read_wherever_it_is_said(headers, message, seconds):
    assert limit_ends_s(headers, message, NOW) == seconds
