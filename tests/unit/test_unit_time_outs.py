"""How long a dead connection to the brokers can hold up a unit."""

from __future__ import annotations

import pytest

from processors.unit import request_seconds
from schemas.configuration import Worker


@pytest.mark.parametrize("session_seconds", [1.0, 6.0, 10.0, 45.0])
def test_a_connection_without_answers_is_given_up_soon_after_the_group_gave_up_its_member(
    session_seconds: float,
) -> None:
    given_up = request_seconds(Worker(session_timeout_seconds=session_seconds))
    assert session_seconds < given_up <= max(10.0, 2 * session_seconds)
