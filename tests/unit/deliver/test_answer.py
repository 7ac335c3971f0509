"""What a subscriber's answer means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from paynotify.deliver.answer import DELIVERED, SubscriberAnswer, judge

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reason", "is_outage"),
    [
        (301, "redirected", True),
        (307, "redirected", True),
        (400, "refused", False),
        (401, "refused", False),
        (404, "refused", False),
        (408, "refused", True),
        (425, "refused", True),
        (429, "busy", True),
        (500, "failing", True),
        (503, "busy", True),
        (599, "failing", True),
        (100, "failing", True),
    ],
)
def test_status_has_a_reason_and_says_whether_the_subscriber_is_away(status: int, reason: str, is_outage: bool) -> None:
    answer = judge(status, "", NOW, 3600)
    assert (answer.reason, answer.is_outage, answer.pause_seconds) == (reason, is_outage, 0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_every_status_of_two_hundred(status: int) -> None:
    assert judge(status, "60", NOW, 3600) == DELIVERED


def test_gone_says_nothing_of_an_outage() -> None:
    assert judge(410, "", NOW, 3600) == SubscriberAnswer("gone")


@pytest.mark.parametrize(
    ("retry_after", "pause_seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("999999999", 3600),
        ("9999999999", 0),
        ("-1", 0),
        ("soon", 0),
        ("٣", 0),
        ("Sun, 29 Nov 2026 10:02:00 GMT", 120),
        ("Sun, 29 Nov 2026 09:00:00 GMT", 0),
        ("Sun, 29 Nov 9999 09:00:00 GMT", 3600),
    ],
)
def test_pause_is_what_the_subscriber_asks_for_within_bounds(retry_after: str, pause_seconds: float) -> None:
    assert judge(429, retry_after, NOW, 3600).pause_seconds == pause_seconds
