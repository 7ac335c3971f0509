"""Room for dry runs: one person never has all of it, and what has ended gives it back."""

from __future__ import annotations

import pytest

from paynotify.ops.console.actions.dry_run_room import DryRunRoom
from paynotify.ops.console.actions.planned import ActionRefusedError


def test_person_makes_one_dry_run_at_a_time() -> None:
    room = DryRunRoom()
    with room.taken("anna"):
        for name in ("anna", "Anna"):
            with pytest.raises(ActionRefusedError, match="of yours"), room.taken(name):
                pass
        with (
            room.taken("ben"),
            pytest.raises(ActionRefusedError, match="2 dry runs are being made"),
            room.taken("carl"),
        ):
            pass
        with room.taken("carl"):
            pass


def test_dry_run_that_fails_gives_its_room_back() -> None:
    room = DryRunRoom()
    with pytest.raises(ZeroDivisionError), room.taken("anna"):
        raise ZeroDivisionError
    with room.taken("anna"):
        pass
